// Remote read: POST /api/v1/read, as another Prometheus asks it.

#include "query/remote_read/remote_read.h"

#include "base/limits.h"
#include "base/memory.h"
#include "codec/compress.h"
#include "server/paid_read.h"
#include "server/pieces.h"
#include "server/serve.h"

static bool unpack(Request *request, Builder *out, Error *err) {
    Text encoding = http_header(request->exchange, TEXT("Content-Encoding"));
    Compression compression = COMPRESSION_SNAPPY;  // without a header too, as in Prometheus
    if (encoding.len > 0 && !compression_from_name(encoding, &compression)) {
        return request_refuse(request, 415, "bad_data", err, ERROR_UNSUPPORTED,
                              "the body of a remote read is packed with snappy, not \"%.*s\"",
                              TEXT_ARG(encoding));
    }
    return decompress(compression, request->exchange->body, (size_t)LIMIT_HTTP_BODY_BYTES, out,
                      err) ||
           error_context(err, "the body of the remote read");
}

// A view shows what may not go while it is open, and a reader may be slow.
enum { VIEW_AGE_MS = 5000 };

typedef struct RemoteRead {
    Production production;  // first, so that one is the other
    PaidRead paid;          // for the work alone, not for waiting
    Request *request;
    Arena arena;
    Builder plain;  // the request, unpacked
    ReadRequest read;
    ReadAnswer answer;
    SeriesStore *store;  // NULL: the tenant never wrote
    ReadFrames *frames;  // NULL: samples are asked for
    int64_t opened_ns;
    bool counted, whole;
} RemoteRead;

static void remote_read_free(Production *production) {
    RemoteRead *remote = (RemoteRead *)production;
    Counters *counters = &remote->request->server->counters;
    if (remote->counted && remote->whole)
        count_up(&counters->query_samples, remote->answer.samples);
    if (remote->counted && !remote->whole) count_up(&counters->queries_failed, 1);
    read_frames_free(&remote->frames);
    read_request_close(&remote->read);
    arena_free(&remote->arena);
    builder_free(&remote->plain);
    remote->paid.samples = remote->answer.samples;
    paid_read_end(&remote->paid);
    memory_free(remote);
}

// One message in one block of snappy, so it cannot come in pieces.
static bool write_samples(RemoteRead *remote, Builder *out, Error *err) {
    AUTO(builder_free) Builder plain = {0};
    remote->answer.out = &plain;
    TRY(read_answer_samples(remote->store, &remote->read, &remote->answer, err));
    TRY(compress_bytes(COMPRESSION_SNAPPY, 0, text_bytes(builder_text(&plain)), out, err));
    request_add_header(remote->request, TEXT("Content-Encoding"), TEXT("snappy"));
    return true;
}

static bool write_frames(RemoteRead *remote, Builder *out, bool *done, Error *err) {
    Clock *clock = remote->request->server->options.clock;
    int64_t now_ns = clock->monotonic_ns(clock);
    if (now_ns - remote->opened_ns >= VIEW_AGE_MS * INT64_C(1000000)) {
        read_frames_let_go(remote->frames);
        remote->opened_ns = now_ns;
    }
    remote->answer.out = out;
    return read_frames_next(remote->frames, PIECE_BYTES, done, err) &&
           paid_read_go_on(&remote->paid, err);
}

static bool remote_read_next(Production *production, Builder *out, bool *done, Error *err) {
    RemoteRead *remote = (RemoteRead *)production;
    paid_read_again(&remote->paid);
    bool ok = remote->frames == NULL ? (*done = write_samples(remote, out, err))
                                     : write_frames(remote, out, done, err);
    production->charged = remote->answer.charged;
    remote->whole = ok && *done;
    paid_read_rest(&remote->paid);
    return ok;
}

bool serve_remote_read(Request *request, Error *err) {
    Server *server = request->server;
    RemoteRead *remote = memory_new(RemoteRead);
    AUTO(production_free) Production *production = &remote->production;
    *production = (Production){.next = remote_read_next, .free = remote_read_free};
    remote->request = request;
    TRY(paid_read_begin(request, &remote->paid, err));
    production->budget = paid_read_budget(&remote->paid);
    Tenant *tenant;
    TRY(unpack(request, &remote->plain, err));
    Bytes wire = text_bytes(builder_text(&remote->plain));
    TRY(read_request_decode(wire, &remote->arena, &remote->read, err));
    TRY(request_tenant(request, false, &tenant, err));
    remote->store = tenant == NULL ? NULL : tenant->series;
    remote->answer = (ReadAnswer){.budget = production->budget,
                                  .meter = &remote->paid.meter,
                                  .bytes_max = atomic_load(&server->query_memory_bytes),
                                  .cancelled = &request->cancelled};
    TRY(request_external_labels(request, &remote->arena, &remote->answer.external, err));
    read_request_drop(&remote->read, remote->answer.external);
    count_up(&server->counters.queries, 1);
    remote->counted = true;
    request->as_it_is = true;
    if (remote->read.chunks_wanted) {
        remote->frames = read_frames_begin(remote->store, &remote->read, &remote->answer);
        request->content_type =
            TEXT("application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse");
    } else {
        request->content_type = TEXT("application/x-protobuf");
    }
    return request_produce(request, TAKE(production), err);
}
