/* Fuzz target: a client of HTTP/2, from its bytes behind the preface into a connection of the server. The first byte
 * says where the bytes are cut in two, the second how much of the answers is read. Whatever comes, requests are whole
 * and bounded, each exchange that the service was given is answered or reported as gone, and the connection ends. */
#include "fuzz/fuzz.h"

#include "base/alloc.h"
#include "http/server.h"

#include <sys/socket.h>
#include <unistd.h>

#define INPUT_MAX ((size_t)100000) /* what a socket takes at once */
#define TURNS 6

static const struct http_limits limits = {
    .head_bytes = 4000,
    .body_bytes = 100000,
    .output_bytes = 1 << 20,
    .connections = 4,
    .head_us = 1000000,
    .body_us = 1000000,
    .idle_us = 1000000,
    .write_us = 1000000,
};

static struct {
    struct io_loop *loop;
    struct http_server *server;
    struct io_timer stop;
    unsigned given, done;
} f;

/* ---- the service ---- */

static void check_fields(const struct http_field *fields, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        FUZZ_CHECK(http_is_token(fields[i].name) && http_is_value(fields[i].value));
        FUZZ_CHECK(!str_eq(fields[i].name, STR("connection")) && !str_eq(fields[i].name, STR("transfer-encoding")));
    }
}

static void check_request(const struct http_request *r)
{
    FUZZ_CHECK(http_is_token(r->method) && r->target.len && r->target.len < limits.head_bytes);
    FUZZ_CHECK(str_eq(r->scheme, STR("http")) || str_eq(r->scheme, STR("https")));
    check_fields(r->fields, r->field_count);
}

static void done(void)
{
    f.done++;
}

static bool answer(struct http_exchange *x)
{
    static const char bytes[70000];
    FUZZ_CHECK(http_respond(x, 200, NULL, 0, (struct str){bytes, http_request(x)->target.len * 1000 % sizeof bytes}));
    done();
    return true;
}

/* The body comes back as it comes. */
static void echo(void *arg, struct http_exchange *x)
{
    const struct http_request *r = http_request(x);
    size_t room;
    while (r->body.len && (room = http_room(x)) > 0) {
        size_t n = r->body.len < room ? r->body.len : room;
        if (!http_write(x, (struct str){r->body.ptr, n}))
            return;
        http_take(x, n);
    }
    if (r->body.len)
        return;
    if (r->coming) {
        http_want(x);
        return;
    }
    check_fields(r->trailers, r->trailer_count);
    if (r->fault)
        http_fail(x, 500);
    else
        http_finish(x, r->trailers, r->trailer_count);
    done();
}

static bool handle(void *arg, struct http_exchange *x)
{
    const struct http_request *r = http_request(x);
    check_request(r);
    f.given++;
    switch (r->target.len % 4) {
    case 0: return true; /* it will be gone */
    case 1: return answer(x);
    case 2: done(); return false;
    default: break;
    }
    const struct http_field length = {STR("content-length"), STR("10")};
    if (!http_start(x, 200, &length, r->target.len % 8 == 7))
        FUZZ_CHECK(false);
    echo(arg, x);
    return true;
}

static void gone(void *arg, struct http_exchange *x)
{
    done();
}

/* ---- the loop ---- */

static void stop(struct io_timer *timer)
{
    io_stop(f.loop);
}

/* A few turns; `peer` reads what it may. */
static void turn(int peer, size_t reads)
{
    static char bytes[65536];
    for (int i = 0; i < TURNS; i++) {
        io_timer_set(f.loop, &f.stop, 0);
        FUZZ_CHECK(io_run(f.loop, NULL));
        if (reads)
            (void)!recv(peer, bytes, reads < sizeof bytes ? reads : sizeof bytes, MSG_DONTWAIT);
    }
}

static void begin(void)
{
    const struct http_service service = {.handle = handle, .ready = echo, .gone = gone};
    struct err err;
    f.loop = io_loop_new(&err);
    f.server = f.loop ? http_server_new(f.loop, &service, &limits, &err) : NULL;
    f.stop.fired = stop;
    FUZZ_CHECK(f.server);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    int ends[2];
    if (size < 2 || size > INPUT_MAX)
        return 0;
    size_t cut = (size - 2) * data[0] / 256, reads = (size_t)data[1] * 400;
    data += 2;
    size -= 2;
    if (!f.loop)
        begin();
    f.given = f.done = 0;
    FUZZ_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0);
    FUZZ_CHECK(http_server_adopt(f.server, ends[0]));
    FUZZ_CHECK(send(ends[1], preface, sizeof preface - 1, 0) == sizeof preface - 1);
    (void)!send(ends[1], data, cut, MSG_NOSIGNAL);
    turn(ends[1], reads);
    (void)!send(ends[1], data + cut, size - cut, MSG_NOSIGNAL);
    turn(ends[1], reads);
    close(ends[1]);
    for (int i = 0; i < 100 && http_server_connections(f.server); i++)
        turn(-1, 0);
    FUZZ_CHECK(http_server_connections(f.server) == 0);
    FUZZ_CHECK(f.given == f.done);
    return 0;
}
