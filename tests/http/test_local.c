/* Requests that stay inside, between a caller and a service of the test: what either may do with its time and bytes. */
#include "http/local.h"

#include "base/alloc.h"
#include "http/connection.h"
#include "support/loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define CODE(name) WASI_HTTP_TYPES_ERROR_CODE_##name

static struct io_loop *loop;
static struct http_local *local;
static struct http_exchange *served; /* the service's, or NULL */
static unsigned handled, readied, lost, refusals, changes;
static uint64_t body_limit;
static struct outbound_call *dropped_at_change;

/* ---- the service ---- */

static bool handle(void *arg, struct http_exchange *x)
{
    (void)arg;
    served = x;
    handled++;
    return true;
}

static void ready(void *arg, struct http_exchange *x)
{
    (void)arg;
    assert_ptr_equal(x, served);
    readied++;
}

static void gone(void *arg, struct http_exchange *x)
{
    (void)arg;
    assert_ptr_equal(x, served);
    served = NULL;
    lost++;
}

static uint64_t body_max(void *arg, const struct http_exchange *x)
{
    (void)arg, (void)x;
    return body_limit;
}

static void refused(void *arg, const struct http_exchange *x, unsigned status)
{
    (void)arg, (void)x;
    assert_int_equal(status, 413);
    refusals++;
}

static const struct http_service service = {
    .handle = handle, .ready = ready, .gone = gone, .body_max = body_max, .refused = refused};

/* ---- the caller ---- */

static void changed(struct outbound_call *call)
{
    changes++;
    if (call == dropped_at_change)
        call->face->drop(call);
}

static struct io_timer patience;

static void stop(struct io_timer *timer)
{
    (void)timer;
    io_stop(loop);
}

/* All that is posted runs before the loop waits. */
static void turn(void)
{
    patience.fired = stop;
    io_timer_set(loop, &patience, io_now_us(loop));
    assert_true(io_run(loop, NULL));
}

static struct outbound_call *begin(struct outbound_request request)
{
    request.to = OUTBOUND_TO_COMPONENT;
    if (!request.method.ptr)
        request.method = STR("GET");
    request.target = STR("/path?query");
    request.authority = STR("back.spin.internal");
    request.changed = changed;
    struct outbound_call *call = http_local_face.begin(local, &request);
    assert_non_null(call);
    return call;
}

static struct outbound_call *begin_served(struct outbound_request request)
{
    unsigned before = handled;
    struct outbound_call *call = begin(request);
    assert_int_equal(handled, before); /* never inside of the caller */
    turn();
    assert_int_equal(handled, before + 1);
    assert_non_null(served);
    return call;
}

static void end(struct outbound_call *call)
{
    call->face->drop(call);
    turn();
    served = NULL;
}

static void assert_text(struct str text, const char *wanted)
{
    assert_int_equal(text.len, strlen(wanted));
    assert_memory_equal(text.len ? text.ptr : "", wanted, text.len);
}

static const struct http_field *field(const struct http_field *fields, uint32_t count, const char *name)
{
    for (uint32_t i = 0; i < count; i++)
        if (str_eq(fields[i].name, str_of(name)))
            return &fields[i];
    return NULL;
}

/* ---- tests ---- */

static void test_heads(void **state)
{
    const struct http_field fields[] = {{STR("X-Mixed"), STR("One")},
                                        {STR("Connection"), STR("close")},
                                        {STR("Host"), STR("other")},
                                        {STR("Content-Length"), STR("7")},
                                        {STR("x-mixed"), STR("two")}};
    const struct http_field answer[] = {{STR("X-Answer"), STR("1")}, {STR("Transfer-Encoding"), STR("x")}};
    struct outbound_call *call =
        begin_served((struct outbound_request){.fields = fields, .field_count = 5, .function = 3});
    const struct http_request *request = http_request(served);
    (void)state;
    assert_text(request->method, "GET");
    assert_text(request->target, "/path?query");
    assert_text(request->authority, "back.spin.internal");
    assert_text(request->scheme, "http");
    assert_int_equal(request->field_count, 2);
    assert_text(request->fields[0].name, "x-mixed");
    assert_text(request->fields[0].value, "One");
    assert_false(request->coming);
    assert_int_equal(http_local_origin(served)->function, 3);
    char peer[NET_ADDRESS_MAX];
    http_peer(served, peer);
    assert_string_equal(peer, "0.0.0.0:0");
    assert_true(http_respond(served, 201, answer, 2, STR("body")));
    assert_int_equal(call->state, OUTBOUND_DONE);
    turn();
    assert_int_equal(call->status, 201);
    assert_int_equal(call->field_count, 2);
    assert_text(field(call->fields, call->field_count, "x-answer")->value, "1");
    assert_text(field(call->fields, call->field_count, "content-length")->value, "4");
    assert_text(call->body, "body");
    call->face->take(call, 4);
    assert_int_equal(call->body.len, 0);
    end(call);
}

