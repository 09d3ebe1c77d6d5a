/* fermyon:spin/http and inbound-http: requests and responses as whole values, each way.
 *
 * Both are made of what wasi:http is made of: a request that goes out is an outgoing-request without a handle, and
 * obeys the same grants and limits. Redirects are not followed: each is an answer like others, and where it leads must
 * be granted. Bodies that do not fit into what an activity may have are refused: 413 for one that comes in (its buffer
 * doubles, and what it grew out of counts until others use it). */
#include "wasi/http_spin.h"

#include "base/log.h"
#include "wasi/gen/fermyon_spin.h"
#include "wasi/object.h"

#include <stdio.h>

#define READ_BYTES ((size_t)65536)
#define GATHER_MIN ((size_t)4096)

typedef struct fermyon_spin_http_types_request spin_request;
typedef struct result_fermyon_spin_http_types_response_fermyon_spin_http_types_http_error spin_result;

#define FAULT(name) FERMYON_SPIN_HTTP_TYPES_HTTP_ERROR_##name

/* ---- bodies, whole ---- */

struct gathered {
    char *bytes;
    size_t size, capacity;
};

enum outcome { OUTCOME_WHOLE, OUTCOME_CUT, OUTCOME_TOO_LONG, OUTCOME_TRAP };

static bool gather(struct host *h, struct gathered *all, struct str part)
{
    size_t capacity = all->capacity ? all->capacity : GATHER_MIN;
    while (capacity - all->size < part.len)
        capacity *= 2;
    if (capacity > all->capacity) {
        char *bytes = host_bytes_take(h, capacity);
        if (!bytes)
            return false;
        if (all->size)
            memcpy(bytes, all->bytes, all->size);
        host_bytes_give(h, all->bytes, all->capacity);
        all->bytes = bytes;
        all->capacity = capacity;
    }
    if (part.len)
        memcpy(all->bytes + all->size, part.ptr, part.len);
    all->size += part.len;
    return true;
}

/* Up to the end of the stream, waiting for what is not here yet. */
static enum outcome take_whole(struct host *h, struct wasi_io_input_stream *s, struct gathered *all)
{
    for (;;) {
        struct arena_mark mark = arena_mark(&h->scratch);
        struct wasi_io_error *why = NULL;
        struct str part = {NULL, 0};
        bool closed = false;
        if (!s->kind->ready(h, s)) {
            if (!host_wait(h, HOST_FOREVER))
                return OUTCOME_TRAP;
            continue;
        }
        if (!s->kind->read(h, s, READ_BYTES, &part, &closed, &why))
            return OUTCOME_TRAP;
        if (why)
            host_drop_node(h, &why->node, "error");
        if (closed)
            return why ? OUTCOME_CUT : OUTCOME_WHOLE;
        bool kept = gather(h, all, part);
        arena_rewind(&h->scratch, mark);
        if (!kept)
            return OUTCOME_TOO_LONG;
    }
}

/* ---- fields ---- */

/* What guests may not set is left out. False: trap, or *ret_well is false because one is no field. */
static bool add_fields(struct host *h, struct wasi_http_fields *fields, struct list_tuple_str_str from, bool *ret_well)
{
    struct result_void_wasi_http_types_header_error result;
    *ret_well = true;
    for (size_t i = 0; i < from.len; i++) {
        struct list_u8 value = {(const uint8_t *)from.ptr[i].f1.ptr, from.ptr[i].f1.len};
        if (!wasi_http_types_fields_append(h, fields, from.ptr[i].f0, value, &result))
            return false;
        *ret_well &= !result.err || result.error.tag == WASI_HTTP_TYPES_HEADER_ERROR_FORBIDDEN;
    }
    return true;
}

/* ---- a request that goes out ---- */

struct url {
    struct option_wasi_http_types_scheme scheme;
    struct option_str authority, path;
};

