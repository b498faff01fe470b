// The OpenAPI 3.1 document, written from the table of routes.

#include "codec/crc32c.h"
#include "server/serve.h"

static void pair(JsonWriter *writer, Text key, Text value) {
    json_key(writer, key);
    json_text(writer, value);
}

static void write_info(JsonWriter *writer, const ServerBuild *build) {
    pair(writer, TEXT("openapi"), TEXT("3.1.0"));
    json_key(writer, TEXT("info"));
    json_object_begin(writer);
    pair(writer, TEXT("title"), TEXT("Traceo"));
    pair(writer, TEXT("version"), build->version);
    pair(writer, TEXT("description"),
         TEXT("Metrics behind the HTTP API of Prometheus, every path also under its prefix."));
    json_object_end(writer);
}

static void write_security_schemes(JsonWriter *writer) {
    json_key(writer, TEXT("components"));
    json_object_begin(writer);
    json_key(writer, TEXT("securitySchemes"));
    json_raw(writer,
             TEXT("{\"bearer\":{\"type\":\"http\",\"scheme\":\"bearer\"},\"basic\":{\"type\":"
                  "\"http\",\"scheme\":\"basic\"},"
                  "\"apiKey\":{\"type\":\"apiKey\",\"in\":\"header\",\"name\":\"X-API-Key\"}}"));
    json_object_end(writer);
}

// ORDER: types of params.def. Times and durations are texts with a format of their own.
static void write_schema(JsonWriter *writer, const ParamRow *param) {
    bool integer = text_equal(param->type, TEXT("integer"));
    json_key(writer, TEXT("schema"));
    json_object_begin(writer);
    if (param->many) {
        pair(writer, TEXT("type"), TEXT("array"));
        json_key(writer, TEXT("items"));
        json_object_begin(writer);
    }
    pair(writer, TEXT("type"), integer ? TEXT("integer") : TEXT("string"));
    if (integer) {
        json_key(writer, TEXT("minimum"));
        json_i64(writer, 0);
    } else if (!text_equal(param->type, TEXT("string"))) {
        pair(writer, TEXT("format"), param->type);
    }
    if (param->many) json_object_end(writer);
    json_object_end(writer);
}

static void write_parameter(JsonWriter *writer, const ParamRow *param, bool needed) {
    json_object_begin(writer);
    pair(writer, TEXT("name"), param->name);
    pair(writer, TEXT("in"), TEXT("query"));
    pair(writer, TEXT("description"), param->help);
    json_key(writer, TEXT("required"));
    json_bool(writer, needed);
    write_schema(writer, param);
    json_object_end(writer);
}

static void write_parameters(JsonWriter *writer, const Route *route) {
    json_key(writer, TEXT("parameters"));
    json_array_begin(writer);
    if (text_find_char(route->path, '{') >= 0) {
        json_object_begin(writer);
        pair(writer, TEXT("name"),
             text_ends_with(route->path, TEXT("{path}")) ? TEXT("path") : TEXT("name"));
        pair(writer, TEXT("in"), TEXT("path"));
        json_key(writer, TEXT("required"));
        json_bool(writer, true);
        json_key(writer, TEXT("schema"));
        json_raw(writer, TEXT("{\"type\":\"string\"}"));
        json_object_end(writer);
    }
    Text word;
    for (Text rest = route->parameters; text_cut(&rest, ' ', &word);) {
        bool needed = text_ends_with(word, TEXT("!"));
        const ParamRow *param = param_find(needed ? text_slice(word, 0, word.len - 1) : word);
        if (param != NULL) write_parameter(writer, param, needed);
    }
    json_array_end(writer);
}

static void write_responses(JsonWriter *writer, const Route *route) {
    json_key(writer, TEXT("responses"));
    json_object_begin(writer);
    bool writes = route->id == ROUTE_WRITE;
    json_key(writer, writes ? TEXT("204") : TEXT("200"));
    json_raw(writer,
             writes ? TEXT("{\"description\":\"Stored as durably as X-Traceo-Durability says.\"}")
                    : TEXT("{\"description\":\"Done.\"}"));
    json_key(writer, TEXT("default"));
    json_raw(writer, TEXT("{\"description\":\"status, errorType and error say what is wrong.\"}"));
    json_object_end(writer);
}

