// Health, readiness, reload, flush, and the page at the root.

#include "base/log.h"
#include "server/serve.h"

static void plain(Request *request) {
    request->content_type = TEXT("text/plain; charset=utf-8");
}

bool serve_healthy(Request *request, Error *err) {
    (void)err;
    plain(request);
    builder_add(&request->body, TEXT("Traceo is Healthy.\n"));
    return true;
}

bool serve_ready(Request *request, Error *err) {
    (void)err;
    plain(request);
    if (server_is_started(request->server)) {
        builder_add(&request->body, TEXT("Traceo is Ready.\n"));
        return true;
    }
    StoreState state;
    store_state(request->server->options.store, &state);
    request->status = 503;
    builder_addf(&request->body, "Replaying the log: %.0f %% done, %llu records.\n",
                 state.replay_part * 100, (unsigned long long)state.replayed_records);
    return true;
}

// Keys first: a bad file of settings must not keep a revoked key alive.
static bool reload(const ServerOptions *options, Error *err) {
    TRY(access_reload(options->access, err));
    if (options->settings.reload == NULL ||
        options->settings.reload(options->settings.context, err))
        return true;
    return error_context(err, "the old settings stay in force");
}

bool serve_reload(Request *request, Error *err) {
    Server *server = request->server;
    bool done = reload(&server->options, err);
    atomic_store(&server->reload_ok, done);
    if (!done) {
        log_error("reload failed", LOG_TEXT("key", request->identity.key_id), LOG_ERR(err));
        return false;
    }
    atomic_store(&server->reloaded_ms, server->options.clock->wall_ms(server->options.clock));
    log_info("reloaded", LOG_TEXT("key", request->identity.key_id));
    plain(request);
    builder_add(&request->body, TEXT("Reloaded.\n"));
    return true;
}

bool serve_flush(Request *request, Error *err) {
    TRY(store_flush(request->server->options.store, err));
    plain(request);
    builder_add(&request->body, TEXT("Flushed.\n"));
    return true;
}

static void add_html(Builder *out, Text text) {
    for (size_t i = 0; i < text.len; i++) {
        switch (text.at[i]) {
            case '<':
                builder_add(out, TEXT("&lt;"));
                break;
            case '>':
                builder_add(out, TEXT("&gt;"));
                break;
            case '&':
                builder_add(out, TEXT("&amp;"));
                break;
            case '"':
                builder_add(out, TEXT("&quot;"));
                break;
            default:
                builder_add_char(out, text.at[i]);
        }
    }
}

static void add_start(Builder *out) {
    builder_add(out, TEXT("<!doctype html>\n<html lang=\"en\">\n<meta "
                          "charset=\"utf-8\">\n<title>Traceo</title>\n<h1>Traceo</h1>\n"
                          "<p>A store for metrics that speaks the HTTP API and the query language "
                          "of Prometheus. Version "));
}

bool serve_root(Request *request, Error *err) {
    (void)err;
    if (ui_redirect_root(request)) return true;
    const ServerOptions *options = &request->server->options;
    AUTO(builder_free) Builder base = {0};
    builder_add(&base, TEXT("http://"));
    Text host = request->exchange->head.host;
    builder_add(&base, host.len > 0 ? host : options->addresses[0].text);

    request->content_type = TEXT("text/html; charset=utf-8");
    Builder *out = &request->body;
    add_start(out);
    add_html(out, options->build.version);
    builder_add(out, server_is_ready(request->server) ? TEXT(", ready.</p>\n")
                                                      : TEXT(", replaying its log.</p>\n"));
    builder_add(out, TEXT("<h2>Send to it</h2>\n<pre># prometheus.yml\nremote_write:\n  - url: "));
    add_html(out, builder_text(&base));
    builder_add(out, TEXT("/api/v1/write</pre>\n<h2>Ask it</h2>\n<pre>curl '"));
    add_html(out, builder_text(&base));
    builder_add(out, TEXT("/api/v1/query?query=up'</pre>\n<p>In Grafana add a Prometheus data "
                          "source with the URL "));
    add_html(out, builder_text(&base));
    builder_add(
        out, TEXT("</p>\n<h2>Look at it</h2>\n<ul>\n"
                  "<li><a href=\"/api/v1/openapi.json\">Every route</a>\n"
                  "<li><a href=\"/metrics\">Its own metrics</a>\n"
                  "<li><a href=\"/api/v1/status/tsdb\">Cardinality</a>\n"
                  "<li><a href=\"/api/v1/status/config\">Settings in force</a>\n</ul>\n</html>\n"));
    return true;
}
