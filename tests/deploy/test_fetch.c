/* Files that are fetched, from a server that is a child of this process and says what it is told to: what is taken, and
 * what becomes of answers that are long, short, slow, coded, or lead elsewhere. TLS, digests and the cache are in
 * tests/e2e/sources.py. */
#include "deploy/fetch.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* What it does behind its answer. */
enum then { THEN_ENDS, THEN_WAITS, THEN_GOES_ON, THEN_DRIPS };

struct server {
    pid_t pid;
    uint16_t port;
};

static bool read_request(int fd)
{
    char bytes[8192];
    size_t size = 0;
    while (size < sizeof bytes - 1) {
        ssize_t n = read(fd, bytes + size, sizeof bytes - 1 - size);
        if (n <= 0)
            return false;
        size += (size_t)n;
        bytes[size] = '\0';
        if (strstr(bytes, "\r\n\r\n"))
            return true;
    }
    return false;
}

static void answer(int fd, const char *reply, enum then then)
{
    static const char more[4096];
    bool done = read_request(fd) && file_write(fd, reply, strlen(reply));
    while (done && then == THEN_GOES_ON)
        done = file_write(fd, more, sizeof more);
    while (done && then == THEN_DRIPS) {
        usleep(20000);
        done = file_write(fd, "x", 1);
    }
    while (done && then == THEN_WAITS)
        done = read_request(fd);
    close(fd);
}

static _Noreturn void serve(int listener, const char *reply, enum then then)
{
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails leaves nobody behind */
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        if (fd < 0)
            _exit(1);
        answer(fd, reply, then);
    }
}

/* "PORT" in the reply becomes its own. */
static struct server start_at(const char *place, const char *reply, enum then then)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = inet_addr(place)};
    socklen_t size = sizeof address;
    static char text[4096];
    struct server server;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(listener >= 0 && bind(listener, (struct sockaddr *)&address, size) == 0 && listen(listener, 8) == 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    server.port = ntohs(address.sin_port);
    const char *at = strstr(reply, "PORT");
    snprintf(text, sizeof text, "%.*s", at ? (int)(at - reply) : (int)strlen(reply), reply);
    if (at)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%u%s", server.port, at + 4);
    server.pid = fork();
    assert_true(server.pid >= 0);
    if (server.pid == 0)
        serve(listener, text, then);
    close(listener);
    return server;
}

static struct server start(const char *reply, enum then then)
{
    return start_at("127.0.0.1", reply, then);
}

static void stop(const struct server *server)
{
    kill(server->pid, SIGKILL);
    waitpid(server->pid, NULL, 0);
}

static int fetch(const char *url, const struct fetch_limits *limits, struct err *err)
{
    const struct fetch_want want = {.url = str_of(url)};
    return fetch_file(&want, limits, err);
}

static const struct fetch_limits usual = {.bytes = 1000, .phase_us = 20000000, .total_ms = 60000, .silent_ms = 60000};

#define OK "HTTP/1.1 200 OK\r\n"

