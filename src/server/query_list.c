// /api/traceo/v1/queries: what waits and runs, and ending it.

#include "server/serve.h"

// Whose queries may be seen and ended: those of the own tenant, of all for an administrator.
static Text whose(const Request *request) {
    return request->identity.permissions & PERMISSION_ADMIN ? TEXT_NONE : request->identity.tenant;
}

bool serve_queries(Request *request, Error *err) {
    (void)err;
    JsonWriter writer = envelope_begin(request);
    running_write_json(&request->server->running, whose(request), &writer);
    envelope_end(&writer, (Texts){0}, (Texts){0});
    return true;
}

bool serve_query_end(Request *request, Error *err) {
    Server *server = request->server;
    bool waited;
    TRY(running_kill(&server->running, server->workers, request->name, whose(request), &waited,
                     err));
    JsonWriter writer = envelope_begin(request);
    json_object_begin(&writer);
    json_key(&writer, TEXT("id"));
    json_text(&writer, request->name);
    json_key(&writer, TEXT("state"));
    json_text(&writer, waited ? TEXT("ended") : TEXT("ending"));
    json_object_end(&writer);
    envelope_end(&writer, (Texts){0}, (Texts){0});
    return true;
}
