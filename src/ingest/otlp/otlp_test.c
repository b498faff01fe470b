// Tests of decoding: each kind of data point, temporality and encoding; bad input; what a sender
// remembers.

#include <malloc.h>

#include "base/limits.h"
#include "codec/protobuf.h"
#include "ingest/otlp/json.h"
#include "ingest/otlp/test_rows.h"

static Text rows_of_metric(Test *t, OtlpWorld *world, const char *metric) {
    return otlp_rows(t, world, text_to_cstring(otlp_metric(t, metric), t->arena));
}

// ---- Kinds of data points ----

typedef struct KindCase {
    const char *metric;
    const char *rows;
} KindCase;

static const KindCase kinds[] = {
    {"{'name':'temp','unit':'Cel','description':'d','gauge':{'dataPoints':[{'timeUnixNano':"
     "'1000000000','asDouble':21.5,'attributes':[{'key':'room','value':{'stringValue':'a'}}]}]}}",
     "# gauge temp_celsius \"d\" celsius\n"
     "temp_celsius{job=\"svc\", room=\"a\"} 21.5 @1000\n"},
    {"{'name':'reqs','unit':'1','sum':{'aggregationTemporality':2,'isMonotonic':true,'dataPoints':"
     "[{'startTimeUnixNano':'5','timeUnixNano':1000000000,'asInt':'9007199254740993'}]}}",
     "# counter reqs_total \"\" \n"
     "reqs_total{job=\"svc\"} 9007199254740992 @1000\n"},
    {"{'name':'queue','unit':'1','sum':{'aggregationTemporality':"
     "'AGGREGATION_TEMPORALITY_CUMULATIVE','dataPoints':[{'timeUnixNano':1000000000,'asInt':-3}]}}",
     "# gauge queue \"\" \n"
     "queue{job=\"svc\"} -3 @1000\n"},
    {"{'name':'lat','unit':'s','histogram':{'aggregationTemporality':2,'dataPoints':[{"
     "'timeUnixNano':1000000000,'count':'6','sum':10.5,'min':0,'max':9,'bucketCounts':['1','2',3],"
     "'explicitBounds':[0.5,1]}]}}",
     "# histogram lat_seconds \"\" seconds\n"
     "lat_seconds_sum{job=\"svc\"} 10.5 @1000\n"
     "lat_seconds_count{job=\"svc\"} 6 @1000\n"
     "lat_seconds_bucket{job=\"svc\", le=\"0.5\"} 1 @1000\n"
     "lat_seconds_bucket{job=\"svc\", le=\"1\"} 3 @1000\n"
     "lat_seconds_bucket{job=\"svc\", le=\"+Inf\"} 6 @1000\n"},
    {"{'name':'nosum','histogram':{'aggregationTemporality':2,'dataPoints':[{"
     "'timeUnixNano':1000000000,'count':'6'}]}}",
     "# histogram nosum \"\" \n"
     "nosum_count{job=\"svc\"} 6 @1000\n"
     "nosum_bucket{job=\"svc\", le=\"+Inf\"} 6 @1000\n"},
    {"{'name':'e','exponentialHistogram':{'aggregationTemporality':2,'dataPoints':[{'timeUnixNano':"
     "1000000000,'count':'8','sum':10,'scale':0,'zeroCount':'1','zeroThreshold':0.001,'positive':{"
     "'offset':1,'bucketCounts':['0','2','0','0','0','3']},'negative':{'offset':-2,'bucketCounts':"
     "[2]}}]}}",
     "# histogram e \"\" \n"
     "e{job=\"svc\"} {schema:0 count:8 sum:10 zero:1 below:0.001 negative:[-1:2] "
     "positive:[3:2 7:3]} @1000\n"},
    {"{'name':'fine','exponentialHistogram':{'aggregationTemporality':2,'dataPoints':[{"
     "'timeUnixNano':1000000000,'count':'6','sum':1,'scale':10,'positive':{'offset':-3,"
     "'bucketCounts':[1,1,1,1,1,1]}}]}}",
     "# histogram fine \"\" \n"
     "fine{job=\"svc\"} {schema:8 count:6 sum:1 below:1e-128 positive:[0:3 1:3]} @1000\n"},
    {"{'name':'s','unit':'By','summary':{'dataPoints':[{'timeUnixNano':1000000000,'count':'4',"
     "'sum':7,'quantileValues':[{'quantile':0.5,'value':1.5},{'quantile':1,'value':3}]}]}}",
     "# summary s_bytes \"\" bytes\n"
     "s_bytes_sum{job=\"svc\"} 7 @1000\n"
     "s_bytes_count{job=\"svc\"} 4 @1000\n"
     "s_bytes{job=\"svc\", quantile=\"0.5\"} 1.5 @1000\n"
     "s_bytes{job=\"svc\", quantile=\"1\"} 3 @1000\n"},
    // No recorded value.
    {"{'name':'gone','gauge':{'dataPoints':[{'timeUnixNano':1000000000,'flags':1}]}}",
     "# gauge gone \"\" \ngone{job=\"svc\"} stale @1000\n"},
    {"{'name':'gone','histogram':{'aggregationTemporality':2,'dataPoints':[{'timeUnixNano':"
     "1000000000,'flags':1}]}}",
     "# histogram gone \"\" \ngone_count{job=\"svc\"} stale @1000\n"
     "gone_bucket{job=\"svc\", le=\"+Inf\"} stale @1000\n"},
    {"{'name':'gone','exponentialHistogram':{'aggregationTemporality':2,'dataPoints':[{"
     "'timeUnixNano':1000000000,'flags':1}]}}",
     "# histogram gone \"\" \n"
     "gone{job=\"svc\"} {schema:0 count:0 sum:stale below:1e-128} @1000\n"},
    // Numbers that are none.
    {"{'name':'odd','gauge':{'dataPoints':[{'timeUnixNano':1000000000,'asDouble':'NaN'},{"
     "'timeUnixNano':2000000000,'asDouble':'-Infinity'}]}}",
     "# gauge odd \"\" \nodd{job=\"svc\"} NaN @1000\nodd{job=\"svc\"} -Inf @2000\n"},
    // Exemplars: on the sum; in their buckets; attributes only while they fit.
    {"{'name':'x','sum':{'aggregationTemporality':2,'isMonotonic':true,'dataPoints':[{"
     "'timeUnixNano':1000000000,'asInt':1,'exemplars':[{'timeUnixNano':'999000000','asDouble':3,"
     "'traceId':'0102030405060708090A0B0C0D0E0F10','spanId':'0102030405060708',"
     "'filteredAttributes':[{'key':'a.b','value':{'intValue':7}}]}]}]}}",
     "# counter x_total \"\" \n"
     "x_total{job=\"svc\"} 1 @1000 # {\"a.b\"=\"7\", span_id=\"0102030405060708\", "
     "trace_id=\"0102030405060708090a0b0c0d0e0f10\"} 3 @999\n"},
    {"{'name':'h','histogram':{'aggregationTemporality':2,'dataPoints':[{'timeUnixNano':1000000000,"
     "'count':3,'bucketCounts':[1,1,1],'explicitBounds':[1,2],'exemplars':[{'asInt':1,"
     "'timeUnixNano':1},{'asDouble':1.5},{'asDouble':9}]}]}}",
     "# histogram h \"\" \n"
     "h_count{job=\"svc\"} 3 @1000\n"
     "h_bucket{job=\"svc\", le=\"1\"} 1 @1000 # {} 1 @0\n"
     "h_bucket{job=\"svc\", le=\"2\"} 2 @1000 # {} 1.5 @1000\n"
     "h_bucket{job=\"svc\", le=\"+Inf\"} 3 @1000 # {} 9 @1000\n"},
};

