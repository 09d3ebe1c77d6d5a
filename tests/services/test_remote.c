/* The process that talks to servers, with a server of the test's: who may reach what, what a worker may not say, and
 * what a server that is silent, gone or full does to whom. */
#include "services/harness.h"

#include "services/remote.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>

#define ANSWER_MS 2000

static struct engine_settings settings;
static struct service_process service;
static struct storage_client *client;
static struct grants own, others, third;
static const struct grants *items[] = {&own, &others, &third};
static struct remote_nets nets = {items, 3, NULL};
static pid_t server;
static uint16_t port;
static int64_t last;

/* ---- the server: answers PING, and says nothing to anything else ---- */

static void serve_one(struct pollfd *fd)
{
    char bytes[4096];
    ssize_t got = recv(fd->fd, bytes, sizeof bytes - 1, 0);
    if (got <= 0) {
        close(fd->fd);
        fd->fd = -1;
        return;
    }
    bytes[got] = '\0';
    if (strstr(bytes, "PING"))
        send(fd->fd, "+PONG\r\n", 7, MSG_NOSIGNAL);
    if (strstr(bytes, "LEAVE"))
        shutdown(fd->fd, SHUT_RDWR);
    if (strstr(bytes, "TWICE"))
        send(fd->fd, ":1\r\n:2\r\n", 8, MSG_NOSIGNAL);
}

static _Noreturn void serve(int listener)
{
    static struct pollfd fds[256];
    nfds_t count = 1;
    fds[0] = (struct pollfd){listener, POLLIN, 0};
    for (;;) {
        poll(fds, count, -1);
        for (nfds_t i = 1; i < count; i++)
            if (fds[i].fd >= 0 && fds[i].revents)
                serve_one(&fds[i]);
        nfds_t at = 1;
        while (at < count && fds[at].fd >= 0)
            at++;
        if (fds[0].revents && at < 256) {
            fds[at] = (struct pollfd){accept(listener, NULL, NULL), POLLIN, 0};
            count += at == count;
        }
    }
}

static void start_server(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(listener, 128), 0);
    getsockname(listener, (struct sockaddr *)&address, &size);
    port = ntohs(address.sin_port);
    server = fork();
    assert_true(server >= 0);
    if (server == 0)
        serve(listener);
    close(listener);
}

static void start_remote_service(void)
{
    int ends[2];
    assert_true(packet_pair(SOCK_SEQPACKET, ends, &harness_err));
    service.pid = fork();
    assert_true(service.pid >= 0);
    if (service.pid == 0) {
        dup2(ends[1], 3);
        close_range(4, ~0u, 0);
        struct service *mine = service_new(&settings, 3, NULL);
        service_reach(mine, &nets);
        bool done = service_run(mine, NULL);
        service_free(mine);
        _exit(done ? 0 : 1);
    }
    close(ends[1]);
    service.control = ends[0];
}

static int begin_all(void **state)
{
    char rule[64];
    settings = service_settings_default;
    settings.connect_ms = settings.answer_ms = ANSWER_MS;
    if (harness_open(state))
        return 1;
    start_server();
    snprintf(rule, sizeof rule, "redis://127.0.0.0/8:%u", port);
    assert_true(grants_add(&own, GRANT_OUTBOUND, str_of(rule), &harness_err));
    assert_true(grants_add(&third, GRANT_OUTBOUND, str_of(rule), &harness_err));
    snprintf(rule, sizeof rule, "redis://*:%u", port);
    assert_true(grants_add(&others, GRANT_OUTBOUND, str_of(rule), &harness_err));
    start_remote_service();
    client = new_client();
    connect_client(client, &service, 1);
    return 0;
}

static int end_all(void **state)
{
    storage_client_free(client);
    assert_int_equal(stop_service(&service), 0);
    kill(server, SIGKILL);
    waitpid(server, NULL, 0);
    grants_free(&own);
    grants_free(&others);
    grants_free(&third);
    return harness_close(state);
}

/* ---- calls ---- */

static struct storage_call *begin_link(int64_t session, int64_t net, const char *host, uint16_t to, const char *user)
{
    const struct storage_value values[] = {
        storage_integer(session), storage_integer(net),       storage_text(str_of(host)),
        storage_integer(to),      storage_text(str_of(user)), storage_text(STR("")),
        storage_text(STR("")),    storage_text(STR("")),      storage_integer(0)};
    return begin_call(client, STORAGE_REDIS, "", STORAGE_LINK, values, 9);
}

