// The table of senders, and GET /api/traceo/v1/sources.

#include "server/sources.h"

#include "server/serve.h"

void sources_begin(Sources *sources) {
    *sources = (Sources){.rows = memory_new_array(SourceRow, SOURCE_ROWS_MAX)};
    mutex_begin(&sources->lock, LOCK_SERVER_SOURCES);
}

void sources_end(Sources *sources) {
    if (sources->rows == NULL) return;
    mutex_end(&sources->lock);
    memory_free(TAKE(sources->rows));
}

// ---- Finding a row ----

// Texts are kept cut to their room, and compared so.
static size_t kept_len(size_t room, Text text) {
    size_t len = MIN(text.len, room - 1);
    // Not through the middle of a character.
    while (len > 0 && len < text.len && ((uint8_t)text.at[len] & 0xc0) == 0x80) len--;
    return len;
}

static bool kept_equal(const char *kept, size_t room, Text text) {
    size_t len = kept_len(room, text);
    return strlen(kept) == len && memcmp(kept, text.at == NULL ? "" : text.at, len) == 0;
}

static void keep(char *kept, size_t room, Text text) {
    size_t len = kept_len(room, text);
    for (size_t i = 0; i < len; i++) kept[i] = text.at[i] == 0 ? ' ' : text.at[i];
    kept[len] = 0;
}

// "192.0.2.7:51234" -> "192.0.2.7": each connection has a port of its own.
static Text without_port(Text peer) {
    size_t at = peer.len;
    while (at > 0 && peer.at[at - 1] >= '0' && peer.at[at - 1] <= '9') at--;
    return at > 1 && peer.at[at - 1] == ':' ? text_slice(peer, 0, at - 1) : peer;
}

static SourceRow *row_find(Sources *sources, const SourceNote *note, Text peer) {
    for (size_t i = 0; i < sources->count; i++) {
        SourceRow *row = &sources->rows[i];
        if (kept_equal(row->peer, sizeof row->peer, peer) &&
            kept_equal(row->protocol, sizeof row->protocol, note->protocol) &&
            kept_equal(row->agent, sizeof row->agent, note->agent) &&
            kept_equal(row->tenant, sizeof row->tenant, note->tenant))
            return row;
    }
    return NULL;
}

static SourceRow *row_make(Sources *sources, const SourceNote *note, Text peer, int64_t now_ms) {
    SourceRow *row = &sources->rows[0];
    if (sources->count < SOURCE_ROWS_MAX) {
        row = &sources->rows[sources->count++];
    } else {
        for (size_t i = 1; i < sources->count; i++) {
            if (sources->rows[i].last_ms < row->last_ms) row = &sources->rows[i];
        }
    }
    *row = (SourceRow){.first_ms = now_ms};
    keep(row->peer, sizeof row->peer, peer);
    keep(row->protocol, sizeof row->protocol, note->protocol);
    keep(row->agent, sizeof row->agent, note->agent);
    keep(row->tenant, sizeof row->tenant, note->tenant);
    return row;
}

// ---- Noting ----

static void row_add(SourceRow *row, int64_t now_ms, const SourceNote *note) {
    int64_t number = now_ms / SOURCE_SLOT_MS;
    SourceSlot *slot = &row->slots[number % SOURCE_SLOTS];
    if (slot->number != number) *slot = (SourceSlot){.number = number};
    slot->requests++;
    slot->samples += note->samples;
    slot->bytes += note->bytes;
    row->requests++;
    row->samples += note->samples;
    row->bytes += note->bytes;
    row->last_ms = now_ms;
    if (note->fault == NULL) return;
    row->faults++;
    row->fault_ms = now_ms;
    keep(row->fault, sizeof row->fault, text_from_cstring(note->fault->message));
}

void sources_note(Sources *sources, int64_t now_ms, const SourceNote *note) {
    Text peer = without_port(note->peer);
    mutex_take(&sources->lock);
    SourceRow *row = row_find(sources, note, peer);
    if (row == NULL) row = row_make(sources, note, peer, now_ms);
    row_add(row, MAX(now_ms, 0), note);
    mutex_give(&sources->lock);
}