TEST(each_kind_of_data_point_becomes_the_rows_of_prometheus) {
    for (size_t i = 0; i < COUNT(kinds); i++) {
        OtlpWorld world;
        otlp_world_begin(&world, (OtlpOptions){0});
        check_text(t, text_from_cstring(kinds[i].rows), rows_of_metric(t, &world, kinds[i].metric));
        check_i64(t, 0, world.outcome.rejected);
        otlp_world_end(&world);
    }
}

TEST(a_known_data_point_gives_the_same_rows_from_memory) {
    for (size_t i = 0; i < COUNT(kinds); i++) {
        OtlpWorld world;
        otlp_world_begin(&world, (OtlpOptions){0});
        Text first = rows_of_metric(t, &world, kinds[i].metric);
        check_i64(t, 0, world.outcome.cached > 1);  // two points of one series at most
        Text again = rows_of_metric(t, &world, kinds[i].metric);
        check_i64(t, world.outcome.points, world.outcome.cached);
        // The metadata came with the first only.
        Text line;
        text_cut(&first, '\n', &line);
        check_text(t, first, again);
        otlp_world_end(&world);
    }
}

// ---- Attributes, resources, scopes ----

TEST(attributes_of_every_type_become_text) {
    OtlpWorld world;
    otlp_world_begin(&world, (OtlpOptions){0});
    Text rows = rows_of_metric(
        t, &world,
        "{'name':'m','gauge':{'dataPoints':[{'timeUnixNano':1000000000,'asInt':1,'attributes':["
        "{'key':'bool','value':{'boolValue':true}},{'key':'bytes','value':{'bytesValue':'/+8='}},"
        "{'key':'double','value':{'doubleValue':0.0000001}},{'key':'empty','value':{}},"
        "{'key':'inf','value':{'doubleValue':'Infinity'}},{'key':'int','value':{'intValue':'-9'}},"
        "{'key':'list','value':{'arrayValue':{'values':[{'stringValue':'x\\u0022'},{'intValue':1},"
        "{}]}}},{'key':'map','value':{'kvlistValue':{'values':[{'key':'z','value':{'doubleValue':"
        "1.5}},{'key':'a','value':{'boolValue':false}}]}}}]}]}}");
    check_text(t,
               TEXT("# gauge m \"\" \nm{bool=\"true\", bytes=\"/+8=\", double=\"1e-7\", "
                    "inf=\"Infinity\", int=\"-9\", job=\"svc\", list=\"[\\\"x\\\\\\\"\\\",1,null]\""
                    ", map=\"{\\\"a\\\":false,\\\"z\\\":1.5}\"} 1 @1000\n"),
               rows);
    otlp_world_end(&world);
}

TEST(labels_that_collide_are_joined_and_reserved_ones_win) {
    OtlpWorld world;
    otlp_world_begin(&world, (OtlpOptions){0});
    check_text(
        t,
        TEXT("# gauge m \"\" \nm{a_b=\"3;1;2\", job=\"svc\", key_1=\"d\", key_u=\"u\"} 1 @1000\n"),
        rows_of_metric(t, &world,
                       "{'name':'m','gauge':{'dataPoints':[{'timeUnixNano':1000000000,'asInt':1,"
                       "'attributes':[{'key':'a.b','value':{'stringValue':'1'}},{'key':'a/b',"
                       "'value':{'stringValue':'2'}},{'key':'a-b','value':{'stringValue':'3'}},"
                       "{'key':'job','value':{'stringValue':'mine'}},{'key':'1','value':{"
                       "'stringValue':'d'}},{'key':'_u','value':{'stringValue':'u'}}]}]}}"));
    otlp_world_end(&world);
}

static const char *const resource_json =
    "{'resourceMetrics':[{'resource':{'attributes':[{'key':'service.name','value':{'stringValue':"
    "'api'}},{'key':'service.namespace','value':{'stringValue':'shop'}},{'key':"
    "'service.instance.id','value':{'stringValue':'i-1'}},{'key':'host.name','value':{"
    "'stringValue':'h'}},{'key':'cloud.region','value':{'stringValue':'eu'}}]},'scopeMetrics':[{"
    "'scope':{'name':'lib','version':'1.2','attributes':[{'key':'k.x','value':{'stringValue':'v'}}"
    "]},'schemaUrl':'http://s','metrics':[{'name':'m','gauge':{'dataPoints':[{'timeUnixNano':"
    "'1000000000','asInt':1},{'timeUnixNano':'301000000000','asInt':2}]}}]}]}]}";

