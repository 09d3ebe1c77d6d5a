/* A handler with routes: an order as JSON, answers and echoes that are streamed, a request to another server.
 * guest.h is made from wit/routes.wit by wit-bindgen. */
#include "guest.h"
#include "order.h"

#include <stdlib.h>
#include <string.h>

#define PART 4096 /* what blocking-write-and-flush takes at once */
#define ORDER_MAX (1 << 20)
#define COUNT_MAX 10000000ull

typedef exports_wasi_http_incoming_handler_own_incoming_request_t request_t;
typedef exports_wasi_http_incoming_handler_own_response_outparam_t outparam_t;
typedef wasi_http_types_own_incoming_body_t incoming_t;
typedef wasi_io_streams_own_input_stream_t input_t;

/* An answer that has begun. */
struct answer {
    wasi_http_types_own_outgoing_body_t body;
    wasi_io_streams_own_output_stream_t stream;
};

static guest_string_t slice(const char *text, size_t length)
{
    return (guest_string_t){(uint8_t *)text, length};
}

static struct answer begin(outparam_t out, uint16_t status, const char *content_type)
{
    struct answer answer;
    guest_string_t name = slice("content-type", strlen("content-type"));
    wasi_http_types_field_value_t value = {(uint8_t *)content_type, strlen(content_type)};
    wasi_http_types_header_error_t error;
    wasi_http_types_own_headers_t headers = wasi_http_types_constructor_fields();
    wasi_http_types_method_fields_append(wasi_http_types_borrow_fields(headers), &name, &value, &error);

    wasi_http_types_own_outgoing_response_t own = wasi_http_types_constructor_outgoing_response(headers);
    wasi_http_types_borrow_outgoing_response_t response = wasi_http_types_borrow_outgoing_response(own);
    wasi_http_types_method_outgoing_response_set_status_code(response, status);
    wasi_http_types_method_outgoing_response_body(response, &answer.body);
    wasi_http_types_result_own_outgoing_response_error_code_t result = {.is_err = false, .val.ok = own};
    wasi_http_types_static_response_outparam_set(out, &result);
    wasi_http_types_method_outgoing_body_write(wasi_http_types_borrow_outgoing_body(answer.body), &answer.stream);
    return answer;
}

static bool write_all(const struct answer *answer, const void *bytes, size_t length)
{
    for (size_t done = 0; done < length; done += PART) {
        guest_list_u8_t part = {(uint8_t *)bytes + done, length - done < PART ? length - done : PART};
        wasi_io_streams_stream_error_t error;
        if (!wasi_io_streams_method_output_stream_blocking_write_and_flush(
                wasi_io_streams_borrow_output_stream(answer->stream), &part, &error))
            return false;
    }
    return true;
}

/* Ends the answer; one that is not whole breaks off. */
static void end(const struct answer *answer, bool whole)
{
    wasi_http_types_error_code_t error;
    wasi_io_streams_output_stream_drop_own(answer->stream);
    if (whole)
        wasi_http_types_static_outgoing_body_finish(answer->body, NULL, &error);
    else
        wasi_http_types_outgoing_body_drop_own(answer->body);
}

/* Appends to a text in a buffer with room; returns where the text ends then. */
static char *put(char *at, const char *text)
{
    size_t length = strlen(text);
    memcpy(at, text, length);
    return at + length;
}

static char *put_number(char *at, uint64_t number)
{
    char digits[21];
    char *start = digits + sizeof digits - 1;
    *start = '\0';
    do
        *--start = (char)('0' + number % 10);
    while (number /= 10);
    return put(at, start);
}

static void respond(outparam_t out, uint16_t status, const char *content_type, const char *text, size_t length)
{
    struct answer answer = begin(out, status, content_type);
    end(&answer, write_all(&answer, text, length));
}

static void refuse(outparam_t out, uint16_t status, const char *why)
{
    char text[128];
    size_t length = (size_t)(put(put(put(text, "{\"error\":\""), why), "\"}") - text);
    respond(out, status, "application/json", text, length);
}

static bool is(guest_string_t text, const char *what)
{
    return text.len == strlen(what) && memcmp(text.ptr, what, text.len) == 0;
}

