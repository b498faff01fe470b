// Rows on their way into a server, or into a data directory: several requests in flight, and how
// far everything has arrived.
//
//   fill a WriteBody, delivery_send(delivery, &body, place, …), again and again
//   delivery_finish: waits for the rest
//
// Requests may overtake each other; the place that is told is the one before which everything was
// answered, in order. What passes (a busy server, a connection that breaks, too many new series in
// a second) is tried again for a minute; rows that will never be taken are counted by their reason
// and do not stop the others. One thread sends; DELIVERY_IN_FLIGHT threads of its own work. Private
// to cli.
#pragma once

#include "cli/client.h"
#include "cli/local_store.h"
#include "ingest/ingest.h"

enum { DELIVERY_IN_FLIGHT = 4 };

typedef struct Delivery Delivery;

typedef struct DeliverySums {
    uint64_t samples;                 // sent; those refused among them
    uint64_t refused[VERDICT_COUNT];  // by reason
    uint64_t requests;
    Error first_refused;  // what the first answer with a refusal says; code NONE: there was none
} DeliverySums;

// With `local` straight into that store, else by remote write to the client's server. Both outlive
// the delivery.
must_use bool delivery_open(const Client *client, LocalStore *local, Delivery **out, Error *err);
// What is in flight is waited for, unless it failed.
void delivery_close(Delivery **delivery);

// Takes the rows of `body`, which is empty afterwards; `place` is copied. Waits while all are
// busy. False once a request failed for good: what it says is in `err`, and place stands still.
must_use bool delivery_send(Delivery *delivery, WriteBody *body, Text place, Error *err);
must_use bool delivery_finish(Delivery *delivery, Error *err);

// The newest place before which everything was answered; empty when there is none yet. A copy on
// `arena`.
Text delivery_place(Delivery *delivery, Arena *arena);
void delivery_sums(Delivery *delivery, DeliverySums *out);