/* RFC 3986, section 3; one that begins with a path is for the application itself. The fragment is nobody's. */
static bool split_url(struct str text, struct url *ret)
{
    struct str url = str_slice(text, 0, str_find(text, '#'));
    size_t colon = str_find(url, ':'), at = 0;
    *ret = (struct url){0};
    if (url.len && url.ptr[0] != '/') {
        struct str scheme = str_slice(url, 0, colon), rest = str_slice(url, colon + (colon < url.len), url.len);
        bool secure = http_is_same(scheme, STR("https"));
        if (!str_starts(rest, STR("//")) || (!secure && !http_is_same(scheme, STR("http"))))
            return false;
        ret->scheme.some = ret->authority.some = true;
        ret->scheme.value.tag = secure ? WASI_HTTP_TYPES_SCHEME_HTTPS : WASI_HTTP_TYPES_SCHEME_HTTP;
        rest = str_slice(rest, 2, rest.len);
        at = str_find(rest, '/') < str_find(rest, '?') ? str_find(rest, '/') : str_find(rest, '?');
        ret->authority.value = str_slice(rest, 0, at);
        url = str_slice(rest, at, rest.len);
        if (ret->authority.value.len == 0)
            return false;
    } else {
        ret->scheme.some = true;
        ret->scheme.value.tag = WASI_HTTP_TYPES_SCHEME_HTTP;
    }
    ret->path = (struct option_str){url.len > 0, url};
    return true;
}

static const enum wasi_http_types_method_tag methods[] = {
#define METHOD(name) [FERMYON_SPIN_HTTP_TYPES_METHOD_##name] = WASI_HTTP_TYPES_METHOD_##name
    METHOD(GET), METHOD(POST), METHOD(PUT), METHOD(DELETE), METHOD(PATCH), METHOD(HEAD), METHOD(OPTIONS),
#undef METHOD
};

static enum fermyon_spin_http_types_http_error fault_of(const struct wasi_http_types_error_code *code)
{
    switch (code->tag) {
    case WASI_HTTP_TYPES_ERROR_CODE_HTTP_REQUEST_DENIED: return FAULT(DESTINATION_NOT_ALLOWED);
    case WASI_HTTP_TYPES_ERROR_CODE_HTTP_REQUEST_URI_INVALID: return FAULT(INVALID_URL);
    case WASI_HTTP_TYPES_ERROR_CODE_CONNECTION_LIMIT_REACHED: return FAULT(TOO_MANY_REQUESTS);
    default: return FAULT(RUNTIME_ERROR);
    }
}

static bool fail(spin_result *ret, enum fermyon_spin_http_types_http_error fault)
{
    ret->err = true;
    ret->error = fault;
    return true;
}

/* False: trap; ret->err: it cannot be. */
static bool write_body(struct host *h, struct wasi_http_outgoing_request *request, struct list_u8 bytes,
                       spin_result *ret)
{
    static const struct option_wasi_http_fields no_trailers;
    struct result_wasi_http_outgoing_body_void body;
    struct result_void_wasi_http_types_error_code finished;
    struct wasi_io_error *why = NULL;
    if (!wasi_http_types_outgoing_request_body(h, request, &body))
        return false;
    struct wasi_io_output_stream stream = {.kind = &output_body, .body = body.ok};
    bool taken = output_body.write(h, &stream, (struct str){(const char *)bytes.ptr, bytes.len}, &why);
    if (why)
        host_drop_node(h, &why->node, "error");
    if (h->store->trap || !wasi_http_types_outgoing_body_finish(h, body.ok, &no_trailers, &finished))
        return false;
    if (!taken || finished.err)
        fail(ret, FAULT(RUNTIME_ERROR));
    return true;
}