TEST(a_resource_becomes_job_instance_and_target_info) {
    OtlpWorld world;
    otlp_world_begin(&world, (OtlpOptions){0});
    check_text(t,
               TEXT("# gauge m \"\" \n"
                    "m{instance=\"i-1\", job=\"shop/api\"} 1 @1000\n"
                    "m{instance=\"i-1\", job=\"shop/api\"} 2 @301000\n"
                    "target_info{cloud_region=\"eu\", host_name=\"h\", instance=\"i-1\", "
                    "job=\"shop/api\"} 1 @1000 1 @151000 1 @301000\n"),
               otlp_rows(t, &world, resource_json));
    otlp_world_end(&world);
}

TEST(settings_promote_resource_attributes_and_scopes) {
    OtlpWorld world;
    Text promote[] = {TEXT("host.name"), TEXT("absent")};
    OtlpOptions options = {.promote = {promote, 2}, .scope_labels = true, .keep_identifying = true};
    otlp_world_begin(&world, options);
    Text rows = otlp_rows(t, &world, resource_json);
    check(t, text_find(rows, TEXT("m{host_name=\"h\", instance=\"i-1\", job=\"shop/api\", "
                                  "otel_scope_k_x=\"v\", otel_scope_name=\"lib\", "
                                  "otel_scope_schema_url=\"http://s\", otel_scope_version=\"1.2\"} "
                                  "1 @1000\n")) > 0);
    check(t, text_find(rows, TEXT("target_info{cloud_region=\"eu\", host_name=\"h\", "
                                  "instance=\"i-1\", job=\"shop/api\", "
                                  "service_instance_id=\"i-1\", service_name=\"api\", "
                                  "service_namespace=\"shop\"} 1 @1000")) > 0);
    otlp_world_end(&world);
    options = (OtlpOptions){.promote = {(Text[]){TEXT("*")}, 1}, .naming = OTLP_NAMING_UTF8};
    otlp_world_begin(&world, options);
    rows = otlp_rows(t, &world, resource_json);
    check(t, text_find(rows, TEXT("m{\"cloud.region\"=\"eu\", \"host.name\"=\"h\", "
                                  "instance=\"i-1\", job=\"shop/api\", "
                                  "\"service.instance.id\"=\"i-1\"")) > 0);
    otlp_world_end(&world);
}

TEST(there_is_no_target_info_without_a_target_or_anything_to_tell) {
    OtlpWorld world;
    otlp_world_begin(&world, (OtlpOptions){0});
    const char *metric =
        "{'name':'m','gauge':{'dataPoints':[{'timeUnixNano':1000000000,'asInt':1}]}}";
    check(t, text_find(rows_of_metric(t, &world, metric), TEXT("target_info")) < 0);
    Text nameless = text_format(t->arena,
                                "{'resourceMetrics':[{'resource':{'attributes':[{'key':'host.name',"
                                "'value':{'stringValue':'h'}}]},'scopeMetrics':[{'metrics':[%s]}]}"
                                "]}",
                                metric);
    check_text(t, TEXT("# gauge m \"\" \nm 1 @1000\n"),
               otlp_rows(t, &world, text_to_cstring(nameless, t->arena)));
    otlp_world_end(&world);
}

TEST(histograms_become_native_ones_where_that_is_asked_for) {
    OtlpWorld world;
    otlp_world_begin(&world, (OtlpOptions){.native_buckets = true});
    check_text(
        t,
        TEXT("# histogram h \"\" \nh{job=\"svc\"} {schema:-53 count:6 sum:10.5 "
             "positive:[0:1 1:2 2:3] bounds:0.5,1} @1000\n"),
        rows_of_metric(t, &world,
                       "{'name':'h','histogram':{'aggregationTemporality':2,'dataPoints':[{"
                       "'timeUnixNano':1000000000,'count':'6','sum':10.5,'bucketCounts':[1,2,3],"
                       "'explicitBounds':[0.5,1]}]}}"));
    otlp_world_end(&world);
}

// ---- Deltas ----

static Text delta_metric(Test *t, int kind, int start_s, int time_s, int value) {
    static const char *const metrics[] = {
        "{'name':'d','sum':{'aggregationTemporality':1,'isMonotonic':true,'dataPoints':[{"
        "'startTimeUnixNano':'%d000000000','timeUnixNano':'%d000000000','asInt':%d}]}}",
        "{'name':'d','histogram':{'aggregationTemporality':1,'dataPoints':[{'startTimeUnixNano':"
        "'%d000000000','timeUnixNano':'%d000000000','count':%d,'sum':1,'bucketCounts':[%d,0],"
        "'explicitBounds':[1]}]}}",
        "{'name':'d','exponentialHistogram':{'aggregationTemporality':1,'dataPoints':[{"
        "'startTimeUnixNano':'%d000000000','timeUnixNano':'%d000000000','count':%d,'sum':1,"
        "'scale':1,'positive':{'offset':2,'bucketCounts':[%d]}}]}}",
    };
    char made[400];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(made, sizeof made, metrics[kind], start_s, time_s, value, value);
#pragma GCC diagnostic pop
    return otlp_metric(t, text_to_cstring(text_from_cstring(made), t->arena));
}

typedef struct DeltaStep {
    int start_s, time_s, value;
    int total;  // -1: rejected
} DeltaStep;

