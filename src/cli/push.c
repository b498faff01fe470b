// `traceo push`: a page of samples from a file or standard input, sent by remote write.

#include "base/limits.h"
#include "cli/client.h"
#include "cli/extra_labels.h"
#include "cli/progress.h"
#include "cli/run.h"
#include "codec/compress.h"
#include "ingest/ingest.h"
#include "ingest/scrape/exposition.h"
#include "os/clock.h"
#include "os/process.h"

static const int64_t INPUT_BYTES_MAX = 256 * MB;
static const size_t REQUEST_BYTES_MAX =
    2 * MB;  // before compression; well below the server's limits

// Metadata of one family, gathered from its lines.
typedef struct Family {
    Text name, help, unit;  // name empty: none
    MetadataType type;
    Arena arena;
} Family;

typedef struct Push {
    Call *call;
    Client client;
    ExtraLabels extra;
    int64_t now_ms;
    Family family;
    WriteBody body;
    uint64_t samples, requests;
    ProgressLine line;
    Error refused;  // of the first request of which rows were refused; the others go on
} Push;

static void push_end(Push *push) {
    progress_end(&push->line);
    write_body_free(&push->body);
    arena_free(&push->family.arena);
}

static bool read_input(const Call *call, Builder *out, Text *name, Error *err) {
    *name = call_argument(call, 0);
    if (name->len == 0 || text_equal(*name, TEXT("-"))) {
        *name = TEXT("standard input");
        if (stream_in_is_terminal())
            stream_write_err(
                TEXT("reading samples from the terminal; Ctrl-D ends them, as in: "
                     "backup_size_bytes{host=\"a\"} 1024\n"));
        return stream_read_in(INPUT_BYTES_MAX, out, err);
    }
    Bytes content;
    TRY(disk_read_whole(disk_real(), *name, INPUT_BYTES_MAX, call->arena, &content, err));
    builder_add(out, bytes_text(content));
    return true;
}

static void finish_family(Push *push) {
    Family *family = &push->family;
    if (family->name.len > 0) {
        write_body_add_metadata(&push->body, family->name, (uint8_t)family->type, family->help,
                                family->unit);
    }
    family->name = family->help = family->unit = TEXT("");
    family->type = METADATA_UNKNOWN;
    arena_clear(&family->arena);
}

static void add_metadata(Push *push, Exposition *page, const ExpositionRow *row, Arena *arena) {
    Family *family = &push->family;
    Text name = exposition_family(page, row, arena);
    if (!text_equal(name, family->name)) {
        finish_family(push);
        family->name = text_copy(name, &family->arena);
    }
    Text text = text_copy(exposition_text(page, row, arena), &family->arena);
    if (row->kind == EXPOSITION_TYPE) family->type = row->type;
    if (row->kind == EXPOSITION_HELP) family->help = text;
    if (row->kind == EXPOSITION_UNIT) family->unit = text;
}

// With the labels of --label that the series does not have.
static bool labels_of(const Push *push, Exposition *page, const ExpositionRow *row, Arena *arena,
                      Labels *out, Error *err) {
    TRY(exposition_labels(page, row, arena, out, err));
    bool fine = extra_labels_add(&push->extra, arena, out, err) && labels_check(out->wire, err);
    return fine || exposition_at(page, row, err);
}

static bool add_series(Push *push, Exposition *page, const ExpositionRow *row, Arena *arena,
                       Error *err) {
    Labels labels;
    TRY(labels_of(push, page, row, arena, &labels, err));
    int64_t time_ms = row->has_time ? row->time_ms : push->now_ms;
    write_body_begin(&push->body, labels);
    if (row->kind == EXPOSITION_HISTOGRAM) {
        NativeHistogram histogram = *row->histogram;
        histogram.time_ms = time_ms;
        write_body_histogram(&push->body, &histogram);
    } else {
        write_body_sample(&push->body, time_ms, row->value);
    }
    for (size_t i = 0; i < row->exemplar_count; i++) {
        ExpositionExemplar exemplar;
        Error ignored;  // an exemplar that is not fine is left out, as a scrape leaves it out
        if (!exposition_exemplar(page, row, i, arena, &exemplar, &ignored)) continue;
        write_body_exemplar(&push->body, exemplar.labels, exemplar.value,
                            exemplar.has_time ? exemplar.time_ms : time_ms);
    }
    write_body_end(&push->body);
    return true;
}