/* *ret_request stays NULL where ret->err. False: trap. */
static bool make_request(struct host *h, const spin_request *from, struct wasi_http_outgoing_request **ret_request,
                         spin_result *ret)
{
    const struct wasi_http_types_method method = {.tag = methods[from->method]};
    struct wasi_http_outgoing_request *request;
    struct result_void_void result[4];
    struct wasi_http_fields *fields;
    struct url url;
    bool well;
    if (!split_url(from->uri, &url))
        return fail(ret, FAULT(INVALID_URL));
    if (!wasi_http_types_fields_constructor(h, &fields) || !add_fields(h, fields, from->headers, &well) ||
        !wasi_http_types_outgoing_request_constructor(h, fields, &request) ||
        !wasi_http_types_outgoing_request_set_method(h, request, &method, &result[0]) ||
        !wasi_http_types_outgoing_request_set_scheme(h, request, &url.scheme, &result[1]) ||
        !wasi_http_types_outgoing_request_set_authority(h, request, &url.authority, &result[2]) ||
        !wasi_http_types_outgoing_request_set_path_with_query(h, request, &url.path, &result[3]))
        return false;
    if (!well)
        fail(ret, FAULT(RUNTIME_ERROR));
    else if (result[1].err || result[2].err || result[3].err)
        fail(ret, FAULT(INVALID_URL));
    else if (from->body.some && !write_body(h, request, from->body.value, ret))
        return false;
    if (ret->err)
        wasi_http_outgoing_request_drop(h, request);
    else
        *ret_request = request;
    return true;
}

/* Fields whose values are texts, for this call. */
static bool show_fields(struct host *h, const struct wasi_http_fields *fields, struct list_tuple_str_str *ret)
{
    struct tuple_str_str *items = ARENA_ARRAY(&h->scratch, struct tuple_str_str, fields->count);
    size_t count = 0;
    for (uint32_t i = 0; items && i < fields->count; i++) {
        struct str name = fields->items[i].name, value = fields->items[i].value;
        if (!utf8_valid(value.ptr, value.len))
            continue;
        items[count] = (struct tuple_str_str){{arena_copy(&h->scratch, name.ptr, name.len), name.len},
                                              {arena_copy(&h->scratch, value.ptr, value.len), value.len}};
        if (!items[count].f0.ptr || !items[count].f1.ptr)
            return host_no_memory(h);
        count++;
    }
    *ret = (struct list_tuple_str_str){items, count};
    return items || host_no_memory(h);
}

static bool show_body(struct host *h, struct wasi_http_incoming_response *response, spin_result *ret)
{
    struct result_wasi_http_incoming_body_void body;
    struct result_wasi_io_input_stream_void stream;
    struct gathered all = {0};
    if (!wasi_http_types_incoming_response_consume(h, response, &body) ||
        !wasi_http_types_incoming_body_stream(h, body.ok, &stream))
        return false;
    enum outcome outcome = take_whole(h, stream.ok, &all);
    if (outcome == OUTCOME_TRAP)
        return false;
    wasi_io_input_stream_drop(h, stream.ok);
    wasi_http_incoming_body_drop(h, body.ok);
    char *copy = arena_copy(&h->scratch, all.bytes, all.size);
    host_bytes_give(h, all.bytes, all.capacity);
    if (!copy)
        return host_no_memory(h);
    ret->ok.body = (struct option_list_u8){true, {(const uint8_t *)copy, all.size}};
    return outcome == OUTCOME_WHOLE || fail(ret, FAULT(RUNTIME_ERROR));
}

static bool show_response(struct host *h, struct wasi_http_incoming_response *response, spin_result *ret)
{
    struct wasi_http_fields *fields;
    if (!wasi_http_types_incoming_response_status(h, response, &ret->ok.status) ||
        !wasi_http_types_incoming_response_headers(h, response, &fields))
        return false;
    ret->ok.headers.some = true;
    if (!show_fields(h, fields, &ret->ok.headers.value))
        return false;
    wasi_http_fields_drop(h, fields);
    if (!show_body(h, response, ret))
        return false;
    wasi_http_incoming_response_drop(h, response);
    return true;
}