static void test_no_content(void **state)
{
    static const struct {
        const char *method;
        unsigned status;
        const char *length;
    } rows[] = {{"HEAD", 200, "4"}, {"GET", 204, NULL}, {"GET", 304, "4"}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct outbound_call *call = begin_served((struct outbound_request){.method = str_of(rows[i].method)});
        assert_true(http_respond(served, rows[i].status, NULL, 0, STR("body")));
        const struct http_field *length = field(call->fields, call->field_count, "content-length");
        assert_int_equal(length != NULL, rows[i].length != NULL);
        if (length)
            assert_text(length->value, rows[i].length);
        assert_int_equal(call->body.len, 0);
        end(call);
    }
}

/* What the guest gives and is unfit is refused, and the exchange is still there. */
static void test_unfit(void **state)
{
    const struct http_field bad[] = {{STR("a b"), STR("x")}};
    struct outbound_call *call = begin_served((struct outbound_request){0});
    (void)state;
    assert_false(http_respond(served, 200, bad, 1, STR("body")));
    assert_false(http_start(served, 200, bad, 1));
    assert_false(http_write(served, STR("x")));
    assert_int_equal(call->state, OUTBOUND_WAITING);
    http_fail(served, 500);
    assert_int_equal(call->status, 500);
    assert_text(call->body, "500 Internal Server Error\n");
    end(call);
}

static void test_streams(void **state)
{
    static char bytes[HTTP_LOCAL_ROOM];
    const struct http_field trailer[] = {{STR("X-Sum"), STR("1")}};
    struct outbound_call *call = begin_served((struct outbound_request){.body = OUTBOUND_CHUNKED});
    const struct http_request *request = http_request(served);
    (void)state;
    assert_true(request->coming);
    http_want(served);
    unsigned before = readied;
    assert_true(call->face->write(call, (struct str){bytes, sizeof bytes}));
    assert_int_equal(call->face->room(call), 0);
    turn();
    assert_int_equal(readied, before + 1);
    assert_int_equal(request->body.len, sizeof bytes);
    before = changes;
    http_take(served, 1000);
    turn();
    assert_true(changes > before); /* there is room */
    assert_int_equal(call->face->room(call), 1000);
    http_take(served, sizeof bytes - 1000);
    call->face->finish(call, trailer, 1);
    assert_false(request->coming);
    assert_text(request->trailers[0].name, "x-sum");
    assert_int_equal(call->face->room(call), SIZE_MAX);
    assert_false(call->face->write(call, STR("more")));
    /* And back. */
    assert_true(http_start(served, 200, NULL, 0));
    assert_int_equal(call->state, OUTBOUND_ANSWERED);
    assert_int_equal(call->field_count, 0);
    assert_true(http_write(served, (struct str){bytes, sizeof bytes}));
    assert_int_equal(http_room(served), 0);
    before = readied;
    call->face->take(call, 5000);
    turn();
    assert_int_equal(readied, before + 1);
    assert_int_equal(http_room(served), 5000);
    assert_true(http_finish(served, trailer, 1));
    assert_int_equal(call->state, OUTBOUND_DONE);
    assert_int_equal(call->trailer_count, 1);
    assert_int_equal(call->body.len, sizeof bytes - 5000);
    end(call);
}