// GET /api/v1/label/{name}/values -> "get_label_values"
static void write_operation_id(JsonWriter *writer, const Route *route, HttpMethod method) {
    AUTO(builder_free) Builder id = {0};
    Text method_text = http_method_text(method);
    for (size_t i = 0; i < method_text.len; i++)
        builder_add_char(&id, (char)(method_text.at[i] | 0x20));
    for (size_t i = 0; i < route->path.len; i++) {
        char c = route->path.at[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
        if (letter || (id.len > 0 && id.at[id.len - 1] != '_'))
            builder_add_char(&id, letter ? c : '_');
    }
    pair(writer, TEXT("operationId"), builder_text(&id));
}

static void write_security(JsonWriter *writer, const Route *route, Arena *arena) {
    json_key(writer, TEXT("security"));
    if (route->needs == PERMISSION_PUBLIC) {
        json_raw(writer, TEXT("[]"));
        return;
    }
    json_raw(writer, TEXT("[{\"bearer\":[]},{\"basic\":[]},{\"apiKey\":[]}]"));
    pair(writer, TEXT("x-permission"), permissions_print(route->needs, arena));
}

static void write_operation(JsonWriter *writer, const Route *route, HttpMethod method,
                            Arena *arena) {
    json_object_begin(writer);
    write_operation_id(writer, route, method);
    pair(writer, TEXT("summary"), route->help);
    write_parameters(writer, route);
    if (route->id == ROUTE_WRITE) {
        json_key(writer, TEXT("requestBody"));
        json_raw(writer, TEXT("{\"required\":true,\"content\":{\"application/x-protobuf\":{}}}"));
    }
    if (route->family == FAMILY_GRPC) {
        json_key(writer, TEXT("requestBody"));
        json_raw(writer, TEXT("{\"required\":true,\"content\":{\"application/grpc\":{}}}"));
    }
    write_responses(writer, route);
    write_security(writer, route, arena);
    json_object_end(writer);
}

static void write_path(JsonWriter *writer, const Route *route, Arena *arena) {
    json_key(writer, route->path);
    json_object_begin(writer);
    Text prefix = families[route->family].prefix;
    if (prefix.len > 0) {
        json_key(writer, TEXT("servers"));
        json_array_begin(writer);
        json_raw(writer, TEXT("{\"url\":\"/\"}"));
        json_object_begin(writer);
        pair(writer, TEXT("url"), prefix);
        json_object_end(writer);
        json_array_end(writer);
    }
    for (HttpMethod method = 0; method < HTTP_METHOD_COUNT; method++) {
        if ((route->methods & 1u << method) == 0) continue;
        AUTO(builder_free) Builder key = {0};
        Text name = http_method_text(method);
        for (size_t i = 0; i < name.len; i++) builder_add_char(&key, (char)(name.at[i] | 0x20));
        json_key(writer, builder_text(&key));
        write_operation(writer, route, method, arena);
    }
    json_object_end(writer);
}

bool serve_openapi(Request *request, Error *err) {
    (void)err;
    JsonWriter writer = json_writer_begin(&request->body);
    json_object_begin(&writer);
    write_info(&writer, &request->server->options.build);
    json_key(&writer, TEXT("paths"));
    json_object_begin(&writer);
    for (size_t i = 0; i < ROUTE_COUNT; i++)
        write_path(&writer, &routes[i], request->exchange->arena);
    json_object_end(&writer);
    write_security_schemes(&writer);
    json_object_end(&writer);
    // The same as long as the program is; weak, as it may be packed in one way or another.
    Text tag = text_format(request->exchange->arena, "W/\"%08x\"",
                           crc32c(0, text_bytes(builder_text(&request->body))));
    request_add_header(request, TEXT("ETag"), tag);
    request->cache = TEXT("no-cache");
    if (request_has_tag(request, tag)) {
        request->status = 304;
        builder_clear(&request->body);
        request_add_header(request, TEXT("Vary"), TEXT("Accept-Encoding"));
    }
    return true;
}
