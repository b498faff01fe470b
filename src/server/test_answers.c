// What the server answers, route by route, once test_write_some() was written.

#include "server/test_server.h"

const TestAnswer test_answers[] = {
    // The health check of Grafana's data source.
    {"/api/v1/query?query=1%2B1&time=4", "{\"resultType\":\"scalar\",\"result\":[4,\"2\"]}"},
    {"/prometheus/api/v1/query?query=1%2B1&time=4",
     "{\"resultType\":\"scalar\",\"result\":[4,\"2\"]}"},
    {"/api/v1/query?query=%22text%22&time=4.5",
     "{\"resultType\":\"string\",\"result\":[4.5,\"text\"]}"},
    {"/api/v1/query?query=up&time=1760000030",
     "{\"resultType\":\"vector\",\"result\":[{\"metric\":{\"__name__\":\"up\",\"instance\":\"a\"},"
     "\"value\":[1760000030,\"1\"]},"
     "{\"metric\":{\"__name__\":\"up\",\"instance\":\"b\"},\"value\":[1760000030,\"2\"]}]}"},
    {"/api/v1/query?query=up&time=2025-10-09T08:53:50Z",
     "{\"resultType\":\"vector\",\"result\":[{\"metric\":{\"__name__\":\"up\",\"instance\":\"a\"},"
     "\"value\":[1760000030,\"1\"]},"
     "{\"metric\":{\"__name__\":\"up\",\"instance\":\"b\"},\"value\":[1760000030,\"2\"]}]}"},
    {"/api/v1/query?query=up{instance=\"b\"}[20s]&time=1760000030",
     "{\"resultType\":\"matrix\",\"result\":[{\"metric\":{\"__name__\":\"up\",\"instance\":\"b\"},"
     "\"values\":[[1760000015,\"1\"],"
     "[1760000030,\"2\"]]}]}"},
    {"/api/v1/query?query=sum(up)/0&time=1760000030",
     "{\"resultType\":\"vector\",\"result\":[{\"metric\":{},\"value\":[1760000030,\"+Inf\"]}]}"},
    {"/api/v1/query?query=nothing&time=1760000030", "{\"resultType\":\"vector\",\"result\":[]}"},
    {"/api/v1/query_range?query=sum(up)&start=1760000000&end=1760000030&step=15",
     "{\"resultType\":\"matrix\",\"result\":[{\"metric\":{},\"values\":[[1760000000,\"1\"],["
     "1760000015,\"2\"],[1760000030,\"3\"]]}]}"},
    {"/api/v1/query_range?query=up{instance=\"b\"}&start=1760000000.5&end=1760000015.5&step=15s",
     "{\"resultType\":\"matrix\",\"result\":[{\"metric\":{\"__name__\":\"up\",\"instance\":\"b\"},"
     "\"values\":[[1760000000.5,\"0\"],"
     "[1760000015.5,\"1\"]]}]}"},
    {"/api/v1/series?match[]=up",
     "[{\"__name__\":\"up\",\"instance\":\"a\"},{\"__name__\":\"up\",\"instance\":\"b\"}]"},
    {"/api/v1/series?match[]=up{instance=\"b\"}&match[]={__name__=~\"up|jobs.*\",instance!=\"a\"}",
     "[{\"__name__\":\"jobs_total\",\"queue\":\"mail\"},{\"__name__\":\"up\",\"instance\":\"b\"}]"},
    {"/api/v1/series?match[]=nothing", "[]"},
    {"/api/v1/labels", "[\"__name__\",\"instance\",\"queue\"]"},
    {"/api/v1/labels?match[]=jobs_total", "[\"__name__\",\"queue\"]"},
    {"/api/v1/labels?match[]=jobs_total&match[]=up&start=1759999000&end=1760001000",
     "[\"__name__\",\"instance\",\"queue\"]"},
    {"/api/v1/label/instance/values", "[\"a\",\"b\"]"},
    {"/api/v1/label/__name__/values", "[\"jobs_total\",\"up\"]"},
    {"/api/v1/label/U______name____/values", "[\"jobs_total\",\"up\"]"},
    {"/api/v1/label/instance/values?match[]=up{instance=~\"b\"}", "[\"b\"]"},
    {"/api/v1/label/none/values", "[]"},
    {"/api/v1/metadata",
     "{\"jobs_total\":[{\"type\":\"counter\",\"help\":\"Jobs \\\"done\\\".\",\"unit\":\"\"}],"
     "\"up\":[{\"type\":\"gauge\",\"help\":\"Is it up?\",\"unit\":\"\"}]}"},
    {"/api/v1/metadata?limit=1",
     "{\"jobs_total\":[{\"type\":\"counter\",\"help\":\"Jobs \\\"done\\\".\",\"unit\":\"\"}]}"},
    {"/api/v1/metadata?limit=0", "{}"},
    {"/api/v1/metadata?metric=up&limit=-1&limit_per_metric=0",
     "{\"up\":[{\"type\":\"gauge\",\"help\":\"Is it up?\",\"unit\":\"\"}]}"},
    {"/api/v1/metadata?metric=up",
     "{\"up\":[{\"type\":\"gauge\",\"help\":\"Is it up?\",\"unit\":\"\"}]}"},
    {"/api/v1/format_query?query=sum(up{b=%221%22,a=%222%22})by(x)%3E1",
     "\"sum by (x) (up{a=\\\"2\\\",b=\\\"1\\\"}) > 1\""},
    {"/api/v1/parse_query?query=-1.5", "{\"type\":\"numberLiteral\",\"val\":\"-1.5\"}"},
    {"/api/v1/query_exemplars?query=up", "[]"},
    {"/api/v1/rules", "{\"groups\":[]}"},
    {"/api/v1/alerts", "{\"alerts\":[]}"},
    {"/api/v1/targets", "{\"activeTargets\":[],\"droppedTargets\":[],\"droppedTargetCounts\":{}}"},
    {"/api/v1/status/config", "{\"yaml\":\"listen: 127.0.0.1:0\\n\"}"},
    {"/api/v1/status/flags",
     "{\"listen\":\"127.0.0.1:0\",\"web.listen-address\":\"127.0.0.1:0\","
     "\"web.enable-lifecycle\":\"true\",\"web.enable-remote-write-receiver\":\"true\"}"},
    {"/api/traceo/v1/settings",
     "[{\"key\":\"listen\",\"value\":\"127.0.0.1:0\",\"default\":\"127.0.0.1:4310\","
     "\"from\":\"traceo.yaml:3\",\"kind\":\"text\",\"unit\":\"ADDR:PORT\",\"reload\":false,"
     "\"help\":\"Where to listen.\"}]"},
    {"/api/v1/status/walreplay", "{\"min\":0,\"max\":100,\"current\":100,\"state\":\"done\"}"},
    {"/api/v1/status/buildinfo",
     "{\"version\":\"3.5.0\",\"revision\":\"traceo-0.1.0-abc123\",\"branch\":\"\",\"buildUser\":"
     "\"\",\"buildDate\":\"2026-11-21\","
     "\"goVersion\":\"\"}"},
};
const size_t test_answer_count = COUNT(test_answers);

void test_check_answers(Test *t, TestServer *world) {
    for (size_t i = 0; i < test_answer_count; i++) {
        Text expected =
            text_format(t->arena, "{\"status\":\"success\",\"data\":%s}", test_answers[i].data);
        HttpClientAnswer answer = test_get(t, world, test_answers[i].target);
        if (answer.status != 200 || !text_equal(expected, answer.body)) {
            check_failed(t, __FILE__, __LINE__, "%s: %d %.*s\n  not %.*s", test_answers[i].target,
                         answer.status, TEXT_ARG(answer.body), TEXT_ARG(expected));
        }
        check_text(t, TEXT("application/json"), test_header(answer, TEXT("Content-Type")));
    }
}