static void expect_link(int64_t session, int64_t net, const char *host, uint16_t to, enum storage_status status,
                        const char *message)
{
    struct storage_call *call = begin_link(session, net, host, to, "");
    wait_call(call);
    assert_int_equal(call->status, status);
    if (message && !strstr(call->message.ptr, message))
        fail_msg("%.*s", STR_ARG(call->message));
    drop_call(call);
}

static struct storage_call *begin_command(int64_t session, const char *word)
{
    const struct storage_value values[] = {storage_integer(session), storage_integer(1), storage_blob(str_of(word))};
    return begin_call(client, STORAGE_REDIS, "", STORAGE_COMMAND, values, 3);
}

static void expect_command(int64_t session, const char *word, enum storage_status status, const char *text)
{
    struct storage_call *call = begin_command(session, word);
    wait_call(call);
    assert_int_equal(call->status, status);
    struct str found = status == STORAGE_DONE ? call->values[0].bytes : call->message;
    if (!str_eq(found, str_of(text)))
        fail_msg("%s: %.*s", word, STR_ARG(found));
    drop_call(call);
}

static void end_link(int64_t session)
{
    const struct storage_value number = storage_integer(session);
    drop_call(begin_call(client, STORAGE_REDIS, "", STORAGE_LINK_END, &number, 1));
}

static int64_t open_link(void)
{
    expect_link(++last, 0, "127.0.0.1", port, STORAGE_DONE, NULL);
    return last;
}

/* ---- tests ---- */

static void test_answers(void **state)
{
    int64_t a = open_link(), b = open_link();
    expect_command(a, "PING", STORAGE_DONE, "PONG");
    expect_command(b, "PING", STORAGE_DONE, "PONG");
    end_link(a);
    expect_command(a, "PING", STORAGE_INVALID, "the connection is gone");
    expect_command(b, "PING", STORAGE_DONE, "PONG");
    end_link(b);
}

/* By the number of the function whose grants count. */
static void test_denied(void **state)
{
    char where[32];
    snprintf(where, sizeof where, "127.0.0.1:%u", port);
    expect_link(++last, 0, "127.0.0.1", port + 1, STORAGE_DENIED, NULL);
    expect_link(++last, 0, "10.0.0.1", port, STORAGE_DENIED, NULL);
    expect_link(++last, 1, "127.0.0.1", port, STORAGE_DENIED, NULL);
    expect_link(++last, 3, "127.0.0.1", port, STORAGE_DENIED, NULL);
    expect_link(++last, INT64_MAX, "127.0.0.1", port, STORAGE_DENIED, NULL);
    expect_link(++last, 1, "localhost", port, STORAGE_DENIED, ":"); /* a name that leads here: it says where */
    expect_link(++last, 0, "localhost", port, STORAGE_DENIED, NULL); /* a range is no name */
}

static void test_malformed(void **state)
{
    int64_t a = open_link();
    expect_link(a, 0, "127.0.0.1", port, STORAGE_FAILED, "this opens no connection");
    expect_link(++last, -1, "127.0.0.1", port, STORAGE_FAILED, "this opens no connection");
    expect_link(++last, 0, "127.0.0.1", 0, STORAGE_FAILED, "this opens no connection");
    expect_command(++last, "PING", STORAGE_INVALID, "the connection is gone");
    const struct storage_value values[] = {storage_integer(a), storage_text(STR("x"))};
    assert_int_equal(status_of(do_call(client, STORAGE_REDIS, "", STORAGE_COMMAND, values, 2)), STORAGE_FAILED);
    assert_int_equal(status_of(do_call(client, STORAGE_REDIS, "", STORAGE_COMMAND, values, 0)), STORAGE_INVALID);
    assert_int_equal(status_of(do_call(client, STORAGE_REDIS, "", STORAGE_GET, values, 1)), STORAGE_FAILED);
    expect_command(a, "MONITOR", STORAGE_FAILED, "a command that is not answered by one reply is not offered");
    expect_command(a, "PING", STORAGE_DONE, "PONG");
    end_link(a);
}

