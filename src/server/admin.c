// What changes the stored data by hand: deleting series, cleaning up behind it, snapshots.
//
// Off unless web.enable_admin_api says otherwise, as in Prometheus, and behind the permission
// ADMIN: without API keys everybody on this machine has every permission, and what these routes do
// cannot be undone.

#include "base/log.h"
#include "server/matchers.h"
#include "server/serve.h"

static bool is_enabled(Request *request, Error *err) {
    if (atomic_load(&request->server->admin_api)) return true;
    return request_refuse(request, 503, "unavailable", err, ERROR_BUSY,
                          "admin APIs disabled; web.enable_admin_api turns them on");
}

static bool no_content(Request *request) {
    request->status = 204;
    return true;
}

static bool delete_series(Request *request, Tenant *tenant, const MatchSets *sets, int64_t from_ms,
                          int64_t to_ms, Error *err) {
    AUTO(arena_free) Arena arena = {0};
    Matchers *all = arena_push_array(&arena, Matchers, sets->count + 1);
    for (size_t i = 0; i < sets->count; i++) all[i] = match_set_matchers(sets, i);
    TRY(store_delete(request->server->options.store, tenant, all, sets->count, from_ms, to_ms,
                     err));
    for (size_t i = 0; i < sets->count; i++)
        log_info("series were deleted", LOG_TEXT("tenant", request->identity.tenant),
                 LOG_TEXT("key", request->identity.key_id),
                 LOG_TEXT("match", text_slice(sets->at[i].text, 0, 256)),
                 LOG_I64("from_ms", from_ms), LOG_I64("to_ms", to_ms));
    return true;
}

bool serve_delete_series(Request *request, Error *err) {
    TRY(is_enabled(request, err));
    AUTO(arena_free) Arena arena = {0};
    AUTO(match_sets_close) MatchSets sets = {0};
    int64_t from_ms, to_ms;
    TRY(param_span(request, &from_ms, &to_ms, err));
    TRY(match_sets_read(request, true, &arena, &sets, err));
    Tenant *tenant;
    TRY(request_tenant(request, false, &tenant, err));
    if (tenant != NULL) TRY(delete_series(request, tenant, &sets, from_ms, to_ms, err));
    return no_content(request);
}

bool serve_clean_tombstones(Request *request, Error *err) {
    TRY(is_enabled(request, err));
    Tenant *tenant;
    TRY(request_tenant(request, false, &tenant, err));
    if (tenant != NULL) TRY(store_clean_deletes(request->server->options.store, tenant, err));
    return no_content(request);
}

static bool param_switch(const Request *request, Text name, bool *out, Error *err) {
    static const char *const on[] = {"1", "t", "T", "true", "TRUE", "True"};
    static const char *const off[] = {"", "0", "f", "F", "false", "FALSE", "False"};
    Text text = param_text(request, name);
    for (size_t i = 0; i < COUNT(on); i++) {
        *out = text_equal(text, text_from_cstring(on[i]));
        if (*out) return true;
    }
    for (size_t i = 0; i < COUNT(off); i++) {
        if (text_equal(text, text_from_cstring(off[i]))) return true;
    }
    return error_set(err, ERROR_BAD_INPUT,
                     "invalid parameter \"%.*s\": \"%.*s\" is neither true nor false",
                     TEXT_ARG(name), TEXT_ARG(text_slice(text, 0, 64)));
}

bool serve_snapshot(Request *request, Error *err) {
    TRY(is_enabled(request, err));
    AUTO(arena_free) Arena arena = {0};
    bool skip_head;
    Text name;
    TRY(param_switch(request, TEXT("skip_head"), &skip_head, err));
    TRY(store_snapshot(request->server->options.store, skip_head, &arena, &name, err));
    log_info("a snapshot was made", LOG_TEXT("name", name),
             LOG_TEXT("key", request->identity.key_id));
    JsonWriter writer = envelope_begin(request);
    json_object_begin(&writer);
    json_key(&writer, TEXT("name"));
    json_text(&writer, name);
    json_object_end(&writer);
    envelope_end(&writer, (Texts){0}, (Texts){0});
    return true;
}
