// Talking to a server: where it is, who we are, and what its errors mean to someone at a terminal.
// Private to cli.
#pragma once

#include "cli/command.h"
#include "net/http_client.h"

typedef struct Client {
    Text server;  // "http://127.0.0.1:4310", without a slash at the end
    Text key;     // empty: none
    Text tenant;  // empty: the server's choice
    TlsClientOptions tls;
} Client;

// --server, --key, --tenant and the files of TLS, else TRACEO_SERVER, TRACEO_KEY, TRACEO_CA_FILE …
// BAD_INPUT for what is no address.
must_use bool client_begin(const Call *call, Client *out, Error *err);

// One request. `content_type` and `encoding` belong to `body` and may be empty. NETWORK or TIMEOUT
// when nobody answered, naming the server. Any other answer is true, whatever its status.
must_use bool client_send(const Client *client, Text method, Text path, Text content_type,
                          Text encoding, Text body, Arena *arena, HttpClientAnswer *out,
                          Error *err);

// What an answer that is not 2xx means: the server's own words, and what to do about 401, 403 and
// 503.
ExitCode client_refused(const Client *client, const HttpClientAnswer *answer, Error *err);

// The exit code of client_send's failures.
ExitCode client_code(const Error *err);
