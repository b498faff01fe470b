// Certificates for tests, made on the spot with OpenSSL: a CA, what it signs, and files of both.
#pragma once

#include <openssl/x509.h>

#include "base/test.h"

typedef struct TestIdentity {
    EVP_PKEY *key;
    X509 *certificate;
} TestIdentity;

// Signed by `issuer`; NULL: by itself, as a CA. `host`: what it proves, NULL for a client. Valid
// from `from_s` to `to_s` seconds, counted from now.
TestIdentity test_identity(Test *t, const char *name, const char *host, const TestIdentity *issuer,
                           long from_s, long to_s);
void test_identity_free(TestIdentity *identity);

// PEM files in a folder that test_folder made. They replace what is there.
Text test_folder(Test *t);
void test_folder_remove(Test *t, Text folder);
Text test_write_file(Test *t, Text folder, const char *name, Text content);
Text test_write_certificate(Test *t, Text folder, const char *name, const TestIdentity *identity);
Text test_write_key(Test *t, Text folder, const char *name, const TestIdentity *identity);
