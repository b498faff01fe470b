// P-256 keys, certificates of version 3, PEM.

#include "net/test_certificates.h"

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include "os/disk.h"

static void add_extension(Test *t, X509 *to, X509 *issuer, int kind, const char *value) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, to, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, kind, value);
    check(t, extension != NULL && X509_add_ext(to, extension, -1) == 1);
    X509_EXTENSION_free(extension);
}

TestIdentity test_identity(Test *t, const char *name, const char *host, const TestIdentity *issuer,
                           long from_s, long to_s) {
    static long serial = 1;
    TestIdentity made = {EVP_EC_gen("P-256"), X509_new()};
    check(t, made.key != NULL && made.certificate != NULL);
    X509 *x = made.certificate;
    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(x), from_s);
    X509_gmtime_adj(X509_getm_notAfter(x), to_s);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_UTF8,
                               (const unsigned char *)name, -1, -1, 0);
    X509 *above = issuer != NULL ? issuer->certificate : x;
    X509_set_issuer_name(x, X509_get_subject_name(above));
    X509_set_pubkey(x, made.key);
    if (issuer == NULL) {
        add_extension(t, x, above, NID_basic_constraints, "critical,CA:TRUE");
        add_extension(t, x, above, NID_key_usage, "critical,keyCertSign,cRLSign");
    } else {
        add_extension(t, x, above, NID_basic_constraints, "critical,CA:FALSE");
        add_extension(t, x, above, NID_ext_key_usage, host != NULL ? "serverAuth" : "clientAuth");
    }
    if (host != NULL) add_extension(t, x, above, NID_subject_alt_name, host);
    check(t, X509_sign(x, issuer != NULL ? issuer->key : made.key, EVP_sha256()) > 0);
    return made;
}

void test_identity_free(TestIdentity *identity) {
    EVP_PKEY_free(identity->key);
    X509_free(identity->certificate);
    *identity = (TestIdentity){0};
}

Text test_folder(Test *t) {
    char *folder = text_to_cstring(TEXT("/tmp/traceo-net-XXXXXX"), t->arena);
    check(t, mkdtemp(folder) != NULL);
    return text_from_cstring(folder);
}

static Text path_of(Test *t, Text folder, Text name) {
    return text_format(t->arena, "%.*s/%.*s", TEXT_ARG(folder), TEXT_ARG(name));
}

void test_folder_remove(Test *t, Text folder) {
    Disk *disk = disk_real();
    DiskEntries entries;
    check_ok(t, disk->list(disk, folder, t->arena, &entries, t->err));
    for (size_t i = 0; i < entries.count; i++)
        check_ok(t, disk->remove(disk, path_of(t, folder, entries.at[i].name), t->err));
    check_ok(t, disk->remove_folder(disk, folder, t->err));
}

Text test_write_file(Test *t, Text folder, const char *name, Text content) {
    Text file = text_from_cstring(name);
    check_ok(t, disk_replace(disk_real(), folder, file, text_bytes(content), t->err));
    return path_of(t, folder, file);
}

static Text write_pem(Test *t, Text folder, const char *name, BIO *pem) {
    char *at = NULL;
    long len = BIO_get_mem_data(pem, &at);
    Text path = test_write_file(t, folder, name, (Text){at, (size_t)len});
    BIO_free(pem);
    return path;
}

Text test_write_certificate(Test *t, Text folder, const char *name, const TestIdentity *identity) {
    BIO *pem = BIO_new(BIO_s_mem());
    check(t, PEM_write_bio_X509(pem, identity->certificate) == 1);
    return write_pem(t, folder, name, pem);
}

Text test_write_key(Test *t, Text folder, const char *name, const TestIdentity *identity) {
    BIO *pem = BIO_new(BIO_s_mem());
    check(t, PEM_write_bio_PrivateKey(pem, identity->key, NULL, NULL, 0, NULL, NULL) == 1);
    return write_pem(t, folder, name, pem);
}
