// The tables of routes and parameters, and looking a path up.

#include "server/routes.h"

#include "base/limits.h"
#include "server/serve.h"

#define M(method) (1u << HTTP_##method)

enum {
    BODY_NONE = 4 * KB,  // some clients send an empty form; nothing is read from it
    BODY_TINY = 1 * KB,  // one short field, from anybody
    BODY_FORM = 4 * MB,  // a query of LIMIT_QUERY_TEXT_BYTES, percent-encoded
};

const FamilyRow families[FAMILY_COUNT] = {
    [FAMILY_TRACEO] = {TEXT_INIT(""), TEXT_INIT("Traceo's own."), NULL, NULL},
    [FAMILY_PROMETHEUS] = {TEXT_INIT("/prometheus"), TEXT_INIT("The HTTP API of Prometheus."), NULL,
                           NULL},
    [FAMILY_VICTORIA] = {TEXT_INIT(""), TEXT_INIT("The import and export of VictoriaMetrics."),
                         NULL, NULL},
    [FAMILY_OTLP] = {TEXT_INIT("/otlp"), TEXT_INIT("OpenTelemetry's protocol over HTTP."),
                     otlp_write_error, NULL},
    [FAMILY_GRPC] = {TEXT_INIT(""), TEXT_INIT("gRPC methods: package.Service/Method."), NULL, NULL},
    [FAMILY_INFLUX] = {TEXT_INIT("/influx"), TEXT_INIT("InfluxDB's line protocol."),
                       influx_write_error, influx_key},
    [FAMILY_DATADOG] = {TEXT_INIT("/datadog"), TEXT_INIT("The intake of Datadog's agents."),
                        datadog_write_error, datadog_key},
};

const Route routes[ROUTE_COUNT] = {
#define ROUTE(id, methods, path, family, permission, lane, ready, body_max, check, serve, \
              parameters, help)                                                           \
    {ROUTE_##id,                                                                          \
     methods,                                                                             \
     TEXT_INIT(path),                                                                     \
     FAMILY_##family,                                                                     \
     PERMISSION_##permission,                                                             \
     LANE_##lane,                                                                         \
     ready,                                                                               \
     body_max,                                                                            \
     check,                                                                               \
     serve,                                                                               \
     TEXT_INIT(parameters),                                                               \
     TEXT_INIT(help)},
#include "server/routes.def"
#undef ROUTE
};

const ParamRow param_rows[] = {
#define PARAM(name, type, many, help) {TEXT_INIT(name), TEXT_INIT(type), many, TEXT_INIT(help)},
#include "server/params.def"
#undef PARAM
};
const size_t param_row_count = COUNT(param_rows);

const ParamRow *param_find(Text name) {
    for (size_t i = 0; i < param_row_count; i++) {
        if (text_equal(param_rows[i].name, name)) return &param_rows[i];
    }
    return NULL;
}

static const Route *find_exact(Text path) {
    size_t from = 0, to = ROUTE_COUNT;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        int order = text_compare(routes[middle].path, path);
        if (order == 0) return &routes[middle];
        if (order < 0) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    return NULL;
}

// A path against a row with {name}: the same before and behind it, one whole segment in its place;
// {path} is all that is left, slashes included, and may be empty.
static bool matches_pattern(Text pattern, Text path, Text *name) {
    ptrdiff_t open = text_find_char(pattern, '{');
    if (open < 0) return false;
    Text before = text_slice(pattern, 0, (size_t)open);
    if (text_ends_with(pattern, TEXT("{path}"))) {
        if (!text_starts_with(path, before)) return false;
        *name = text_slice(path, before.len, path.len);
        return true;
    }
    Text after = text_slice(pattern, (size_t)text_find_char(pattern, '}') + 1, pattern.len);
    if (path.len <= before.len + after.len) return false;
    if (!text_starts_with(path, before) || !text_ends_with(path, after)) return false;
    *name = text_slice(path, before.len, path.len - after.len);
    return text_find_char(*name, '/') < 0;
}

// A path may hold braces too: then it is no exact row's, least of all that of the pattern itself.
static const Route *find_native(Text path, Text *name) {
    if (text_find_char(path, '{') < 0) {
        const Route *exact = find_exact(path);
        if (exact != NULL) return exact;
    }
    for (size_t i = 0; i < ROUTE_COUNT; i++) {
        if (matches_pattern(routes[i].path, path, name)) return &routes[i];
    }
    return NULL;
}

const Route *route_find(Text path, Text *name) {
    *name = TEXT_NONE;
    const Route *route = find_native(path, name);
    if (route != NULL) return route;
    for (Family family = 0; family < FAMILY_COUNT; family++) {
        Text prefix = families[family].prefix;
        if (prefix.len == 0 || path.len <= prefix.len || !text_starts_with(path, prefix)) continue;
        if (path.at[prefix.len] != '/') continue;
        route = find_native(text_slice(path, prefix.len, path.len), name);
        if (route != NULL && route->family == family) return route;
    }
    return NULL;
}

Text route_methods_text(const Route *route, Arena *arena) {
    AUTO(builder_free) Builder out = {0};
    for (HttpMethod method = 0; method < HTTP_METHOD_COUNT; method++) {
        if ((route->methods & 1u << method) == 0) continue;
        if (out.len > 0) builder_add(&out, TEXT(", "));
        builder_add(&out, http_method_text(method));
    }
    return text_copy(builder_text(&out), arena);
}
