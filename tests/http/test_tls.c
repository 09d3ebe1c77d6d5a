/* Contexts of a server, from memory: what fits together is shown, with all issuers; what does not is refused by name.
 * And connections: whatever came is read, in whichever pieces. */
#include "base/alloc.h"
#include "http/response.h"
#include "http/tls.h"
#include "support/identity.h"
#include "support/serving.h"

#include <netinet/tcp.h>
#include <semaphore.h>
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

static sem_t holds;
static struct http_exchange *held;

/* What asks for /held is answered when another asks for /release. */
static bool handle(void *arg, struct http_exchange *x)
{
    (void)arg;
    if (str_eq(http_request(x)->target, STR("/held"))) {
        held = x;
        return sem_post(&holds) == 0;
    }
    if (str_eq(http_request(x)->target, STR("/release")) && !http_respond(held, 200, NULL, 0, STR("late")))
        return false;
    return http_respond(x, 200, NULL, 0, STR("fine"));
}

static const struct http_service service = {.handle = handle};

/* What a client that trusts the root says to a server with this certificate. */
static int handshake(const char *certificate)
{
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

/* ---- connections ---- */

struct client {
    int fd;
    struct tls *tls;
};

static struct client client_open(const struct serving *serving, struct tls_context *context)
{
    int fd = serving_connect(serving);
    struct client client = {fd, tls_open(context, fd, STR("localhost"), "\x08http/1.1")};
    assert_non_null(client.tls);
    assert_int_equal(tls_handshake(client.tls), 0);
    return client;
}

static void client_close(struct client client)
{
    tls_close(client.tls);
    close(client.fd);
}

/* A record for each request. */
static void client_ask(struct client client, const char *path)
{
    char text[100];
    int size = sprintf(text, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path);
    assert_int_equal(tls_write(client.tls, text, (size_t)size), size);
}

/* How many answers come, of so many, before none comes for seconds. */
static int client_answers(struct client client, int wanted)
{
    char text[4096];
    size_t used = 0;
    ssize_t n = 1;
    int count = 0;
    while (count < wanted && n > 0) {
        n = tls_read(client.tls, text + used, sizeof text - 1 - used);
        used += n > 0 ? (size_t)n : 0;
        text[used] = 0;
        count = 0;
        for (const char *at = text; (at = strstr(at, "HTTP/1.1 200")) != NULL; at++)
            count++;
    }
    return count;
}

static void cork(struct client client, int on)
{
    assert_int_equal(setsockopt(client.fd, IPPROTO_TCP, TCP_CORK, &on, sizeof on), 0);
}

/* Two requests come in one segment, so that OpenSSL holds the second while the first waits for its answer; a third
 * comes meanwhile, and nothing after it: the loop says so once, when nobody reads. */
static void test_meanwhile(void **state)
{
    struct err err = {0};
    struct serving serving;
    struct tls_context *server = context_of(IDENTITY_OWN IDENTITY_ISSUER, IDENTITY_KEY, &err);
    struct tls_context *context = tls_context_new(NULL, &err);
    assert_non_null(server);
    assert_non_null(context);
    assert_int_equal(sem_init(&holds, 0, 0), 0);
    assert_int_equal(serving_start(&serving, &service, NULL, server), 0);
    struct client client = client_open(&serving, context), other = client_open(&serving, context);
    cork(client, 1);
    client_ask(client, "/held");
    client_ask(client, "/second");
    cork(client, 0);
    assert_int_equal(sem_wait(&holds), 0);
    client_ask(client, "/third");
    client_ask(other, "/release");
    assert_int_equal(client_answers(other, 1), 1);
    assert_int_equal(client_answers(client, 3), 3);
    client_close(client);
    client_close(other);
    assert_int_equal(serving_stop(&serving), 0);
    tls_context_free(context);
    tls_context_free(server);
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
        cmocka_unit_test(test_shown),     cmocka_unit_test(test_refused),   cmocka_unit_test(test_cut),
        cmocka_unit_test(test_no_memory), cmocka_unit_test(test_meanwhile),
    };
    return cmocka_run_group_tests(tests, trust_root, forget_root);
}
