// What a request reads that is no query: lists of series and labels, exemplars, federation, remote
// read, export. Within what the tenant may spend, as queries are. Private to server.
//
//   AUTO(paid_read_end) PaidRead paid = {0};
//   TRY(paid_read_begin(request, &paid, err));
//   … series_view_meter(view, &paid.meter) …; paid.samples += …
//
// On a worker, from begin to end on one thread.
#pragma once

#include "server/request.h"

typedef struct PaidRead {
    Request *request;
    Spending *spending;
    SeriesMeter meter;  // for the views; knows query.bytes, query.timeout and whether to go on
    uint64_t samples;   // filled in by whoever reads
    int64_t begun_ns;   // earlier by what was rested
    int64_t rested_ns;  // since when; 0: it reads
} PaidRead;

// TOO_MANY when the tenant has used up its minute; Retry-After is set then.
must_use bool paid_read_begin(Request *request, PaidRead *out, Error *err);
// Pays for what was read. One that never began is fine.
void paid_read_end(PaidRead *paid);

// An answer in pieces waits for its client between two of them, which is not paid for and does not
// count as time. `again` is fine without a rest. Then it may be on another thread.
void paid_read_rest(PaidRead *paid);
void paid_read_again(PaidRead *paid);

// CANCELLED when the client went away or somebody ended it, TIMEOUT beyond query.timeout.
must_use bool paid_read_go_on(PaidRead *paid, Error *err);

// Whom the answer's memory is charged to, while it is made and until it was sent.
Budget *paid_read_budget(const PaidRead *paid);
