/* Fuzz target: the client's side of HTTP, from the peer's bytes to a response. The first byte says where the bytes are
 * cut in two and whether the request was HEAD: however they arrive, the call ends the same way with the same response.
 */
#include "fuzz/fuzz.h"

#include "base/alloc.h"
#include "http/call.h"

#include <sys/socket.h>
#include <unistd.h>

#define INPUT_MAX ((size_t)100000) /* what a socket takes at once */

struct outcome {
    enum outbound_state state;
    enum wasi_http_types_error_code_tag tag;
    unsigned status;
    uint32_t fields, trailers;
    struct buf body;
};

static void changed(struct outbound_call *call)
{
}

/* A call that has sent its request, on a connection whose other end is *ret_peer. */
static struct http_call *open_call(struct http_client *client, bool of_head, int *ret_peer)
{
    int ends[2];
    struct http_call *call = mem_alloc(1, sizeof *call);
    FUZZ_CHECK(call && socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0);
    call->raw = mem_alloc(1, HTTP_RESPONSE_HEAD);
    FUZZ_CHECK(call->raw);
    call->client = client;
    call->phase = CALL_OPEN;
    call->watch.fd = ends[0];
    call->sent = true;
    call->of_head = of_head;
    call->face.changed = changed;
    call->connect_us = call->first_byte_us = call->between_us = 1000000;
    buf_init(&call->out, 1024);
    buf_init(&call->body, HTTP_CALL_BODY);
    http_parse_begin_response(&call->parser, 0);
    client->count++;
    *ret_peer = ends[1];
    return call;
}

static void check_fields(const struct http_field *fields, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        FUZZ_CHECK(http_is_token(fields[i].name) && http_is_value(fields[i].value));
}

/* Take what there is, some bytes at a time. */
static void drain(struct http_call *call, struct outcome *outcome, size_t step)
{
    while (call->face.body.len) {
        size_t n = call->face.body.len < step ? call->face.body.len : step;
        FUZZ_CHECK(buf_append(&outcome->body, call->face.body.ptr, n));
        call_take(&call->face, n);
    }
}

static void receive(struct http_client *client, const uint8_t *data, size_t size, size_t cut, bool of_head, size_t step,
                    struct outcome *ret)
{
    int peer;
    struct http_call *call = open_call(client, of_head, &peer);
    memset(ret, 0, sizeof *ret);
    buf_init(&ret->body, INPUT_MAX);
    FUZZ_CHECK(write(peer, data, cut) == (ssize_t)cut);
    call_receive(call);
    drain(call, ret, step);
    if (call->phase != CALL_OVER && size > cut)
        FUZZ_CHECK(write(peer, data + cut, size - cut) == (ssize_t)(size - cut));
    close(peer);
    for (size_t rounds = 0; call->phase != CALL_OVER; rounds++) {
        FUZZ_CHECK(rounds < 2 * INPUT_MAX);
        call_receive(call);
        drain(call, ret, step);
    }
    drain(call, ret, step);
    ret->state = call->face.state;
    ret->tag = ret->state == OUTBOUND_FAILED ? call->face.error.tag : 0;
    ret->status = call->face.status;
    ret->fields = call->face.field_count;
    ret->trailers = call->face.trailer_count;
    FUZZ_CHECK(ret->state == OUTBOUND_DONE || ret->state == OUTBOUND_FAILED);
    FUZZ_CHECK(ret->state == OUTBOUND_FAILED || (ret->status >= 200 && ret->status <= 999));
    check_fields(call->face.fields, ret->fields);
    check_fields(call->face.trailers, ret->trailers);
    http_client_face.drop(&call->face);
    FUZZ_CHECK(client->count == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct http_client client;
    struct outcome whole, parts;
    if (!client.loop)
        client.loop = io_loop_new(NULL);
    FUZZ_CHECK(client.loop);
    if (size == 0 || size > INPUT_MAX)
        return 0;
    bool of_head = data[0] & 1;
    size_t cut = data[0] % size;
    receive(&client, data + 1, size - 1, size - 1, of_head, SIZE_MAX, &whole);
    receive(&client, data + 1, size - 1, cut, of_head, 7, &parts);
    FUZZ_CHECK(whole.state == parts.state && whole.status == parts.status && whole.fields == parts.fields &&
               whole.trailers == parts.trailers);
    FUZZ_CHECK(whole.body.size == parts.body.size || whole.state == OUTBOUND_FAILED);
    size_t common = whole.body.size < parts.body.size ? whole.body.size : parts.body.size;
    FUZZ_CHECK(common == 0 || memcmp(whole.body.data, parts.body.data, common) == 0);
    buf_free(&whole.body);
    buf_free(&parts.body);
    return 0;
}