/* Its call ends, and so does its connection; others go on meanwhile. */
static void test_silent(void **state)
{
    int64_t a = open_link(), b = open_link();
    struct storage_call *call = begin_command(a, "NOTHING");
    expect_command(a, "PING", STORAGE_CROWDED, "the connection is busy");
    for (unsigned i = 0; i < 20; i++)
        expect_command(b, "PING", STORAGE_DONE, "PONG");
    assert_int_equal(call->status, STORAGE_WAITING);
    wait_call(call);
    assert_int_equal(call->status, STORAGE_FAILED);
    assert_true(str_eq(call->message, STR("no answer within 2000 ms")));
    drop_call(call);
    expect_command(a, "PING", STORAGE_INVALID, "the connection is gone");
    expect_command(b, "PING", STORAGE_DONE, "PONG");
    end_link(a);
    end_link(b);
}

static void test_gone(void **state)
{
    int64_t a = open_link(), b = open_link();
    expect_command(a, "LEAVE", STORAGE_FAILED, "the server ended the connection");
    expect_command(a, "PING", STORAGE_INVALID, "the connection is gone");
    expect_command(b, "PING", STORAGE_DONE, "PONG");
    expect_command(b, "TWICE", STORAGE_FAILED, "the server said what nobody asked");
    end_link(a);
    end_link(b);
}

/* Beyond what one server gets, sessions wait: for a line that comes free, or until their time is over. */
static void test_full(void **state)
{
    int64_t first = last + 1;
    for (unsigned i = 0; i < REMOTE_TARGET_LINES_MAX; i++) {
        struct storage_call *call = begin_link(++last, 0, "127.0.0.1", port, "full");
        wait_call(call);
        assert_int_equal(call->status, STORAGE_DONE);
        drop_call(call);
    }
    struct storage_call *waits = begin_link(++last, 0, "127.0.0.1", port, "full");
    int64_t other = open_link(); /* another target, as far as that goes */
    expect_command(other, "PING", STORAGE_DONE, "PONG");
    assert_int_equal(waits->status, STORAGE_WAITING);
    end_link(first);
    wait_call(waits);
    assert_int_equal(waits->status, STORAGE_DONE);
    drop_call(waits);
    waits = begin_link(++last, 0, "127.0.0.1", port, "full");
    wait_call(waits);
    assert_int_equal(waits->status, STORAGE_CROWDED);
    drop_call(waits);
    for (int64_t session = first; session <= last; session++)
        end_link(session);
}

/* One function has so many sessions that it gets no more; another one has its own. */
static void test_shares(void **state)
{
    static struct storage_call *calls[REMOTE_SESSIONS_MAX / 3];
    const size_t count = sizeof calls / sizeof *calls;
    int64_t first = last + 1;
    for (size_t i = 0; i < count; i++)
        calls[i] = begin_link(++last, 0, "127.0.0.1", port, "many");
    expect_link(++last, 0, "127.0.0.1", port, STORAGE_CROWDED, "too many connections are open");
    int64_t other = ++last;
    expect_link(other, 2, "127.0.0.1", port, STORAGE_DONE, NULL);
    expect_command(other, "PING", STORAGE_DONE, "PONG");
    for (size_t i = 0; i < count; i++)
        drop_call(calls[i]);
    for (int64_t session = first; session <= last; session++)
        end_link(session);
    end_link(open_link());
}

/* It goes down with all sessions, and another one begins with the next. */
static void test_killed(void **state)
{
    int64_t a = open_link();
    char path[64], text[64] = "";
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", service.pid, service.pid);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_non_null(fgets(text, sizeof text, file));
    fclose(file);
    struct storage_call *call = begin_command(a, "NOTHING");
    kill(atoi(text), SIGKILL);
    wait_call(call);
    assert_int_equal(call->status, STORAGE_FAILED);
    drop_call(call);
    expect_command(a, "PING", STORAGE_INVALID, "the connection is gone");
    int64_t b = open_link();
    expect_command(b, "PING", STORAGE_DONE, "PONG");
    end_link(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers), cmocka_unit_test(test_denied), cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_silent),  cmocka_unit_test(test_gone),   cmocka_unit_test(test_full),
        cmocka_unit_test(test_shares),  cmocka_unit_test(test_killed),
    };
    return cmocka_run_group_tests(tests, begin_all, end_all);
}