static bool await(struct host *h, struct wasi_http_future_incoming_response *future, spin_result *ret)
{
    struct option_result_result_wasi_http_incoming_response_wasi_http_types_error_code_void answer;
    for (;;) {
        if (!wasi_http_types_future_incoming_response_get(h, future, &answer))
            return false;
        if (answer.some)
            break;
        if (!host_wait(h, HOST_FOREVER))
            return false;
    }
    if (answer.value.ok.err)
        fail(ret, fault_of(&answer.value.ok.error));
    else if (!show_response(h, answer.value.ok.ok, ret))
        return false;
    wasi_http_future_incoming_response_drop(h, future);
    return true;
}

bool fermyon_spin_http_send_request(struct host *h, const spin_request *req, spin_result *ret)
{
    static const struct option_wasi_http_request_options no_options;
    struct result_wasi_http_future_incoming_response_wasi_http_types_error_code begun;
    struct wasi_http_outgoing_request *request = NULL;
    ret->err = false;
    if (!make_request(h, req, &request, ret))
        return false;
    if (ret->err)
        return true;
    if (!wasi_http_outgoing_handler_handle(h, request, &no_options, &begun))
        return false;
    return begun.err ? fail(ret, fault_of(&begun.error)) : await(h, begun.ok, ret);
}

/* ---- a request that comes in ---- */

bool http_spin_is(struct str signature)
{
    return str_eq(signature,
                  STR("func(record{method: enum{get, post, put, delete, patch, head, options}, uri: string, "
                      "headers: list<tuple<string, string>>, params: list<tuple<string, string>>, "
                      "body: option<list<u8>>}) -> record{status: u16, headers: option<list<tuple<string, string>>>, "
                      "body: option<list<u8>>}"));
}

/* The answer, without a body. */
static bool give_status(struct host *h, unsigned status)
{
    struct wasi_http_outgoing_response *response = HOST_NEW(h, struct wasi_http_outgoing_response, NULL);
    if (!response || !wasi_http_types_fields_constructor(h, &response->fields))
        return false;
    response->status = status;
    h->response = response;
    h->response_state = RESPONSE_SET;
    return true;
}

static bool malformed(struct host *h, const char *what)
{
    char room[TRACE_SCOPE_SIZE];
    log_line(LOG_ERROR, host_scope(h, room), "the response has %s", what);
    h->failure = 500;
    h->response_state = RESPONSE_SET;
    return true;
}

/* A long body goes out in parts, and its length is known all the same. */
static bool give_length(struct host *h, struct wasi_http_outgoing_body *body, size_t size)
{
    char digits[24];
    size_t count = (size_t)snprintf(digits, sizeof digits, "%zu", size);
    body->sized = size >= HOST_STREAM_BYTES;
    body->length = size;
    return !body->sized || fields_append(h, h->response->fields, STR("content-length"), (struct str){digits, count});
}

/* As it is sent, waiting for room. What the connection does not take is lost: the end says so. */
static bool give_body(struct host *h, struct str bytes)
{
    struct wasi_http_outgoing_body *body = HOST_NEW(h, struct wasi_http_outgoing_body, NULL);
    struct wasi_io_output_stream stream = {.kind = &output_body, .body = body};
    struct wasi_io_error *why = NULL;
    if (!body)
        return false;
    body->sized = fields_length(h->response->fields, &body->length);
    if (!body->sized && !give_length(h, body, bytes.len))
        return false;
    h->response->body = body;
    for (size_t room; bytes.len; bytes = str_slice(bytes, room, bytes.len)) {
        room = output_body.room(h, &stream);
        if (room == 0 && !host_wait(h, HOST_FOREVER))
            return false;
        room = room < bytes.len ? room : bytes.len;
        if (!output_body.write(h, &stream, str_slice(bytes, 0, room), &why))
            return !h->store->trap;
    }
    body->state = body->sized && body->written != body->length ? BODY_CORRUPT : BODY_FINISHED;
    return true;
}

