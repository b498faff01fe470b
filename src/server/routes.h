// The table of routes and the way from a path to its row. Private to server.
#pragma once

#include "access/access.h"
#include "net/http.h"

typedef struct Request Request;

// Which thread serves it.
typedef enum Lane { LANE_LOOP, LANE_STATUS, LANE_QUERY } Lane;

// API families, each mounted at its native path and under its prefix.
typedef enum Family {
    FAMILY_TRACEO,
    FAMILY_PROMETHEUS,
    FAMILY_VICTORIA,
    FAMILY_OTLP,
    FAMILY_GRPC,
    FAMILY_INFLUX,
    FAMILY_DATADOG,
    FAMILY_COUNT
} Family;
typedef struct ErrorStatus ErrorStatus;
typedef struct FamilyRow {
    Text prefix;  // empty: none
    Text help;
    // Writes an error in the family's own form, and may choose another status; NULL: as Prometheus.
    void (*write_error)(Request *request, ErrorStatus *status, const Error *err);
    // Finds an API key at a place of the family's own, from the head alone; NULL: there is none.
    Text (*find_key)(Request *request);
} FamilyRow;
extern const FamilyRow families[FAMILY_COUNT];

typedef enum RouteId {
#define ROUTE(id, methods, path, family, permission, lane, ready, body_max, check, serve, \
              parameters, help)                                                           \
    ROUTE_##id,
#include "server/routes.def"
#undef ROUTE
    ROUTE_COUNT
} RouteId;

typedef struct Route {
    RouteId id;
    uint32_t methods;  // a bit per HttpMethod
    Text path;  // may hold one {name}, which stands for one segment, or end in {path}: the rest
    Family family;
    Permissions needs;
    Lane lane;
    bool needs_ready;
    int64_t body_max;
    bool (*check)(Request *request, Error *err);  // of the head alone; NULL: nothing to check
    bool (*serve)(Request *request, Error *err);  // false: answered with the error
    Text parameters;
    Text help;
} Route;

extern const Route routes[ROUTE_COUNT];  // ORDER: rows of routes.def, sorted by path

// The row for a decoded path, NULL when there is none; `*name` gets what {name} stood for.
const Route *route_find(Text path, Text *name);

// "GET, POST", as the header Allow wants it.
Text route_methods_text(const Route *route, Arena *arena);

// Rows of params.def.
typedef struct ParamRow {
    Text name;
    Text type;
    bool many;
    Text help;
} ParamRow;
extern const ParamRow param_rows[];
extern const size_t param_row_count;
const ParamRow *param_find(Text name);  // NULL when there is none