/* Takes `prefix` off. */
static bool after(guest_string_t *text, const char *prefix)
{
    size_t length = strlen(prefix);
    if (text->len < length || memcmp(text->ptr, prefix, length) != 0)
        return false;
    *text = slice((const char *)text->ptr + length, text->len - length);
    return true;
}

enum got { GOT_PART, GOT_END, GOT_ERROR };

static enum got read_part(input_t stream, guest_list_u8_t *ret)
{
    wasi_io_streams_stream_error_t error;
    if (wasi_io_streams_method_input_stream_blocking_read(wasi_io_streams_borrow_input_stream(stream), 65536, ret,
                                                          &error))
        return GOT_PART;
    return error.tag == WASI_IO_STREAMS_STREAM_ERROR_CLOSED ? GOT_END : GOT_ERROR;
}

/* Moves what comes in to what goes out, as it comes. */
static void pass_on(input_t from, const struct answer *to)
{
    guest_list_u8_t part;
    enum got got;
    while ((got = read_part(from, &part)) == GOT_PART) {
        bool written = write_all(to, part.ptr, part.len);
        guest_list_u8_free(&part);
        if (!written)
            break;
    }
    end(to, got == GOT_END);
}

/* The whole body, for free(); NULL if it is longer than ORDER_MAX or breaks off. */
static char *read_all(input_t stream, size_t *length)
{
    char *whole = malloc(ORDER_MAX);
    guest_list_u8_t part;
    enum got got;
    *length = 0;
    while (whole && (got = read_part(stream, &part)) != GOT_END) {
        bool fits = got == GOT_PART && part.len <= ORDER_MAX - *length;
        if (fits && part.len > 0)
            memcpy(whole + *length, part.ptr, part.len);
        *length += fits ? part.len : 0;
        if (got == GOT_PART)
            guest_list_u8_free(&part);
        if (!fits) {
            free(whole);
            return NULL;
        }
    }
    return whole;
}

static input_t body_of(request_t request, incoming_t *body)
{
    input_t stream;
    wasi_http_types_method_incoming_request_consume(wasi_http_types_borrow_incoming_request(request), body);
    wasi_http_types_method_incoming_body_stream(wasi_http_types_borrow_incoming_body(*body), &stream);
    return stream;
}

static void order(request_t request, outparam_t out)
{
    incoming_t body;
    struct order order;
    size_t length;
    char *text = read_all(body_of(request, &body), &length);
    if (!text) {
        refuse(out, 413, "the order is too long");
        return;
    }
    if (order_parse(text, length, &order)) {
        static const char first[] = "{\"customer\":";
        char rest[80];
        char *at = put_number(put(rest, ",\"pieces\":"), order.pieces);
        at = put(put_number(put(at, ",\"cents\":"), order.cents), "}");
        struct answer answer = begin(out, 200, "application/json");
        end(&answer, write_all(&answer, first, sizeof first - 1) &&
                         write_all(&answer, order.customer, order.customer_length) &&
                         write_all(&answer, rest, (size_t)(at - rest)));
    } else {
        refuse(out, 400, "this is no order");
    }
    free(text);
}

static void count(guest_string_t digits, outparam_t out)
{
    uint64_t last = 0;
    bool number = digits.len > 0 && digits.len < 10;
    for (size_t i = 0; i < digits.len && number; i++) {
        number = digits.ptr[i] >= '0' && digits.ptr[i] <= '9';
        last = last * 10 + (digits.ptr[i] - '0');
    }
    if (!number || last > COUNT_MAX) {
        refuse(out, 400, "not a number that can be counted to");
        return;
    }
    struct answer answer = begin(out, 200, "text/plain");
    char lines[PART];
    size_t used = 0;
    bool whole = true;
    for (uint64_t i = 1; i <= last && whole; i++) {
        used = (size_t)(put(put_number(lines + used, i), "\n") - lines);
        if (used > PART - 16) {
            whole = write_all(&answer, lines, used);
            used = 0;
        }
    }
    end(&answer, whole && write_all(&answer, lines, used));
}