static void test_length(void **state)
{
    const struct http_field length[] = {{STR("content-length"), STR("5")}};
    struct outbound_call *call = begin_served((struct outbound_request){0});
    (void)state;
    assert_true(http_start(served, 200, length, 1));
    assert_true(http_write(served, STR("123")));
    assert_false(http_write(served, STR("456")));
    assert_false(http_finish(served, NULL, 0));
    assert_int_equal(call->state, OUTBOUND_FAILED);
    assert_int_equal(call->error.tag, CODE(HTTP_RESPONSE_INCOMPLETE));
    assert_text(call->body, "123");
    end(call);
}

/* The caller goes away: before the service has it, while it works, inside of what it is told. */
static void test_dropped(void **state)
{
    (void)state;
    unsigned before = handled, lost_before = lost;
    struct outbound_call *call = begin((struct outbound_request){0});
    call->face->drop(call);
    turn();
    assert_int_equal(handled, before);
    assert_int_equal(lost, lost_before);
    call = begin_served((struct outbound_request){0});
    call->face->drop(call);
    assert_int_equal(lost, lost_before); /* never inside of the caller */
    turn();
    assert_int_equal(lost, lost_before + 1);
    call = begin_served((struct outbound_request){0});
    assert_true(http_start(served, 200, NULL, 0));
    dropped_at_change = call;
    turn();
    turn();
    assert_int_equal(lost, lost_before + 2);
    dropped_at_change = NULL;
}

static void test_corrupt(void **state)
{
    struct outbound_call *call = begin_served((struct outbound_request){.body = OUTBOUND_CHUNKED});
    unsigned before = lost;
    (void)state;
    call->face->corrupt(call);
    assert_int_equal(call->state, OUTBOUND_FAILED);
    assert_int_equal(call->error.tag, CODE(HTTP_PROTOCOL_ERROR));
    turn();
    assert_int_equal(lost, before + 1);
    end(call);
}

static void test_too_long(void **state)
{
    struct outbound_call *call;
    (void)state;
    body_limit = 4;
    unsigned before = handled, refused_before = refusals;
    call = begin((struct outbound_request){.body = OUTBOUND_LENGTH, .length = 5});
    turn();
    assert_int_equal(handled, before);
    assert_int_equal(refusals, refused_before + 1);
    assert_int_equal(call->status, 413);
    end(call);
    call = begin_served((struct outbound_request){.body = OUTBOUND_CHUNKED});
    assert_true(call->face->write(call, STR("1234")));
    assert_true(call->face->write(call, STR("5")));
    assert_true(call->face->write(call, STR("6")));
    assert_int_equal(http_request(served)->body.len, 4);
    assert_int_equal(http_request(served)->fault, HTTP_BODY_TOO_LONG);
    assert_false(http_request(served)->coming);
    http_fail(served, 413);
    end(call);
    body_limit = UINT64_MAX;
}

static void test_refused(void **state)
{
    (void)state;
    struct outbound_call *call = begin((struct outbound_request){.refused = true, .refusal = CODE(LOOP_DETECTED)});
    assert_int_equal(call->state, OUTBOUND_FAILED);
    assert_int_equal(call->error.tag, CODE(LOOP_DETECTED));
    turn();
    end(call);
}

static void test_first_byte(void **state)
{
    struct outbound_call *call = begin_served((struct outbound_request){.first_byte_us = 20000});
    unsigned before = lost;
    (void)state;
    for (int i = 0; i < 10000000 && call->state == OUTBOUND_WAITING; i++)
        turn();
    assert_int_equal(call->error.tag, CODE(CONNECTION_READ_TIMEOUT));
    turn();
    assert_int_equal(lost, before + 1);
    end(call);
}