static void test_taken(void **state)
{
    static const struct {
        const char *reply, *wanted;
    } rows[] = {
        {OK "Content-Length: 5\r\n\r\nhello", "hello"},
        {OK "Content-Length: 0\r\n\r\n", ""},
        {OK "\r\nup to the end", "up to the end"},
        {OK "Content-Encoding: identity\r\nContent-Length: 5\r\n\r\nhello", "hello"},
        {OK "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", "abcde"},
        {"HTTP/1.1 103 Early Hints\r\n\r\n" OK "Content-Length: 5\r\n\r\nhello", "hello"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct server server = start(rows[i].reply, THEN_ENDS);
        struct err err = {0};
        char url[64], bytes[64];
        snprintf(url, sizeof url, "http://127.0.0.1:%u/a?b", server.port);
        int fd = fetch(url, &usual, &err);
        if (fd < 0)
            fail_msg("%zu: %s", i, err.message);
        ssize_t size = pread(fd, bytes, sizeof bytes, 0);
        assert_int_equal(size, strlen(rows[i].wanted));
        assert_memory_equal(bytes, rows[i].wanted, strlen(rows[i].wanted));
        assert_int_equal(write(fd, "x", 1), -1); /* nobody changes it */
        assert_int_equal(ftruncate(fd, 5000), -1);
        close(fd);
        stop(&server);
    }
}

static void test_refused(void **state)
{
    static const struct fetch_limits hasty = {.bytes = 1000, .phase_us = 300000, .total_ms = 60000, .silent_ms = 60000};
    static const struct fetch_limits slow = {.bytes = 1000, .phase_us = 3000000, .total_ms = 60000, .silent_ms = 60000};
    static const struct fetch_limits ends = {.bytes = 1 << 20, .phase_us = 20000000, .total_ms = 500, .silent_ms = 100};
    static const struct {
        const char *reply, *said;
        enum then then;
        enum err_kind kind;
        const struct fetch_limits *limits;
    } rows[] = {
        {OK "Content-Length: 1001\r\n\r\n", "has more than 1000 bytes", THEN_WAITS, ERR_LIMIT, &usual},
        {OK "\r\n", "has more than 1000 bytes", THEN_GOES_ON, ERR_LIMIT, &usual},
        {OK "Content-Length: 99999999999999999999999\r\n\r\n", "cannot fetch", THEN_GOES_ON, ERR_SYSTEM, &usual},
        {OK "Content-Length: 9\r\n\r\nhello", "broke off behind 5 bytes", THEN_ENDS, ERR_SYSTEM, &usual},
        {OK "Transfer-Encoding: chunked\r\n\r\n9\r\nhello", "broke off behind 5 bytes", THEN_ENDS, ERR_SYSTEM, &usual},
        {OK "Transfer-Encoding: chunked\r\n\r\nx\r\n", "broke off", THEN_ENDS, ERR_SYSTEM, &usual},
        {OK "Content-Encoding: gzip\r\n\r\nx", "comes in the coding gzip", THEN_ENDS, ERR_UNSUPPORTED, &usual},
        {"", "does not answer", THEN_WAITS, ERR_SYSTEM, &hasty},
        {OK "Content-Length: 9\r\n\r\nhello", "broke off behind 5 bytes", THEN_WAITS, ERR_SYSTEM, &slow},
        {OK "\r\n", "has not come within", THEN_DRIPS, ERR_LIMIT, &ends},
        {OK "X: ", "has not come within", THEN_DRIPS, ERR_LIMIT, &ends},
        {"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "it is not there", THEN_ENDS, ERR_INVALID, &usual},
        {"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", "the server answers 500", THEN_ENDS, ERR_SYSTEM, &usual},
        {"HTTP/1.1 206 Partial\r\nContent-Length: 1\r\n\r\nx", "answers 206", THEN_ENDS, ERR_INVALID, &usual},
        {"nonsense\r\n\r\n", "does not speak HTTP", THEN_ENDS, ERR_SYSTEM, &usual},
        {"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n", "is no place that can be asked", THEN_ENDS, ERR_INVALID,
         &usual},
        {"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n",
         "leads to \"file:///etc/passwd\"", THEN_ENDS, ERR_INVALID, &usual},
        {"HTTP/1.1 308 No\r\nLocation: http://me:pw@127.0.0.1/\r\nContent-Length: 0\r\n\r\n", "is no place", THEN_ENDS,
         ERR_INVALID, &usual},
        {"HTTP/1.1 307 No\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n", "leads on and on", THEN_ENDS, ERR_LIMIT,
         &usual},
        {"HTTP/1.1 301 No\r\nLocation: http://127.0.0.1:PORT/x\r\nContent-Length: 0\r\n\r\n", "leads on and on",
         THEN_ENDS, ERR_LIMIT, &usual},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct server server = start(rows[i].reply, rows[i].then);
        struct err err = {0};
        char url[64];
        snprintf(url, sizeof url, "http://127.0.0.1:%u/a?secret", server.port);
        if (fetch(url, rows[i].limits, &err) >= 0)
            fail_msg("%zu is taken", i);
        if (!strstr(err.message, rows[i].said) || err.kind != rows[i].kind || strstr(err.message, "secret"))
            fail_msg("%zu: \"%s\" (%d), not \"%s\"", i, err.message, err.kind, rows[i].said);
        assert_true(err.remedy[0]);
        stop(&server);
    }
}

static void test_unreachable(void **state)
{
    static const char *const urls[] = {"http://127.0.0.1:1/a", "https://127.0.0.1:1/a", "http://[::1]:1/"};
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        struct err err = {0};
        assert_int_equal(fetch(urls[i], &usual, &err), -1);
        assert_int_equal(err.kind, ERR_SYSTEM);
        assert_non_null(strstr(err.message, "cannot fetch"));
        assert_true(err.remedy[0]);
    }
}

#define PUBLIC "192.0.2.1" /* for documentation, which counts as public */

/* A network of this process's own, where the loopback has a public address. */
static bool enter_network(void)
{
    struct ifreq up = {.ifr_name = "lo", .ifr_flags = IFF_UP}, more = {.ifr_name = "lo:1"};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = inet_addr(PUBLIC)};
    int fd = unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0 ? socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0) : -1;
    memcpy(&more.ifr_addr, &address, sizeof address);
    return fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &up) == 0 && ioctl(fd, SIOCSIFADDR, &more) == 0;
}

