// Who may listen without keys, and starting what does.

#include "app/listening.h"

#include <stdatomic.h>

#include "base/log.h"
#include "os/random.h"

static bool address_of(const Settings *settings, SettingId id, Arena *arena, Address *out,
                       Error *err) {
    Text text = settings_text(settings, id);
    if (text.len == 0 || text_equal(text, TEXT("off"))) return true;
    if (!address_parse(text, arena, out, err))
        return error_context(err, "%.*s", TEXT_ARG(setting_rows[id].key));
    if (out->loopback || settings_number(settings, SETTING_UNAUTHENTICATED_REMOTE) != 0)
        return true;
    return error_set(err, ERROR_FORBIDDEN,
                     "%.*s: %.*s is not on this machine alone, and this protocol has no keys: "
                     "whoever reaches the port could write. Listen on 127.0.0.1, or set "
                     "unauthenticated.allow_remote where the network keeps strangers out",
                     TEXT_ARG(setting_rows[id].key), TEXT_ARG(out->text));
}

bool listening_check(Listening *listening, const Settings *settings, Arena *arena, Error *err) {
    TRY(address_of(settings, SETTING_GRAPHITE_LISTEN, arena, &listening->graphite, err));
    TRY(address_of(settings, SETTING_STATSD_LISTEN, arena, &listening->statsd, err));
    Text tenant = settings_text(settings, SETTING_UNAUTHENTICATED_TENANT);
    return tenant_name_check(tenant, err) ||
           error_context(err, "%.*s", TEXT_ARG(setting_rows[SETTING_UNAUTHENTICATED_TENANT].key));
}

static void noted(void *context, const ListenNote *note) {
    Listening *listening = context;
    server_note_source(listening->server, &(SourceNote){.protocol = note->protocol,
                                                        .peer = note->peer,
                                                        .tenant = note->tenant,
                                                        .samples = note->samples,
                                                        .bytes = note->bytes,
                                                        .fault = note->fault});
}

bool listening_start(Listening *listening, const Settings *settings, Store *store, Server *server,
                     Clock *clock, Error *err) {
    bool graphite = listening->graphite.text.len > 0, statsd = listening->statsd.text.len > 0;
    if (!graphite && !statsd) return true;
    listening->server = server;
    ListenOptions options = {
        .store = store,
        .clock = clock,
        .tenant = settings_text(settings, SETTING_UNAUTHENTICATED_TENANT),
        .graphite = graphite ? &listening->graphite : NULL,
        .statsd = statsd ? &listening->statsd : NULL,
        .graphite_idle_ms = settings_number(settings, SETTING_GRAPHITE_IDLE),
        .statsd_native = settings_number(settings, SETTING_STATSD_TIMERS) != 0,
        .statsd_flush_ms = settings_number(settings, SETTING_STATSD_FLUSH),
        .statsd_expires_ms = settings_number(settings, SETTING_STATSD_EXPIRES),
        .note = noted,
        .context = listening,
    };
    TRY(random_hash_key(&options.hash_key, err));
    Listener *listener;
    TRY(listener_start(&options, &listener, err));
    if (graphite)
        log_info("Graphite is listened to", LOG_TEXT("address", listening->graphite.text));
    if (statsd) log_info("StatsD is listened to", LOG_TEXT("address", listening->statsd.text));
    atomic_store(&listening->listener, listener);
    return true;
}

void listening_end(Listening *listening) {
    Listener *listener = atomic_exchange(&listening->listener, NULL);
    listener_stop(&listener);
}

void listening_state(void *context, ListenState *out) {
    Listening *listening = context;
    const Listener *listener = atomic_load(&listening->listener);
    *out = (ListenState){0};
    if (listener != NULL) listener_state(listener, out);
}