static bool give_response(struct host *h, const struct datum *response)
{
    const struct datum *headers = &response->items[1], *body = &response->items[2];
    uint64_t status = response->items[0].bits;
    uint32_t count = headers->bits ? headers->items[0].count : 0;
    struct tuple_str_str *items = ARENA_ARRAY(&h->arena, struct tuple_str_str, count);
    bool well;
    if (!items)
        return host_no_memory(h);
    for (uint32_t i = 0; i < count; i++) {
        const struct datum *pair = headers->items[0].items[i].items;
        items[i] = (struct tuple_str_str){pair[0].text, pair[1].text};
    }
    if (status < 200 || status > 600)
        return malformed(h, "a status that is none");
    if (!give_status(h, (unsigned)status) ||
        !add_fields(h, h->response->fields, (struct list_tuple_str_str){items, count}, &well))
        return false;
    if (!well)
        return malformed(h, "a header that is none");
    return !body->bits || give_body(h, body->items[0].text);
}

/* The interface's number of a method; false: it has none. */
static bool method_of(enum wasi_http_types_method_tag tag, uint64_t *ret)
{
    for (*ret = 0; *ret < sizeof methods / sizeof *methods; ++*ret)
        if (methods[*ret] == tag)
            return true;
    return false;
}

static bool show_request_fields(struct host *h, struct datum *ret)
{
    struct http_added added = {.arena = &h->arena};
    struct list_tuple_str_str list;
    if (h->face->added && !h->face->added(h->exchange, &added))
        return host_no_memory(h);
    struct wasi_http_fields *fields = fields_of_request(h, &added, NULL);
    if (!fields || !show_fields(h, fields, &list))
        return false;
    struct datum *items = ARENA_ARRAY(&h->arena, struct datum, list.len), *texts;
    if (!items || !(texts = ARENA_ARRAY(&h->arena, struct datum, 2 * list.len)))
        return host_no_memory(h);
    for (size_t i = 0; i < list.len; i++) {
        texts[2 * i] = (struct datum){.text = list.ptr[i].f0};
        texts[2 * i + 1] = (struct datum){.text = list.ptr[i].f1};
        items[i] = (struct datum){.items = &texts[2 * i], .count = 2};
    }
    *ret = (struct datum){.items = items, .count = (uint32_t)list.len};
    wasi_http_fields_drop(h, fields);
    return true;
}

/* Called with these, as the last thing that is done with the request. */
static bool call(struct host *h, const struct datum_func *func, uint64_t method, struct str body)
{
    struct datum response = {0}, bytes = {.text = body};
    struct datum request[5] = {
        {.bits = method}, {.text = h->request->target}, {0}, {0}, {.bits = 1, .items = &bytes, .count = 1}};
    const struct datum argument = {.items = request, .count = 5};
    return show_request_fields(h, &request[2]) && datum_call(h->store, func, &argument, &h->arena, &response) &&
           give_response(h, &response);
}

/* What stands for a body that did not come whole. */
static bool refuse_body(struct host *h)
{
    static const unsigned statuses[HTTP_BODY_FAULT_COUNT] = {
        [HTTP_BODY_SOUND] = 400,     [HTTP_BODY_CUT] = 400,      [HTTP_BODY_LATE] = 408,
        [HTTP_BODY_MALFORMED] = 400, [HTTP_BODY_TOO_LONG] = 413, [HTTP_BODY_NO_MEMORY] = 503,
    };
    return h->request ? give_status(h, statuses[h->request->fault]) : request_lost(h);
}

bool http_spin_handle(struct host *h, const struct datum_func *func)
{
    struct wasi_io_input_stream stream = {.kind = &input_request};
    struct gathered all = {0};
    struct wasi_http_types_method name;
    uint64_t method;
    if (!wasi_http_types_incoming_request_method(h, NULL, &name))
        return false;
    if (!method_of(name.tag, &method))
        return give_status(h, 405);
    switch (take_whole(h, &stream, &all)) {
    case OUTCOME_TRAP: return false;
    case OUTCOME_TOO_LONG: return give_status(h, 413);
    case OUTCOME_CUT: return refuse_body(h);
    case OUTCOME_WHOLE: break;
    }
    return h->request ? call(h, func, method, (struct str){all.bytes, all.size}) : request_lost(h);
}