/* 0: as it should be. */
static int lead(const char *from, const char *to, const char *said)
{
    struct server target = start_at(to, OK "Content-Length: 5\r\n\r\nhello", THEN_ENDS);
    char reply[256], url[64];
    struct err err = {0};
    snprintf(reply, sizeof reply, "HTTP/1.1 302 Found\r\nLocation: http://%s:%u/\r\nContent-Length: 0\r\n\r\n", to,
             target.port);
    struct server server = start_at(from, reply, THEN_ENDS);
    snprintf(url, sizeof url, "http://%s:%u/", from, server.port);
    int fd = fetch(url, &usual, &err);
    stop(&server);
    stop(&target);
    bool good = said ? fd < 0 && strstr(err.message, said) : fd >= 0;
    if (!good)
        fprintf(stderr, "%s to %s: %s\n", from, to, err.message);
    return !good;
}

/* Who is at a public address leads to no private one; who is at a private one leads anywhere. */
static void test_private(void **state)
{
    int status;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0 && !enter_network())
        _exit(77);
    if (pid == 0)
        _exit(lead(PUBLIC, "127.0.0.1", "its address is a private one") || lead("127.0.0.1", PUBLIC, NULL) ||
              lead(PUBLIC, PUBLIC, NULL) || lead("127.0.0.1", "127.0.0.2", NULL));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77) {
        print_message("no network of one's own can be made here\n");
        skip();
    }
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* What it shall not have is forgotten before anybody is asked, and no descriptor but its two comes with it. */
static void forget(void *arg)
{
    *(bool *)arg = false;
    if (fcntl(100, F_GETFD) >= 0)
        _exit(1);
}

static void test_forgets(void **state)
{
    struct server server = start(OK "Content-Length: 5\r\n\r\nhello", THEN_ENDS);
    struct err err = {0};
    char url[64];
    bool kept = true;
    assert_int_equal(dup2(STDERR_FILENO, 100), 100);
    snprintf(url, sizeof url, "http://127.0.0.1:%u/", server.port);
    const struct fetch_want want = {.url = str_of(url), .forget = forget, .arg = &kept};
    int fd = fetch_file(&want, &usual, &err);
    assert_true(fd >= 0);
    assert_true(kept); /* here */
    close(fd);
    close(100);
    stop(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_taken), cmocka_unit_test(test_refused),
                                       cmocka_unit_test(test_unreachable), cmocka_unit_test(test_forgets),
                                       cmocka_unit_test(test_private)};
    log_level_set(LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
