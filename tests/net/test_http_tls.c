/* The client against a TLS server with a certificate made here: accepted when the certificate is trusted and bears the
 * address, refused otherwise. */
#include "net_fixture.h"

#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "base/file.h"
#include "net/http_client.h"

static char *g_dir, *g_cert_path;
static EVP_PKEY *g_key;
static X509 *g_cert;
static int g_listener, g_port;

static void make_certificate(void) {
    g_key = EVP_EC_gen("P-256");
    g_cert = X509_new();
    X509_set_version(g_cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(g_cert), 1);
    X509_gmtime_adj(X509_getm_notBefore(g_cert), -60);
    X509_gmtime_adj(X509_getm_notAfter(g_cert), 3600);
    X509_set_pubkey(g_cert, g_key);
    X509_NAME *name = X509_get_subject_name(g_cert);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"loam test", -1, -1,
                               0);
    X509_set_issuer_name(g_cert, name);
    X509_EXTENSION *extension =
        X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "IP:127.0.0.1");
    X509_add_ext(g_cert, extension, -1);
    X509_EXTENSION_free(extension);
    assert_true(X509_sign(g_cert, g_key, EVP_sha256()) > 0);
    FILE *file = fopen(g_cert_path, "w");
    assert_int_equal(PEM_write_X509(file, g_cert), 1);
    fclose(file);
}

static int setup(void **state) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    g_dir = test_temp_dir();
    g_cert_path = lm_path_join(g_dir, "cert.pem");
    make_certificate();
    g_listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(g_listener, (struct sockaddr *)&address, len), 0);
    assert_int_equal(listen(g_listener, 8), 0);
    assert_int_equal(getsockname(g_listener, (struct sockaddr *)&address, &len), 0);
    g_port = ntohs(address.sin_port);
    return 0;
}

static int teardown(void **state) {
    close(g_listener);
    X509_free(g_cert);
    EVP_PKEY_free(g_key);
    assert_ok(lm_file_remove_tree(g_dir, &err));
    lm_free(g_cert_path);
    lm_free(g_dir);
    return 0;
}

/* Serves one connection: reads a request, answers "secret" if the handshake came about. */
static void *serve_once(void *arg) {
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    SSL_CTX_use_certificate(context, g_cert);
    SSL_CTX_use_PrivateKey(context, g_key);
    int fd = accept(g_listener, NULL, NULL);
    SSL *ssl = SSL_new(context);
    SSL_set_fd(ssl, fd);
    if (SSL_accept(ssl) == 1) {
        char request[1024];
        static const char answer[] =
            "HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nsecret";
        if (SSL_read(ssl, request, sizeof request) > 0) SSL_write(ssl, answer, sizeof answer - 1);
        SSL_shutdown(ssl);
    }
    SSL_free(ssl);
    close(fd);
    SSL_CTX_free(context);
    return NULL;
}

typedef struct outcome {
    lm_loop *loop;
    loam_status status;
    char text[64];
} outcome;

static void on_body(lm_http_call *call, lm_str bytes, void *arg) {
    outcome *o = arg;
    snprintf(o->text, sizeof o->text, "%.*s", (int)bytes.len, bytes.ptr);
}

static void on_done(lm_http_call *call, loam_status status, const char *message, void *arg) {
    outcome *o = arg;
    o->status = status;
    lm_loop_stop(o->loop);
}

static outcome get(const char *host) {
    outcome o = {.status = LOAM_INTERNAL};
    lm_http_client *client;
    pthread_t thread;
    char url[64];
    snprintf(url, sizeof url, "https://%s:%d/", host, g_port);
    lm_http_call_options options = {
        .method = "GET", .url = url, .on_body = on_body, .on_done = on_done, .arg = &o};
    assert_ok(lm_loop_new(&o.loop, &err));
    assert_ok(lm_http_client_new(o.loop, &client, &err));
    assert_int_equal(pthread_create(&thread, NULL, serve_once, NULL), 0);
    assert_ok(lm_http_client_start(client, &options, NULL, &err));
    assert_ok(lm_loop_run(o.loop, &err));
    lm_http_client_free(client);
    pthread_join(thread, NULL);
    lm_loop_free(o.loop);
    return o;
}

static void test_trusted_certificate(void **state) {
    setenv("SSL_CERT_FILE", g_cert_path, 1); /* where OpenSSL looks for the system's certificates */
    outcome o = get("127.0.0.1");
    assert_int_equal(o.status, LOAM_OK);
    assert_string_equal(o.text, "secret");
}

static void test_certificate_of_another_host(void **state) {
    setenv("SSL_CERT_FILE", g_cert_path, 1);
    outcome o = get("localhost"); /* the certificate bears only the address */
    assert_int_equal(o.status, LOAM_UNAVAILABLE);
    assert_string_equal(o.text, "");
}

static void test_certificate_of_nobody_we_trust(void **state) {
    setenv("SSL_CERT_FILE", "/dev/null", 1);
    outcome o = get("127.0.0.1");
    assert_int_equal(o.status, LOAM_UNAVAILABLE);
    assert_string_equal(o.text, "");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_trusted_certificate),
                                       cmocka_unit_test(test_certificate_of_another_host),
                                       cmocka_unit_test(test_certificate_of_nobody_we_trust)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
