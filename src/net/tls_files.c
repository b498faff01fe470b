// Certificates and keys from PEM files into a context, with errors that name the file.

#include <openssl/err.h>
#include <openssl/pem.h>

#include "net/tls_private.h"

enum { FILE_BYTES_MAX = 1 * MB };

bool tls_error(Error *err, ErrorCode code, const char *doing) {
    unsigned long number = ERR_get_error();
    const char *reason = number != 0 ? ERR_reason_error_string(number) : NULL;
    ERR_clear_error();
    return error_set(err, code, "%s: %s", doing, reason != NULL ? reason : "unknown reason");
}

bool tls_read_file(Disk *disk, Text path, const char *what, Arena *arena, Bytes *out, Error *err) {
    if (disk_read_whole(disk, path, FILE_BYTES_MAX, arena, out, err)) return true;
    return error_context(err, "%s", what);
}

static bool file_error(Error *err, Text name, const char *what) {
    ERR_clear_error();
    return error_set(err, ERROR_BAD_INPUT, "%.*s: %s", TEXT_ARG(name), what);
}

// A key with a password would make OpenSSL ask on the terminal.
static int no_password(char *into, int size, int writing, void *context) {
    *(bool *)context = true;
    return -1;
}

static void bio_free(BIO **bio) {
    BIO_free(*bio);
}

static void x509_free(X509 **certificate) {
    X509_free(*certificate);
}

static void pkey_free(EVP_PKEY **key) {
    EVP_PKEY_free(*key);
}

static BIO *bio_over(Bytes bytes) {
    return BIO_new_mem_buf(bytes.len > 0 ? bytes.at : (const uint8_t *)"", (int)bytes.len);
}

// The next certificate; `*out` stays NULL at the end of the file.
static bool next_certificate(BIO *bio, Text name, X509 **out, Error *err) {
    bool asked = false;
    *out = PEM_read_bio_X509(bio, NULL, no_password, &asked);
    if (*out != NULL) return true;
    unsigned long number = ERR_peek_last_error();
    bool end = ERR_GET_LIB(number) == ERR_LIB_PEM && ERR_GET_REASON(number) == PEM_R_NO_START_LINE;
    if (!end) return file_error(err, name, "a certificate in it is damaged (it must be PEM)");
    ERR_clear_error();
    return true;
}

bool tls_use_certificate(SSL_CTX *context, Bytes pem, Text name, Error *err) {
    AUTO(bio_free) BIO *bio = bio_over(pem);
    AUTO(x509_free) X509 *own = NULL;
    TRY(next_certificate(bio, name, &own, err));
    if (own == NULL)
        return file_error(err, name, "no certificate is in it (-----BEGIN CERTIFICATE-----)");
    if (SSL_CTX_use_certificate(context, own) != 1) {
        tls_error(err, ERROR_BAD_INPUT, "the certificate cannot be used");
        return error_context(err, "%.*s", TEXT_ARG(name));
    }
    for (;;) {
        AUTO(x509_free) X509 *above = NULL;
        TRY(next_certificate(bio, name, &above, err));
        if (above == NULL) return true;
        if (SSL_CTX_add1_chain_cert(context, above) != 1) {
            tls_error(err, ERROR_BAD_INPUT, "the chain cannot be used");
            return error_context(err, "%.*s", TEXT_ARG(name));
        }
    }
}

bool tls_use_key(SSL_CTX *context, Bytes pem, Text name, Text cert_name, Error *err) {
    AUTO(bio_free) BIO *bio = bio_over(pem);
    bool encrypted = false;
    AUTO(pkey_free) EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, no_password, &encrypted);
    if (encrypted)
        return file_error(err, name,
                          "the key is encrypted; write it without a password, readable by "
                          "Traceo's user alone");
    if (key == NULL)
        return file_error(err, name, "no private key is in it (-----BEGIN PRIVATE KEY-----)");
    X509 *own = SSL_CTX_get0_certificate(context);
    if (own == NULL || X509_check_private_key(own, key) != 1) {
        ERR_clear_error();
        return error_set(err, ERROR_BAD_INPUT,
                         "%.*s: this is not the key of the certificate in %.*s", TEXT_ARG(name),
                         TEXT_ARG(cert_name));
    }
    if (SSL_CTX_use_PrivateKey(context, key) == 1) return true;
    tls_error(err, ERROR_BAD_INPUT, "the key cannot be used");
    return error_context(err, "%.*s", TEXT_ARG(name));
}

bool tls_use_ca(SSL_CTX *context, Bytes pem, Text name, bool announce, Error *err) {
    AUTO(bio_free) BIO *bio = bio_over(pem);
    X509_STORE *store = SSL_CTX_get_cert_store(context);
    for (size_t count = 0;; count++) {
        AUTO(x509_free) X509 *ca = NULL;
        TRY(next_certificate(bio, name, &ca, err));
        if (ca == NULL && count == 0)
            return file_error(err, name, "no certificate is in it (-----BEGIN CERTIFICATE-----)");
        if (ca == NULL) return true;
        bool ok = X509_STORE_add_cert(store, ca) == 1 &&
                  (!announce || SSL_CTX_add_client_CA(context, ca) == 1);
        if (!ok) {
            tls_error(err, ERROR_BAD_INPUT, "the certificate cannot be used");
            return error_context(err, "%.*s", TEXT_ARG(name));
        }
    }
}