TEST(deltas_are_added_up_in_order_and_once) {
    static const DeltaStep steps[] = {
        {10, 20, 5, 5},  {20, 30, 3, 8},  {20, 30, 3, 8},  // a retry
        {20, 30, 4, -1},                                   // another value at the same time
        {20, 25, 3, -1},                                   // before the last one
        {5, 40, 3, -1},                                    // begins before the first one
        {30, 40, 2, 10}, {60, 70, 1, 11},                  // a gap
        {0, 80, 1, 12},                                    // no start told
        {85, 84, 1, -1},                                   // ends before it begins
    };
    for (int kind = 0; kind < 3; kind++) {
        OtlpWorld world;
        otlp_world_begin(&world, (OtlpOptions){0});
        for (size_t i = 0; i < COUNT(steps); i++) {
            const DeltaStep *step = &steps[i];
            Text json = delta_metric(t, kind, step->start_s, step->time_s, step->value);
            Text rows = otlp_rows(t, &world, text_to_cstring(json, t->arena));
            if ((step->total < 0) != (world.outcome.rejected == 1))
                check_failed(t, __FILE__, __LINE__, "kind %d step %zu: %s", kind, i,
                             world.outcome.first_fault.message);
            if (step->total < 0) continue;
            static const char *const wanted[] = {"d_total{job=\"svc\"} %d @",
                                                 "d_count{job=\"svc\"} %d @",
                                                 "d{job=\"svc\"} {schema:1 count:%d "};
            char line[100];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
            snprintf(line, sizeof line, wanted[kind], step->total);
#pragma GCC diagnostic pop
            if (text_find(rows, text_from_cstring(line)) < 0)
                check_failed(t, __FILE__, __LINE__, "kind %d step %zu: %s not in %.*s", kind, i,
                             line, TEXT_ARG(rows));
        }
        otlp_world_end(&world);
    }
}

TEST(deltas_begin_anew_when_they_were_silent_and_are_bounded_in_number) {
    OtlpWorld world;
    otlp_world_begin(&world, (OtlpOptions){.delta_series = 1, .delta_expires_ms = 5000});
    Text first = delta_metric(t, 0, 10, 20, 5);
    otlp_rows(t, &world, text_to_cstring(first, t->arena));
    // Another stream: one too many, and the reason says which setting.
    otlp_rows(t, &world,
              text_to_cstring(
                  otlp_metric(t,
                              "{'name':'other','sum':{'aggregationTemporality':1,'isMonotonic':"
                              "true,'dataPoints':[{'timeUnixNano':'9','asInt':1}]}}"),
                  t->arena));
    check_i64(t, 1, world.outcome.rejected);
    check(t, strstr(world.outcome.first_fault.message, "otlp.delta_series") != NULL);
    world.now_ms += 10000;
    Text rows = otlp_rows(t, &world, text_to_cstring(delta_metric(t, 0, 30, 40, 2), t->arena));
    check(t, text_find(rows, TEXT("d_total{job=\"svc\"} 2 @40000")) >= 0);
    otlp_world_end(&world);
}

TEST(deltas_of_exponential_histograms_meet_at_the_coarser_scale) {
    OtlpWorld world;
    otlp_world_begin(&world, (OtlpOptions){0});
    const char *const metrics[] = {
        "{'name':'d','exponentialHistogram':{'aggregationTemporality':1,'dataPoints':[{"
        "'timeUnixNano':'1000000000','count':3,'sum':1,'scale':3,'positive':{'offset':4,"
        "'bucketCounts':[1,1,1]}}]}}",
        "{'name':'d','exponentialHistogram':{'aggregationTemporality':1,'dataPoints':[{"
        "'timeUnixNano':'2000000000','count':4,'sum':2,'scale':2,'zeroCount':1,'positive':{"
        "'offset':0,'bucketCounts':[1,0,2]}}]}}"};
    rows_of_metric(t, &world, metrics[0]);
    check_text(t,
               TEXT("d{job=\"svc\"} {schema:2 count:7 sum:3 zero:1 below:1e-128 "
                    "positive:[1:1 2:0 3:4 4:1]} @2000\n"),
               rows_of_metric(t, &world, metrics[1]));
    otlp_world_end(&world);
}

// ---- Bad input ----

typedef struct BadPoint {
    const char *metric;
    const char *says;
} BadPoint;

