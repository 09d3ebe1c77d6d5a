/* Contexts of a server, from memory: what fits together is shown, with all issuers; what does not is refused by name.
 */
#include "base/alloc.h"
#include "http/response.h"
#include "http/tls.h"
#include "support/identity.h"
#include "support/serving.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct tls_context *context_of(const char *certificate, const char *key, struct err *err)
{
    const struct tls_identity identity = {str_of(certificate), str_of(key), "the-certificate", "the-key"};
    return tls_server_context_new(&identity, err);
}

static bool handle(void *arg, struct http_exchange *x)
{
    (void)arg;
    return http_respond(x, 200, NULL, 0, STR("fine"));
}

/* What a client that trusts the root says to a server with this certificate. */
static int handshake(const char *certificate)
{
    static const struct http_service service = {.handle = handle};
    struct err err = {0};
    struct serving serving;
    struct tls_context *server = context_of(certificate, IDENTITY_KEY, &err), *client = tls_context_new(NULL, &err);
    assert_non_null(server);
    assert_non_null(client);
    assert_int_equal(serving_start(&serving, &service, NULL, server), 0);
    int fd = serving_connect(&serving);
    struct tls *tls = tls_open(client, fd, STR("localhost"), "\x08http/1.1");
    assert_non_null(tls);
    int result = tls_handshake(tls);
    tls_close(tls);
    close(fd);
    assert_int_equal(serving_stop(&serving), 0);
    tls_context_free(client);
    tls_context_free(server);
    return result;
}

/* Without the issuer's a client that knows the root only cannot accept it. */
static void test_shown(void **state)
{
    assert_int_equal(handshake(IDENTITY_OWN IDENTITY_ISSUER), 0);
    assert_int_equal(handshake("what this is for\n" IDENTITY_OWN "\nand who says so:\n" IDENTITY_ISSUER IDENTITY_ROOT),
                     0);
    assert_int_equal(handshake(IDENTITY_OWN), TLS_FAILED);
}

#define HALF "-----BEGIN CERTIFICATE-----\nMIIB\n"

static void test_refused(void **state)
{
    static const struct {
        const char *certificate, *key, *what;
    } rows[] = {
        {IDENTITY_OWN, IDENTITY_OTHER_KEY,
         "the-key: no key of this certificate can be read from it (key values mismatch)"},
        {IDENTITY_OWN, IDENTITY_OTHER_KIND, "the-key: no key of this certificate can be read from it ("},
        {IDENTITY_OWN, IDENTITY_LOCKED_KEY, "the-key: no key"},
        {IDENTITY_OWN, IDENTITY_OWN, "the-key: no key"},
        {IDENTITY_OWN, "", "the-key: no key"},
        {IDENTITY_ISSUER IDENTITY_OWN, IDENTITY_KEY, "the-key: no key"},
        {"", IDENTITY_KEY, "the-certificate: no certificate"},
        {IDENTITY_KEY, IDENTITY_KEY, "the-certificate: no certificate"},
        {HALF, IDENTITY_KEY, "the-certificate: no certificate"},
        {IDENTITY_OWN HALF, IDENTITY_KEY, "the-certificate: no certificate"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct err err = {0};
        assert_null(context_of(rows[i].certificate, rows[i].key, &err));
        assert_int_equal(err.kind, ERR_MALFORMED);
        assert_memory_equal(err.message, rows[i].what, strlen(rows[i].what));
        assert_true(err.remedy[0]);
    }
}

/* Every byte counts: the texts end where their sizes say. */
static void test_cut(void **state)
{
    const char *key = IDENTITY_KEY;
    for (size_t size = 0; size + 3 < strlen(key); size += 7) {
        struct err err = {0};
        const struct tls_identity identity = {STR(IDENTITY_OWN), {key, size}, "the-certificate", "the-key"};
        assert_null(tls_server_context_new(&identity, &err));
        assert_int_equal(err.kind, ERR_MALFORMED);
    }
}

static void test_no_memory(void **state)
{
    struct err err = {0};
    uint64_t live = mem_live();
    mem_fail_once(1);
    assert_null(context_of(IDENTITY_OWN, IDENTITY_KEY, &err));
    mem_fail_at(0);
    assert_int_equal(err.kind, ERR_MEMORY);
    assert_int_equal(mem_live(), live);
}

static int trust_root(void **state)
{
    static char path[] = "/tmp/mayfly-root-XXXXXX";
    int fd = mkstemp(path);
    *state = path;
    return fd < 0 || write(fd, IDENTITY_ROOT, strlen(IDENTITY_ROOT)) < 0 || close(fd) != 0 ||
           setenv("SSL_CERT_FILE", path, 1) != 0;
}

static int forget_root(void **state)
{
    return unlink(*state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shown),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, trust_root, forget_root);
}