/* Bodies that nobody reads are bounded, one by one and together; what is read or ended makes room again. */
static void test_held(void **state)
{
    enum { MANY = 6 };
    const size_t part = (size_t)16 << 20;
    char *bytes = mem_alloc(part, 1);
    struct outbound_call *calls[MANY];
    size_t written = 0;
    (void)state;
    for (int i = 0; i < MANY; i++) {
        calls[i] = begin((struct outbound_request){.body = OUTBOUND_CHUNKED});
        size_t one = 0;
        while (one <= HTTP_LOCAL_BYTES && calls[i]->face->write(calls[i], (struct str){bytes, part}))
            one += part;
        assert_true(one <= HTTP_LOCAL_BYTES);
        assert_int_equal(calls[i]->error.tag, CODE(INTERNAL_ERROR));
        written += one;
    }
    assert_true(written <= HTTP_LOCAL_HELD && written > HTTP_LOCAL_HELD / 2);
    for (int i = 0; i < MANY; i++)
        calls[i]->face->drop(calls[i]);
    turn();
    struct outbound_call *call = begin_served((struct outbound_request){0});
    assert_true(http_respond(served, 200, NULL, 0, (struct str){bytes, part}));
    assert_int_equal(call->body.len, part);
    end(call);
    mem_free(bytes);
}

static void test_crowd(void **state)
{
    struct outbound_call **calls = mem_alloc(HTTP_LOCAL_MAX + 1, sizeof *calls);
    (void)state;
    for (unsigned i = 0; i <= HTTP_LOCAL_MAX; i++)
        calls[i] = begin((struct outbound_request){0});
    assert_int_equal(calls[HTTP_LOCAL_MAX - 1]->state, OUTBOUND_WAITING);
    assert_int_equal(calls[HTTP_LOCAL_MAX]->error.tag, CODE(CONNECTION_LIMIT_REACHED));
    for (unsigned i = 0; i <= HTTP_LOCAL_MAX; i++)
        calls[i]->face->drop(calls[i]);
    turn();
    mem_free(calls);
    served = NULL;
}

/* Each allocation of a request and its answer fails once: then one side is told, and nothing is left. */
static void test_no_memory(void **state)
{
    const struct http_field fields[] = {{STR("x-a"), STR("1")}};
    bool failed = true;
    (void)state;
    uint64_t live = mem_live();
    for (uint64_t nth = 1; failed; nth++) {
        struct outbound_request request = {.to = OUTBOUND_TO_SELF,
                                           .method = STR("POST"),
                                           .target = STR("/"),
                                           .fields = fields,
                                           .field_count = 1,
                                           .body = OUTBOUND_CHUNKED,
                                           .changed = changed};
        mem_fail_once(nth);
        struct outbound_call *call = http_local_face.begin(local, &request);
        bool sent = call && call->face->write(call, STR("body"));
        if (sent)
            call->face->finish(call, fields, 1);
        turn();
        bool answered = sent && served && http_start(served, 200, fields, 1) && http_write(served, STR("body")) &&
                        http_finish(served, fields, 1);
        mem_fail_once(0);
        failed = !answered;
        assert_true(!call || answered == (call->state == OUTBOUND_DONE));
        if (call)
            end(call);
        served = NULL;
        assert_int_equal(mem_live(), live);
    }
}

static void test_close(void **state)
{
    struct outbound_call *call = begin_served((struct outbound_request){0});
    unsigned before = lost;
    (void)state;
    http_local_close(local);
    assert_int_equal(lost, before + 1);
    assert_int_equal(call->error.tag, CODE(CONNECTION_TERMINATED));
    struct outbound_call *late = begin((struct outbound_request){0});
    assert_int_equal(late->error.tag, CODE(DESTINATION_UNAVAILABLE));
    call->face->drop(call);
    late->face->drop(late);
}

static int open_all(void **state)
{
    struct err err = {0};
    (void)state;
    body_limit = UINT64_MAX;
    loop = test_loop(&err);
    local = loop ? http_local_new(loop, &service, &err) : NULL;
    return local ? 0 : -1;
}

static int close_all(void **state)
{
    (void)state;
    http_local_free(local);
    io_loop_free(loop);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_heads),      cmocka_unit_test(test_no_content), cmocka_unit_test(test_unfit),
        cmocka_unit_test(test_streams),    cmocka_unit_test(test_length),     cmocka_unit_test(test_dropped),
        cmocka_unit_test(test_corrupt),    cmocka_unit_test(test_too_long),   cmocka_unit_test(test_refused),
        cmocka_unit_test(test_first_byte), cmocka_unit_test(test_held),       cmocka_unit_test(test_crowd),
        cmocka_unit_test(test_no_memory),  cmocka_unit_test(test_close),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