/* `target` is SCHEME/AUTHORITY/PATH. */
static bool send(guest_string_t target, wasi_http_types_own_future_incoming_response_t *ret)
{
    wasi_http_types_own_outgoing_request_t own =
        wasi_http_types_constructor_outgoing_request(wasi_http_types_constructor_fields());
    wasi_http_types_borrow_outgoing_request_t request = wasi_http_types_borrow_outgoing_request(own);
    wasi_http_types_scheme_t scheme = {.tag = WASI_HTTP_TYPES_SCHEME_HTTP};
    if (after(&target, "https/"))
        scheme.tag = WASI_HTTP_TYPES_SCHEME_HTTPS;
    else
        after(&target, "http/");
    const char *start = (const char *)target.ptr;
    const char *slash = memchr(start, '/', target.len);
    size_t length = slash ? (size_t)(slash - start) : target.len;
    guest_string_t authority = slice(start, length);
    guest_string_t path = slash ? slice(slash, target.len - length) : slice("/", 1);
    wasi_http_types_error_code_t error;
    return wasi_http_types_method_outgoing_request_set_scheme(request, &scheme) &&
           wasi_http_types_method_outgoing_request_set_authority(request, &authority) &&
           wasi_http_types_method_outgoing_request_set_path_with_query(request, &path) &&
           wasi_http_outgoing_handler_handle(own, NULL, ret, &error);
}

static bool await(wasi_http_types_own_future_incoming_response_t own, wasi_http_types_own_incoming_response_t *ret)
{
    wasi_http_types_borrow_future_incoming_response_t future = wasi_http_types_borrow_future_incoming_response(own);
    wasi_http_types_result_result_own_incoming_response_error_code_void_t result;
    while (!wasi_http_types_method_future_incoming_response_get(future, &result)) {
        wasi_http_types_own_pollable_t pollable = wasi_http_types_method_future_incoming_response_subscribe(future);
        wasi_io_poll_method_pollable_block(wasi_io_poll_borrow_pollable(pollable));
        wasi_io_poll_pollable_drop_own(pollable);
    }
    *ret = result.val.ok.val.ok;
    return !result.is_err && !result.val.ok.is_err;
}

static void fetch(guest_string_t target, outparam_t out)
{
    wasi_http_types_own_future_incoming_response_t future;
    wasi_http_types_own_incoming_response_t own;
    if (!send(target, &future) || !await(future, &own)) {
        refuse(out, 502, "the request failed");
        return;
    }
    wasi_http_types_borrow_incoming_response_t response = wasi_http_types_borrow_incoming_response(own);
    incoming_t body;
    input_t stream;
    wasi_http_types_method_incoming_response_consume(response, &body);
    wasi_http_types_method_incoming_body_stream(wasi_http_types_borrow_incoming_body(body), &stream);
    struct answer answer =
        begin(out, wasi_http_types_method_incoming_response_status(response), "application/octet-stream");
    pass_on(stream, &answer);
}

static void echo(request_t request, outparam_t out)
{
    incoming_t body;
    input_t stream = body_of(request, &body);
    struct answer answer = begin(out, 200, "application/octet-stream");
    pass_on(stream, &answer);
}

void exports_wasi_http_incoming_handler_handle(request_t request, outparam_t out)
{
    static const char greeting[] = "Routes in C\n";
    guest_string_t path = {0};
    wasi_http_types_method_t method;
    wasi_http_types_method_incoming_request_path_with_query(wasi_http_types_borrow_incoming_request(request), &path);
    wasi_http_types_method_incoming_request_method(wasi_http_types_borrow_incoming_request(request), &method);
    bool get = method.tag == WASI_HTTP_TYPES_METHOD_GET, post = method.tag == WASI_HTTP_TYPES_METHOD_POST;
    if (get && is(path, "/"))
        respond(out, 200, "text/plain", greeting, sizeof greeting - 1);
    else if (post && is(path, "/order"))
        order(request, out);
    else if (post && is(path, "/echo"))
        echo(request, out);
    else if (is(path, "/") || is(path, "/order") || is(path, "/echo"))
        refuse(out, 405, "not with this method");
    else if (get && after(&path, "/count/"))
        count(path, out);
    else if (get && after(&path, "/fetch/"))
        fetch(path, out);
    else
        refuse(out, 404, "no such path");
}