static bool add_row(Push *push, Exposition *page, const ExpositionRow *row, Arena *arena,
                    Error *err) {
    switch (row->kind) {
        case EXPOSITION_SERIES:
        case EXPOSITION_HISTOGRAM:
            return add_series(push, page, row, arena, err);
        case EXPOSITION_END:
            finish_family(push);
            return true;
        case EXPOSITION_TYPE:
        case EXPOSITION_HELP:
        case EXPOSITION_UNIT:
            break;
    }
    add_metadata(push, page, row, arena);
    return true;
}

static ExitCode send_body(Push *push, Error *err) {
    if (push->body.bytes.len == 0) return CODE_OK;
    AUTO(builder_free) Builder packed = {0};
    if (!compress_bytes(COMPRESSION_SNAPPY, 0, text_bytes(builder_text(&push->body.bytes)), &packed,
                        err))
        return CODE_FAILED;
    AUTO(arena_free) Arena arena = {0};
    HttpClientAnswer answer;
    if (!client_send(&push->client, TEXT("POST"), TEXT("/api/v1/write"),
                     TEXT("application/x-protobuf"), TEXT("snappy"), builder_text(&packed), &arena,
                     &answer, err)) {
        return client_code(err);
    }
    if (answer.status == 400) {
        // Rows that the server will never take (a value that contradicts one already stored, a time
        // too old); it keeps the others of the request and says how many.
        if (push->refused.code == ERROR_NONE)
            client_refused(&push->client, &answer, &push->refused);
    } else if (answer.status / 100 != 2) {
        return client_refused(&push->client, &answer, err);
    } else {
        push->samples += push->body.rows;
    }
    push->requests++;
    write_body_clear(&push->body);
    return CODE_OK;
}

// Goes through all rows; with `send` bodies leave as they fill, without they are only checked.
static ExitCode walk(Push *push, Text input, Text name, bool send, Error *err) {
    AUTO(arena_free) Arena arena = {0};
    AUTO(exposition_free) Exposition page = {0};
    exposition_begin(&page, exposition_guess(input), (ExpositionOptions){.generous = true}, input);
    ExpositionRow row;
    do {
        arena_clear(&arena);
        if (!exposition_next(&page, TEXT_NONE, &row, err) ||
            !add_row(push, &page, &row, &arena, err)) {
            error_context(err, "%.*s", TEXT_ARG(name));
            return CODE_FAILED;
        }
        if (push->body.bytes.len < REQUEST_BYTES_MAX) continue;
        ExitCode code = send ? send_body(push, err) : CODE_OK;
        if (code != CODE_OK) return code;
        progress_tell(&push->line.progress, page.at - input.at, (int64_t)input.len);
        write_body_clear(&push->body);
    } while (row.kind != EXPOSITION_END);
    return send ? send_body(push, err) : CODE_OK;
}

ExitCode command_push(Call *call, Error *err) {
    AUTO(push_end) Push push = {.call = call};
    if (!client_begin(call, &push.client, err) || !extra_labels_begin(call, &push.extra, err))
        return CODE_USAGE;
    Clock *clock = clock_system();
    AUTO(builder_free) Builder input = {0};
    Text name;
    if (!read_input(call, &input, &name, err)) return CODE_FAILED;
    push.now_ms = clock->wall_ms(clock);
    progress_begin(&push.line, TEXT("checking"), TEXT(""));
    // A bad line in the middle of a file must not leave half of it stored: all are read once before
    // any is sent.
    ExitCode code = walk(&push, builder_text(&input), name, false, err);
    write_body_clear(&push.body);
    if (code == CODE_OK) {
        progress_next(&push.line, TEXT("pushing"));
        code = walk(&push, builder_text(&input), name, true, err);
        progress_end(&push.line);
    }
    if (code != CODE_OK) {
        if (push.samples > 0)
            error_context(err, "after %llu samples were stored", (unsigned long long)push.samples);
        return code;
    }
    if (push.refused.code != ERROR_NONE) {
        *err = push.refused;
        if (push.requests > 1)
            error_context(err, "in the first of %llu requests that was not taken whole",
                          (unsigned long long)push.requests);
        return CODE_FAILED;
    }
    AUTO(builder_free) Builder line = {0};
    builder_addf(&line, "stored: %llu %s\n", (unsigned long long)push.samples,
                 push.samples == 1 ? "sample" : "samples");
    stream_write_err(builder_text(&line));
    return CODE_OK;
}