TEST(a_bad_data_point_is_refused_alone_with_its_reason) {
    static const BadPoint cases[] = {
        {"{'name':'m','gauge':{'dataPoints':[{'asInt':1}]}}", "without a time"},
        {"{'name':'m','gauge':{'dataPoints':[{'timeUnixNano':9}]}}", "without a value"},
        {"{'gauge':{'dataPoints':[{'timeUnixNano':9,'asInt':1}]}}", "no name"},
        {"{'name':'...','gauge':{'dataPoints':[{'timeUnixNano':9,'asInt':1}]}}", "nothing is left"},
        {"{'name':'m','sum':{'dataPoints':[{'timeUnixNano':9,'asInt':1}]}}", "temporality"},
        {"{'name':'m','sum':{'aggregationTemporality':1,'isMonotonic':true,'dataPoints':[{"
         "'timeUnixNano':9,'asInt':-1}]}}",
         "negative"},
        {"{'name':'m','sum':{'aggregationTemporality':1,'dataPoints':[{'timeUnixNano':9,"
         "'asDouble':'NaN'}]}}",
         "finite"},
        {"{'name':'m','histogram':{'aggregationTemporality':2,'dataPoints':[{'timeUnixNano':9,"
         "'count':1,'bucketCounts':[1],'explicitBounds':[1]}]}}",
         "bucket counts for"},
        {"{'name':'m','histogram':{'aggregationTemporality':2,'dataPoints':[{'timeUnixNano':9,"
         "'count':1,'bucketCounts':[1,0,0],'explicitBounds':[2,1]}]}}",
         "do not rise"},
        {"{'name':'m','exponentialHistogram':{'aggregationTemporality':2,'dataPoints':[{"
         "'timeUnixNano':9,'scale':-5}]}}",
         "scale -5"},
        {"{'name':'m','exponentialHistogram':{'aggregationTemporality':2,'dataPoints':[{"
         "'timeUnixNano':9,'count':1,'positive':{'offset':2147483647,'bucketCounts':[1]}}]}}",
         "31 bits"},
        {"{'name':'m','exponentialHistogram':{'aggregationTemporality':2,'dataPoints':[{"
         "'timeUnixNano':9,'count':5,'positive':{'bucketCounts':[1]}}]}}",
         ""},
        {"{'name':'m','gauge':{'dataPoints':[{'timeUnixNano':9,'asInt':1,'attributes':[{'key':'',"
         "'value':{'stringValue':'x'}}]}]}}",
         "no name"},
        {"{'name':'m','gauge':{'dataPoints':[{'timeUnixNano':9,'asInt':1,'attributes':[{'key':"
         "'\xc3\xa9\xc3\xa9','value':{'stringValue':'x'}}]}]}}",
         "nothing is left"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        OtlpWorld world;
        otlp_world_begin(&world, (OtlpOptions){0});
        char *both = arena_push_array(t->arena, char, 2000);
        snprintf(both, 2000,
                 "{'name':'before','gauge':{'dataPoints':[{'timeUnixNano':1000000000,'asInt':1}]}},"
                 "%s,"
                 "{'name':'after','gauge':{'dataPoints':[{'timeUnixNano':1000000000,'asInt':2}]}}",
                 cases[i].metric);
        Text rows = rows_of_metric(t, &world, both);
        check_i64(t, 3, world.outcome.points);
        if (world.outcome.rejected != 1)
            check_failed(t, __FILE__, __LINE__, "case %zu: %s", i, cases[i].metric);
        check(t, text_find(rows, TEXT("before{job=\"svc\"} 1 @1000")) >= 0);
        check(t, text_find(rows, TEXT("after{job=\"svc\"} 2 @1000")) >= 0);
        if (strstr(world.outcome.first_fault.message, cases[i].says) == NULL)
            check_failed(t, __FILE__, __LINE__, "case %zu says \"%s\"", i,
                         world.outcome.first_fault.message);
        otlp_world_end(&world);
    }
}

TEST(too_much_of_anything_is_refused_with_the_limits_name) {
    AUTO(builder_free) Builder many = {0}, deep = {0}, wide = {0};
    for (int i = 0; i < 10000; i++)
        builder_addf(&many, "%s{'key':'k%d','value':{'stringValue':'v'}}", i == 0 ? "" : ",", i);
    for (int i = 0; i < 17; i++) builder_add(&deep, TEXT("{'arrayValue':{'values':["));
    for (int i = 0; i < 17; i++) builder_add(&deep, TEXT("]}}"));
    for (int i = 0; i < 3000; i++) builder_add(&wide, i == 0 ? TEXT("1") : TEXT(",1"));
    static const char *const formats[] = {"many", "deep", "wide"};
    static const char *const says[] = {"more than 40 attributes", "NESTING_ATTRIBUTE",
                                       "OTLP_BUCKETS"};
    for (size_t i = 0; i < COUNT(formats); i++) {
        OtlpWorld world;
        otlp_world_begin(&world, (OtlpOptions){0});
        Builder metric = {0};
        if (i == 2) {
            builder_addf(&metric,
                         "{'name':'m','histogram':{'aggregationTemporality':2,'dataPoints':[{"
                         "'timeUnixNano':9,'bucketCounts':[%.*s]}]}}",
                         (int)wide.len, wide.at);
        } else {
            builder_add(&metric, TEXT("{'name':'m','gauge':{'dataPoints':[{'timeUnixNano':9,"
                                      "'asInt':1,'attributes':["));
            if (i == 1) builder_add(&metric, TEXT("{'key':'k','value':"));
            builder_add(&metric, builder_text(i == 0 ? &many : &deep));
            builder_add(&metric, i == 1 ? TEXT("}]}]}}") : TEXT("]}]}}"));
        }
        rows_of_metric(t, &world, text_to_cstring(builder_text(&metric), t->arena));
        builder_free(&metric);
        check_i64(t, 1, world.outcome.rejected);
        if (strstr(world.outcome.first_fault.message, says[i]) == NULL)
            check_failed(t, __FILE__, __LINE__, "%s: %s", formats[i],
                         world.outcome.first_fault.message);
        otlp_world_end(&world);
    }
}

TEST(json_of_wrong_types_is_refused_whole_naming_the_field) {
    static const char *const cases[][2] = {
        {"[]", "object"},
        {"{'resourceMetrics':{}}", "resourceMetrics wants a list"},
        {"{'resourceMetrics':[1]}", "resourceMetrics wants an object"},
        {"{'resourceMetrics':[{'scopeMetrics':[{'metrics':[{'name':5}]}]}]}",
         "name wants a string"},
        {"{'resourceMetrics':[{'scopeMetrics':[{'metrics':[{'sum':{'dataPoints':[{'asInt':1.5}]}}]}"
         "]}]}",
         "asInt wants a whole number"},
        {"{'resourceMetrics':[{'scopeMetrics':[{'metrics':[{'sum':{'isMonotonic':1}}]}]}]}",
         "isMonotonic wants true or false"},
        {"{'resourceMetrics':[{'scopeMetrics':[{'metrics':[{'sum':{'aggregationTemporality':"
         "'DELTA'}}]}]}]}",
         "temporality"},
        {"{'resourceMetrics':[{'scopeMetrics':[{'metrics':[{'gauge':{'dataPoints':[{'exemplars':[{"
         "'traceId':'xyz'}]}]}}]}]}]}",
         "traceId wants hexadecimal"},
        {"{'resourceMetrics':[", "line"},
        {"{} {}", ""},
        {"", ""},
    };
    OtlpWorld world;
    otlp_world_begin(&world, (OtlpOptions){0});
    for (size_t i = 0; i < COUNT(cases); i++) {
        WriteBody rows = {0};
        Text json = otlp_quotes(t, cases[i][0]);
        check(t, !otlp_metrics_json(world.sender, 1, text_bytes(json), 5, &rows, &world.outcome,
                                    t->err));
        check_i64(t, ERROR_BAD_INPUT, t->err->code);
        if (strstr(t->err->message, cases[i][1]) == NULL)
            check_failed(t, __FILE__, __LINE__, "case %zu says \"%s\"", i, t->err->message);
        check_i64(t, 0, rows.rows);
        write_body_free(&rows);
    }
    // Unknown fields, nulls and snake_case are fine.
    check_text(t, TEXT("# gauge m \"\" \nm 1 @1000\n"),
               otlp_rows(t, &world,
                         "{'future':[{'x':1}],'resource_metrics':[{'resource':null,"
                         "'scope_metrics':[{'metrics':[{'name':'m','unit':null,'gauge':{"
                         "'data_points':[{'time_unix_nano':1000000000,'as_int':1}]}}]}]}]}"));
    otlp_world_end(&world);
}

// A body of every kind, as protobuf.
static Bytes all_kinds(Test *t) {
    AUTO(builder_free) Builder metrics = {0}, out = {0};
    for (size_t i = 0; i < COUNT(kinds); i++)
        builder_addf(&metrics, "%s%s", i == 0 ? "" : ",", kinds[i].metric);
    Text json = otlp_quotes(
        t, text_to_cstring(otlp_metric(t, text_to_cstring(builder_text(&metrics), t->arena)),
                           t->arena));
    check_ok(t, otlp_json_to_protobuf(json, t->arena, &out, t->err));
    return bytes_copy(text_bytes(builder_text(&out)), t->arena);
}

TEST(every_truncation_is_refused_whole_and_changes_nothing) {
    OtlpWorld world;
    otlp_world_begin(&world, (OtlpOptions){0});
    Bytes whole = all_kinds(t);
    Text expected = otlp_rows_of(t, &world, OTLP_PROTOBUF, whole);
    for (size_t len = 1; len < whole.len; len++) {
        uint8_t *exact = memory_take(len);
        memcpy(exact, whole.at, len);
        WriteBody rows = {0};
        bool done = otlp_metrics_protobuf(world.sender, 1, (Bytes){exact, len}, 1, &rows,
                                          &world.outcome, t->err);
        check(t, !done && t->err->code == ERROR_BAD_INPUT);
        write_body_free(&rows);
        memory_free(exact);
    }
    check_text(t, expected, otlp_rows_of(t, &world, OTLP_PROTOBUF, whole));
    otlp_world_end(&world);
}

TEST(a_cache_that_is_full_forgets_and_gives_the_same_rows) {
    OtlpWorld small, large;
    otlp_world_begin(&small, (OtlpOptions){.cache_bytes = 20000});
    otlp_world_begin(&large, (OtlpOptions){0});
    for (int round = 0; round < 30; round++) {
        AUTO(builder_free) Builder metric = {0};
        builder_add(&metric, TEXT("{'name':'m','gauge':{'dataPoints':["));
        for (int i = 0; i < 20; i++)
            builder_addf(&metric,
                         "%s{'timeUnixNano':'%d000000','asInt':%d,'attributes':[{'key':'id','value'"
                         ":{'stringValue':'value-%d'}}]}",
                         i == 0 ? "" : ",", round + 1, i, round / 3 * 7 + i);
        builder_add(&metric, TEXT("]}}"));
        char *json = text_to_cstring(builder_text(&metric), t->arena);
        Text left = rows_of_metric(t, &small, json), right = rows_of_metric(t, &large, json);
        // The one that forgets says again what the metric is.
        Text line = TEXT_NONE;
        if (text_starts_with(left, TEXT("#"))) text_cut(&left, '\n', &line);
        if (text_starts_with(right, TEXT("#"))) text_cut(&right, '\n', &line);
        check_text(t, right, left);
    }
    otlp_world_end(&small);
    otlp_world_end(&large);
}

// ---- Protobuf as others write it ----

static void add_attribute(Builder *out, uint32_t number, const char *key, const char *value) {
    size_t pair = protobuf_begin(out, number);
    protobuf_add_text(out, 1, text_from_cstring(key));
    size_t any = protobuf_begin(out, 2);
    protobuf_add_text(out, 1, text_from_cstring(value));
    protobuf_end(out, any);
    protobuf_end(out, pair);
}

TEST(protobuf_in_any_order_of_fields_means_the_same) {
    OtlpWorld world;
    otlp_world_begin(&world, (OtlpOptions){0});
    AUTO(builder_free) Builder out = {0};
    size_t resource_metrics = protobuf_begin(&out, 1);
    size_t scope_metrics = protobuf_begin(&out, 2);
    size_t metric = protobuf_begin(&out, 2);
    size_t sum = protobuf_begin(&out, 7);
    protobuf_add_varint(&out, 3, 1);
    size_t point = protobuf_begin(&out, 1);
    add_attribute(&out, 7, "b", "2");
    protobuf_add_fixed64(&out, 6, (uint64_t)-5);
    protobuf_add_fixed64(&out, 3, 1000000000);
    add_attribute(&out, 7, "a", "1");  // apart from the other
    protobuf_add_varint(&out, 99, 7);  // of a later version
    protobuf_end(&out, point);
    protobuf_add_varint(&out, 2, 2);
    protobuf_end(&out, sum);
    protobuf_add_text(&out, 3, TEXT("By"));
    protobuf_add_text(&out, 1, TEXT("m"));
    protobuf_end(&out, metric);
    protobuf_end(&out, scope_metrics);
    size_t resource = protobuf_begin(&out, 1);
    add_attribute(&out, 1, "service.name", "svc");
    protobuf_end(&out, resource);
    protobuf_end(&out, resource_metrics);
    Bytes body = text_bytes(builder_text(&out));
    check_text(t,
               TEXT("# counter m_bytes_total \"\" bytes\n"
                    "m_bytes_total{a=\"1\", b=\"2\", job=\"svc\"} -5 @1000\n"),
               otlp_rows_of(t, &world, OTLP_PROTOBUF, body));
    check_text(t, TEXT("m_bytes_total{a=\"1\", b=\"2\", job=\"svc\"} -5 @1000\n"),
               otlp_rows_of(t, &world, OTLP_PROTOBUF, body));
    check_i64(t, 1, world.outcome.cached);
    otlp_world_end(&world);
}

TEST(a_few_bytes_that_would_become_endless_rows_are_too_large) {
    OtlpWorld world;
    otlp_world_begin(&world, (OtlpOptions){.promote = {(Text[]){TEXT("*")}, 1}});
    AUTO(builder_free) Builder out = {0}, value = {0};
    for (int i = 0; i < 2000; i++) builder_add_char(&value, 'v');
    builder_add_char(&value, '\0');
    size_t resource_metrics = protobuf_begin(&out, 1);
    size_t resource = protobuf_begin(&out, 1);
    add_attribute(&out, 1, "long", value.at);
    protobuf_end(&out, resource);
    size_t scope_metrics = protobuf_begin(&out, 2);
    size_t metric = protobuf_begin(&out, 2);
    protobuf_add_text(&out, 1, TEXT("m"));
    size_t gauge = protobuf_begin(&out, 5);
    for (int i = 0; i < 50000; i++) {
        size_t point = protobuf_begin(&out, 1);
        protobuf_add_fixed64(&out, 3, 1000000000);
        protobuf_add_fixed64(&out, 6, 1);
        protobuf_end(&out, point);
    }
    protobuf_end(&out, gauge);
    protobuf_end(&out, metric);
    protobuf_end(&out, scope_metrics);
    protobuf_end(&out, resource_metrics);
    WriteBody rows = {0};
    check_error(t,
                otlp_metrics_protobuf(world.sender, 1, text_bytes(builder_text(&out)), 1, &rows,
                                      &world.outcome, t->err),
                ERROR_TOO_LARGE);
    write_body_free(&rows);
    otlp_world_end(&world);
}

// Points that are refused for their labels leave nothing behind, however long the labels are.
TEST(refused_points_of_a_long_resource_take_no_memory) {
    OtlpWorld world;
    otlp_world_begin(&world, (OtlpOptions){0});
    AUTO(builder_free) Builder out = {0}, value = {0};
    for (int i = 0; i < 50000; i++) builder_add_char(&value, 'v');
    builder_add_char(&value, '\0');
    size_t resource_metrics = protobuf_begin(&out, 1);
    size_t resource = protobuf_begin(&out, 1);
    add_attribute(&out, 1, "service.name", value.at);
    protobuf_end(&out, resource);
    size_t scope_metrics = protobuf_begin(&out, 2);
    size_t metric = protobuf_begin(&out, 2);
    protobuf_add_text(&out, 1, TEXT("m"));
    size_t gauge = protobuf_begin(&out, 5);
    enum { POINTS = 4000 };
    for (int i = 0; i < POINTS; i++) {
        size_t point = protobuf_begin(&out, 1);
        protobuf_add_fixed64(&out, 3, 1000000000);
        protobuf_add_fixed64(&out, 6, 1);
        protobuf_end(&out, point);
    }
    protobuf_end(&out, gauge);
    protobuf_end(&out, metric);
    protobuf_end(&out, scope_metrics);
    protobuf_end(&out, resource_metrics);
    WriteBody rows = {0};
    struct mallinfo2 before = mallinfo2();
    check_ok(t, otlp_metrics_protobuf(world.sender, 1, text_bytes(builder_text(&out)), 1, &rows,
                                      &world.outcome, t->err));
    struct mallinfo2 after = mallinfo2();
    check_i64(t, POINTS, (int64_t)world.outcome.rejected);
    check(t, strstr(world.outcome.first_fault.message, "SERIES_LABELS_BYTES") != NULL);
    int64_t more =
        (int64_t)(after.uordblks + after.hblkhd) - (int64_t)(before.uordblks + before.hblkhd);
    check(t, more < 4 * MB);
    write_body_free(&rows);
    otlp_world_end(&world);
}

// One delta whose buckets do not hold what it counts is refused alone: its stream goes on.
TEST(a_delta_that_is_wrong_does_not_spoil_its_total) {
    OtlpWorld world;
    otlp_world_begin(&world, (OtlpOptions){.native_buckets = true});
#define DELTA_FORM                                                                       \
    "{'name':'d','histogram':{'aggregationTemporality':1,'dataPoints':[{'timeUnixNano':" \
    "'%d000000000','count':%d,'sum':1,'bucketCounts':[1,1],'explicitBounds':[5]}]}}"
    for (int i = 1; i <= 3; i++) {
        Text metric = text_format(t->arena, DELTA_FORM, i, i == 2 ? 7 : 2);
        Text rows = rows_of_metric(t, &world, text_to_cstring(metric, t->arena));
        check_i64(t, i == 2, (int64_t)world.outcome.rejected);
        if (i == 3) check(t, text_find(rows, TEXT("count:4 ")) >= 0);
    }
    otlp_world_end(&world);
}

// ---- The examples of the specification ----

// ---- When counting began ----

TEST(counters_say_when_their_counting_began_and_gauges_do_not) {
#define POINT "'startTimeUnixNano':'500000001','timeUnixNano':'1000000000'"
    static const struct {
        const char *metric, *rows;
    } cases[] = {
        {"{'name':'c','sum':{'aggregationTemporality':2,'isMonotonic':true,'dataPoints':[{" POINT
         ",'asInt':7}]}}",
         "c_total{job=\"svc\"} 7 @1000 since 500\n"},
        {"{'name':'c','sum':{'aggregationTemporality':2,'isMonotonic':true,'dataPoints':[{" POINT
         ",'asInt':7,'exemplars':[{'timeUnixNano':'900000000','asInt':1}]}]}}",
         "c_total{job=\"svc\"} 7 @1000 since 500 # {} 1 @900\n"},
        {"{'name':'c','sum':{'aggregationTemporality':2,'dataPoints':[{" POINT ",'asInt':7}]}}",
         "c{job=\"svc\"} 7 @1000\n"},
        {"{'name':'g','gauge':{'dataPoints':[{" POINT ",'asInt':7}]}}", "g{job=\"svc\"} 7 @1000\n"},
        {"{'name':'h','histogram':{'aggregationTemporality':2,'dataPoints':[{" POINT
         ",'count':1,'sum':1,'bucketCounts':[1,0],'explicitBounds':[1]}]}}",
         "h_sum{job=\"svc\"} 1 @1000 since 500\nh_count{job=\"svc\"} 1 @1000 since 500\n"
         "h_bucket{job=\"svc\", le=\"1\"} 1 @1000 since 500\n"
         "h_bucket{job=\"svc\", le=\"+Inf\"} 1 @1000 since 500\n"},
        {"{'name':'s','summary':{'dataPoints':[{" POINT
         ",'count':1,'sum':2,'quantileValues':[{'quantile':0.5,'value':3}]}]}}",
         "s_sum{job=\"svc\"} 2 @1000 since 500\ns_count{job=\"svc\"} 1 @1000 since 500\n"
         "s{job=\"svc\", quantile=\"0.5\"} 3 @1000\n"},
    };
#undef POINT
    for (size_t i = 0; i < COUNT(cases); i++) {
        OtlpWorld world;
        otlp_world_begin(&world, (OtlpOptions){0});
        // Twice: the second comes from what is kept of the first.
        for (int round = 0; round < 2; round++) {
            Text rows = rows_of_metric(t, &world, cases[i].metric);
            if (text_find(rows, text_from_cstring(cases[i].rows)) < 0)
                check_failed(t, __FILE__, __LINE__, "case %zu: %.*s", i, TEXT_ARG(rows));
        }
        otlp_world_end(&world);
    }
}

// What deltas add up to began with the first of them, and again with the one that begins anew.
TEST(totals_of_deltas_began_with_their_first_one) {
    static const DeltaStep steps[] = {{10, 20, 5, 5}, {20, 30, 3, 8}, {30, 40, 2, 10}};
    for (int kind = 0; kind < 3; kind++) {
        OtlpWorld world;
        otlp_world_begin(&world, (OtlpOptions){.delta_expires_ms = 5000});
        for (size_t i = 0; i < COUNT(steps); i++) {
            bool anew = i == 2;
            if (anew) world.now_ms += 10000;
            Text json = delta_metric(t, kind, steps[i].start_s, steps[i].time_s, steps[i].value);
            Text rows = otlp_rows(t, &world, text_to_cstring(json, t->arena));
            Text wanted =
                text_format(t->arena, "@%d000 since %d", steps[i].time_s, anew ? 30000 : 10000);
            if (text_find(rows, wanted) < 0)
                check_failed(t, __FILE__, __LINE__, "kind %d step %zu: %.*s", kind, i,
                             TEXT_ARG(rows));
        }
        otlp_world_end(&world);
    }
}

TEST(the_examples_of_opentelemetry_become_rows) {
    Text folder = test_data_folder(t, "wire/otlp/examples");
    Text path = text_format(t->arena, "%.*s/metrics.json", TEXT_ARG(folder));
    FILE *file = fopen(text_to_cstring(path, t->arena), "rb");
    check(t, file != NULL);
    char *json = arena_push_array(t->arena, char, 100000);
    size_t len = fread(json, 1, 100000, file);
    fclose(file);
    OtlpWorld world;
    otlp_world_begin(&world, (OtlpOptions){0});
    Text rows = otlp_rows_of(t, &world, OTLP_JSON, (Bytes){(uint8_t *)json, len});
    check_text(t,
               TEXT("# counter my_counter_total \"I am a Counter\" \n"
                    "my_counter_total{job=\"my.service\", my_counter_attr=\"some value\"} 5 "
                    "@1544712660300 since 1544712660300\n"
                    "# gauge my_gauge_ratio \"I am a Gauge\" \n"
                    "my_gauge_ratio{job=\"my.service\", my_gauge_attr=\"some value\"} 10 "
                    "@1544712660300\n"
                    "# histogram my_histogram \"I am a Histogram\" \n"
                    "my_histogram_sum{job=\"my.service\", my_histogram_attr=\"some value\"} 2 "
                    "@1544712660300 since 1544712660300\n"
                    "my_histogram_count{job=\"my.service\", my_histogram_attr=\"some value\"} 2 "
                    "@1544712660300 since 1544712660300\n"
                    "my_histogram_bucket{job=\"my.service\", le=\"1\", my_histogram_attr=\"some "
                    "value\"} 1 @1544712660300 since 1544712660300\n"
                    "my_histogram_bucket{job=\"my.service\", le=\"+Inf\", my_histogram_attr=\"some "
                    "value\"} 2 @1544712660300 since 1544712660300\n"
                    "# histogram my_exponential_histogram \"I am an Exponential Histogram\" \n"
                    "my_exponential_histogram{job=\"my.service\", "
                    "my_exponential_histogram_attr=\"some value\"} {schema:0 count:3 sum:10 zero:1 "
                    "below:1e-128 positive:[3:2]} @1544712660300 since 1544712660300\n"),
               rows);
    otlp_world_end(&world);
}

TEST_MAIN("otlp", CASE(each_kind_of_data_point_becomes_the_rows_of_prometheus),
          CASE(a_known_data_point_gives_the_same_rows_from_memory),
          CASE(attributes_of_every_type_become_text),
          CASE(labels_that_collide_are_joined_and_reserved_ones_win),
          CASE(a_resource_becomes_job_instance_and_target_info),
          CASE(settings_promote_resource_attributes_and_scopes),
          CASE(there_is_no_target_info_without_a_target_or_anything_to_tell),
          CASE(histograms_become_native_ones_where_that_is_asked_for),
          CASE(deltas_are_added_up_in_order_and_once),
          CASE(deltas_begin_anew_when_they_were_silent_and_are_bounded_in_number),
          CASE(deltas_of_exponential_histograms_meet_at_the_coarser_scale),
          CASE(a_bad_data_point_is_refused_alone_with_its_reason),
          CASE(too_much_of_anything_is_refused_with_the_limits_name),
          CASE(json_of_wrong_types_is_refused_whole_naming_the_field),
          CASE(every_truncation_is_refused_whole_and_changes_nothing),
          CASE(a_cache_that_is_full_forgets_and_gives_the_same_rows),
          CASE(protobuf_in_any_order_of_fields_means_the_same),
          CASE(a_few_bytes_that_would_become_endless_rows_are_too_large),
          CASE(refused_points_of_a_long_resource_take_no_memory),
          CASE(a_delta_that_is_wrong_does_not_spoil_its_total),
          CASE(counters_say_when_their_counting_began_and_gauges_do_not),
          CASE(totals_of_deltas_began_with_their_first_one),
          CASE(the_examples_of_opentelemetry_become_rows))