void server_note_source(Server *server, const SourceNote *note) {
    Clock *clock = server->options.clock;
    sources_note(&server->sources, clock->wall_ms(clock), note);
}

// The slot that is being filled counts as far as it has come.
SourceRates source_rates(const SourceRow *row, int64_t now_ms) {
    int64_t now = now_ms / SOURCE_SLOT_MS, first = now - SOURCE_SLOTS + 1;
    double requests = 0, samples = 0, bytes = 0;
    for (size_t i = 0; i < SOURCE_SLOTS; i++) {
        const SourceSlot *slot = &row->slots[i];
        if (slot->number < first || slot->number > now) continue;
        requests += (double)slot->requests;
        samples += (double)slot->samples;
        bytes += (double)slot->bytes;
    }
    int64_t since_ms = now_ms - MAX(first * SOURCE_SLOT_MS, row->first_ms);
    double seconds = MAX((double)since_ms / 1000, 1);
    return (SourceRates){requests / seconds, samples / seconds, bytes / seconds};
}

// ---- Showing ----

static void pair_text(JsonWriter *writer, Text key, Text value) {
    json_key(writer, key);
    json_text(writer, value);
}

static void pair_number(JsonWriter *writer, Text key, double value) {
    json_key(writer, key);
    json_f64(writer, value);
}

static void write_row(JsonWriter *writer, const SourceRow *row, int64_t now_ms, Arena *arena) {
    SourceRates rates = source_rates(row, now_ms);
    json_object_begin(writer);
    pair_text(writer, TEXT("protocol"), text_from_cstring(row->protocol));
    pair_text(writer, TEXT("peer"), text_from_cstring(row->peer));
    pair_text(writer, TEXT("agent"), text_from_cstring(row->agent));
    pair_text(writer, TEXT("firstSeen"), time_format_ms(row->first_ms, arena));
    pair_text(writer, TEXT("lastSeen"), time_format_ms(row->last_ms, arena));
    pair_number(writer, TEXT("requests"), (double)row->requests);
    pair_number(writer, TEXT("samples"), (double)row->samples);
    pair_number(writer, TEXT("bytes"), (double)row->bytes);
    pair_number(writer, TEXT("requestsPerSecond"), rates.requests);
    pair_number(writer, TEXT("samplesPerSecond"), rates.samples);
    pair_number(writer, TEXT("bytesPerSecond"), rates.bytes);
    pair_number(writer, TEXT("faults"), (double)row->faults);
    if (row->fault_ms != 0) {
        pair_text(writer, TEXT("lastFault"), text_from_cstring(row->fault));
        pair_text(writer, TEXT("lastFaultAt"), time_format_ms(row->fault_ms, arena));
    }
    json_object_end(writer);
}

bool serve_sources(Request *request, Error *err) {
    (void)err;
    Server *server = request->server;
    Sources *sources = &server->sources;
    AUTO(arena_free) Arena arena = {0};
    int64_t now_ms = server->options.clock->wall_ms(server->options.clock);
    SourceRow *rows = memory_new_array(SourceRow, SOURCE_ROWS_MAX);
    mutex_take(&sources->lock);
    size_t count = sources->count;
    memcpy(rows, sources->rows, count * sizeof *rows);
    mutex_give(&sources->lock);
    JsonWriter writer = envelope_begin(request);
    json_object_begin(&writer);
    json_key(&writer, TEXT("sources"));
    json_array_begin(&writer);
    for (size_t i = 0; i < count; i++) {
        if (kept_equal(rows[i].tenant, sizeof rows[i].tenant, request->identity.tenant))
            write_row(&writer, &rows[i], now_ms, &arena);
    }
    json_array_end(&writer);
    json_object_end(&writer);
    memory_free(rows);
    envelope_end(&writer, (Texts){0}, (Texts){0});
    return true;
}
