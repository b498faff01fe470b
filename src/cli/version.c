// `traceo version`: what this binary is, in the manner of Prometheus.

#include "cli/version.h"

#include "cli/format.h"
#include "cli/run.h"
#include "codec/json.h"
#include "os/process.h"

ServerBuild build_facts(void) {
    return (ServerBuild){
        .version = TEXT(BUILD_VERSION),
        .revision = text_from_cstring(build_revision),
        .date = text_from_cstring(build_date),
        .compiler = TEXT(BUILD_COMPILER),
    };
}

static void print_json(const ServerBuild *build, Text platform, Builder *out) {
    const Text pairs[][2] = {
        {TEXT_INIT("version"), build->version}, {TEXT_INIT("revision"), build->revision},
        {TEXT_INIT("date"), build->date},       {TEXT_INIT("compiler"), build->compiler},
        {TEXT_INIT("platform"), platform},      {TEXT_INIT("features"), TEXT_INIT(BUILD_FEATURES)},
    };
    JsonWriter writer = json_writer_begin(out);
    json_object_begin(&writer);
    for (size_t i = 0; i < COUNT(pairs); i++) {
        json_key(&writer, pairs[i][0]);
        json_text(&writer, pairs[i][1]);
    }
    json_object_end(&writer);
    builder_add_char(out, '\n');
}

ExitCode command_version(Call *call, Error *err) {
    TableFormat format;
    if (!call_format(call, &format, err)) return CODE_USAGE;
    ServerBuild build = build_facts();
    Text platform = machine_kernel(call->arena);
    AUTO(builder_free) Builder out = {0};
    if (format == TABLE_JSON) {
        print_json(&build, platform, &out);
    } else {
        builder_addf(&out, "traceo, version %.*s (revision: %.*s)\n", TEXT_ARG(build.version),
                     TEXT_ARG(build.revision));
        builder_addf(&out, "  source date:  %.*s\n", TEXT_ARG(build.date));
        builder_addf(&out, "  compiler:     %.*s\n", TEXT_ARG(build.compiler));
        builder_addf(&out, "  platform:     %.*s\n", TEXT_ARG(platform));
        builder_addf(&out, "  features:     %s\n", BUILD_FEATURES);
    }
    return call_print(builder_text(&out), err);
}
