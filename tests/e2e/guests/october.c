/* The draft of 2023-10-18: calls every function of its wasi:http and wasi:sockets, as it should be called and
 * otherwise.
 *
 *     /echo               answers with the body that came, and tells the request in fields
 *     /fetch/PORT/PATH    one request with a body; the answer tells the response, or why there is none. With "late" in
 * the path it waits 200 ms only; with "none" it has no authority /fields, /tcp, /udp, /udp-client/PORT,
 * /lookup/NAME/FAMILY, /denied/PORT     "ok", or a line for each thing that was not as the interface says /error/N an
 * error in place of a response /trap-...           what the draft has no error for */
#include "guest.h"

#include "draft.h"
#include "text.h"

#include <stdlib.h>

typedef wasi_sockets_network_ip_socket_address_t endpoint;
typedef wasi_sockets_network_error_code_t code;
typedef wasi_sockets_tcp_borrow_tcp_socket_t tcp_ref;
typedef wasi_sockets_udp_borrow_udp_socket_t udp_ref;
typedef wasi_http_types_borrow_fields_t fields_ref;

#define TYPES(name) wasi_http_types_method_##name
#define FIELDS(name) wasi_http_types_method_fields_##name
#define TCP(name) wasi_sockets_tcp_method_tcp_socket_##name
#define UDP(name) wasi_sockets_udp_method_udp_socket_##name
#define IN(name) wasi_io_streams_method_input_stream_##name
#define OUT(name) wasi_io_streams_method_output_stream_##name
#define CODE(name) WASI_SOCKETS_NETWORK_ERROR_CODE_##name
#define V4 WASI_SOCKETS_NETWORK_IP_ADDRESS_FAMILY_IPV4
#define V6 WASI_SOCKETS_NETWORK_IP_ADDRESS_FAMILY_IPV6

static code error;
static wasi_io_streams_stream_error_t failure;
static wasi_sockets_network_borrow_network_t network;
static char *rest; /* of the path */
static unsigned number;

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            say("line %d: %s (error %d)\n", __LINE__, #condition, error);                                              \
    } while (0)
#define FAILS(call, wanted)                                                                                            \
    do {                                                                                                               \
        error = 255;                                                                                                   \
        if (call)                                                                                                      \
            say("line %d: %s did not fail\n", __LINE__, #call);                                                        \
        else if (error != CODE(wanted))                                                                                \
            say("line %d: %s failed with %d, not %s\n", __LINE__, #call, error, #wanted);                              \
    } while (0)

static guest_string_t text_of(const char *text)
{
    return (guest_string_t){(uint8_t *)text, strlen(text)};
}

static guest_list_u8_t bytes_of(const char *text)
{
    return (guest_list_u8_t){(uint8_t *)text, strlen(text)};
}

static void say_string(guest_string_t text)
{
    say_bytes((const char *)text.ptr, text.len);
}

static void wait_for(wasi_io_poll_own_pollable_t pollable)
{
    wasi_io_poll_poll_one(wasi_io_poll_borrow_pollable(pollable));
    wasi_io_poll_pollable_drop_own(pollable);
}

static bool ready(wasi_io_poll_own_pollable_t pollable)
{
    bool is = wasi_io_poll_method_pollable_ready(wasi_io_poll_borrow_pollable(pollable));
    wasi_io_poll_pollable_drop_own(pollable);
    return is;
}

/* ---- fields ---- */

static wasi_http_types_own_fields_t fields_with(const char *name, const char *value)
{
    guest_tuple2_string_list_u8_t entry = {text_of(name), bytes_of(value)};
    guest_list_tuple2_string_list_u8_t list = {&entry, 1};
    return wasi_http_types_constructor_fields(&list);
}

static wasi_http_types_own_fields_t no_fields(void)
{
    guest_list_tuple2_string_list_u8_t list = {NULL, 0};
    return wasi_http_types_constructor_fields(&list);
}

static void append(fields_ref fields, const char *name, const char *value)
{
    guest_string_t key = text_of(name);
    guest_list_u8_t bytes = bytes_of(value);
    FIELDS(append)(fields, &key, &bytes);
}

static void append_string(fields_ref fields, const char *name, guest_string_t value)
{
    guest_string_t key = text_of(name);
    guest_list_u8_t bytes = {value.ptr, value.len};
    FIELDS(append)(fields, &key, &bytes);
}

static void set(fields_ref fields, const char *name, const char *value)
{
    guest_string_t key = text_of(name);
    guest_list_u8_t bytes = bytes_of(value);
    guest_list_list_u8_t list = {&bytes, 1};
    FIELDS(set)(fields, &key, &list);
}

static void delete(fields_ref fields, const char *name)
{
    guest_string_t key = text_of(name);
    FIELDS(delete)(fields, &key);
}

static size_t count(fields_ref fields, const char *name)
{
    guest_string_t key = text_of(name);
    guest_list_list_u8_t list;
    FIELDS(get)(fields, &key, &list);
    size_t found = list.len;
    guest_list_list_u8_free(&list);
    return found;
}

static size_t count_all(fields_ref fields)
{
    guest_list_tuple2_string_list_u8_t list;
    FIELDS(entries)(fields, &list);
    size_t found = list.len;
    guest_list_tuple2_string_list_u8_free(&list);
    return found;
}

static void fields(void)
{
    wasi_http_types_own_fields_t own = fields_with("X-One", "1");
    fields_ref ref = wasi_http_types_borrow_fields(own);
    append(ref, "x-one", "2");
    CHECK(count(ref, "X-ONE") == 2 && count_all(ref) == 2);
    wasi_http_types_own_fields_t copy = FIELDS(clone)(ref);
    set(ref, "x-one", "3");
    CHECK(count(ref, "x-one") == 1 && count(wasi_http_types_borrow_fields(copy), "x-one") == 2);
    delete (ref, "X-one");
    CHECK(count_all(ref) == 0);
    wasi_http_types_fields_drop_own(copy);
    wasi_http_types_fields_drop_own(own);
}

/* ---- streams ---- */

static bool write_all(wasi_http_types_own_outgoing_body_t body, const void *bytes, size_t size)
{
    wasi_http_types_own_output_stream_t own, second;
    const uint8_t *at = bytes;
    if (!TYPES(outgoing_body_write)(wasi_http_types_borrow_outgoing_body(body), &own))
        return false;
    CHECK(!TYPES(outgoing_body_write)(wasi_http_types_borrow_outgoing_body(body), &second));
    wasi_io_streams_borrow_output_stream_t stream = wasi_io_streams_borrow_output_stream(own);
    while (size) {
        uint64_t room = 0;
        wait_for(OUT(subscribe)(stream));
        if (!OUT(check_write)(stream, &room, &failure))
            break;
        guest_list_u8_t part = {(uint8_t *)at, size < room ? size : (size_t)room};
        if (!OUT(write)(stream, &part, &failure))
            break;
        at += part.len;
        size -= part.len;
    }
    wasi_io_streams_output_stream_drop_own(own);
    return size == 0;
}

/* ---- the answer ---- */

typedef exports_wasi_http_incoming_handler_own_incoming_request_t request_t;
typedef exports_wasi_http_incoming_handler_own_response_outparam_t outparam_t;

static wasi_http_types_own_outgoing_body_t start_answer(outparam_t out, uint16_t status, fields_ref fields)
{
    wasi_http_types_own_outgoing_response_t response = wasi_http_types_constructor_outgoing_response(status, fields);
    wasi_http_types_own_outgoing_body_t body = {0}, second;
    wasi_http_types_borrow_outgoing_response_t ref = wasi_http_types_borrow_outgoing_response(response);
    CHECK(TYPES(outgoing_response_write)(ref, &body) && !TYPES(outgoing_response_write)(ref, &second));
    wasi_http_types_result_own_outgoing_response_error_t result = {.is_err = false, .val.ok = response};
    wasi_http_types_static_response_outparam_set(out, &result);
    return body;
}

static void answer(outparam_t out, uint16_t status, const char *bytes, size_t size)
{
    wasi_http_types_own_fields_t own = no_fields();
    wasi_http_types_own_outgoing_body_t body = start_answer(out, status, wasi_http_types_borrow_fields(own));
    wasi_http_types_fields_drop_own(own); /* lent, not given */
    write_all(body, bytes, size);
    wasi_http_types_static_outgoing_body_finish(body, NULL);
}

static void answer_error(outparam_t out)
{
    wasi_http_types_result_own_outgoing_response_error_t result = {.is_err = true};
    result.val.err.tag = (uint8_t)number;
    result.val.err.val.unexpected_error = text_of("as asked");
    wasi_http_types_static_response_outparam_set(out, &result);
}

/* ---- /echo ---- */

static void tell_request(wasi_http_types_borrow_incoming_request_t request, fields_ref fields)
{
    static const char *const methods[] = {"GET",     "HEAD",    "POST",  "PUT",  "DELETE",
                                          "CONNECT", "OPTIONS", "TRACE", "PATCH"};
    wasi_http_types_method_t method;
    wasi_http_types_scheme_t scheme;
    guest_string_t text;
    TYPES(incoming_request_method)(request, &method);
    if (method.tag == WASI_HTTP_TYPES_METHOD_OTHER)
        append_string(fields, "x-method", method.val.other);
    else
        append(fields, "x-method", methods[method.tag]);
    if (TYPES(incoming_request_path_with_query)(request, &text))
        append_string(fields, "x-path", text);
    if (TYPES(incoming_request_authority)(request, &text))
        append_string(fields, "x-authority", text);
    if (TYPES(incoming_request_scheme)(request, &scheme))
        append(fields, "x-scheme", scheme.tag == WASI_HTTP_TYPES_SCHEME_HTTP ? "http" : "other");
    wasi_http_types_own_headers_t headers = TYPES(incoming_request_headers)(request);
    if (count(wasi_http_types_borrow_fields(headers), "x-sent"))
        append(fields, "x-sent", "seen");
    wasi_http_types_fields_drop_own(headers);
}

/* The trailers of the request are those of the answer, and one more. */
static wasi_http_types_own_trailers_t take_trailers(wasi_http_types_own_incoming_body_t body)
{
    wasi_http_types_own_future_trailers_t own = wasi_http_types_static_incoming_body_finish(body);
    wasi_http_types_borrow_future_trailers_t future = wasi_http_types_borrow_future_trailers(own);
    wasi_http_types_result_own_trailers_error_t got;
    wait_for(TYPES(future_trailers_subscribe)(future));
    if (!TYPES(future_trailers_get)(future, &got) || got.is_err)
        return no_fields();
    wasi_http_types_own_trailers_t copy = FIELDS(clone)(wasi_http_types_borrow_fields(got.val.ok));
    append(wasi_http_types_borrow_fields(copy), "x-echoed",
           count_all(wasi_http_types_borrow_fields(got.val.ok)) ? "some" : "none");
    wasi_http_types_fields_drop_own(got.val.ok);
    if (rest && strcmp(rest, "twice") == 0)
        TYPES(future_trailers_get)(future, &got); /* traps */
    wasi_http_types_future_trailers_drop_own(own);
    return copy;
}

static void echo(request_t own, outparam_t out)
{
    static uint8_t whole[1 << 20];
    wasi_http_types_borrow_incoming_request_t request = wasi_http_types_borrow_incoming_request(own);
    wasi_http_types_own_fields_t told = no_fields();
    wasi_http_types_own_incoming_body_t came, second;
    wasi_http_types_own_input_stream_t in, other;
    guest_list_u8_t part;
    size_t size = 0;
    tell_request(request, wasi_http_types_borrow_fields(told));
    CHECK(TYPES(incoming_request_consume)(request, &came) && !TYPES(incoming_request_consume)(request, &second));
    CHECK(TYPES(incoming_body_stream)(wasi_http_types_borrow_incoming_body(came), &in) &&
          !TYPES(incoming_body_stream)(wasi_http_types_borrow_incoming_body(came), &other));
    while (IN(blocking_read)(wasi_io_streams_borrow_input_stream(in), sizeof whole - size, &part, &failure)) {
        memcpy(whole + size, part.ptr, part.len);
        size += part.len;
        guest_list_u8_free(&part);
    }
    wasi_io_streams_input_stream_drop_own(in);
    wasi_http_types_own_trailers_t trailers = take_trailers(came);
    wasi_http_types_own_outgoing_body_t body = start_answer(out, 201, wasi_http_types_borrow_fields(told));
    wasi_http_types_fields_drop_own(told);
    write_all(body, whole, size);
    wasi_http_types_static_outgoing_body_finish(body, &trailers);
    wasi_http_types_incoming_request_drop_own(own);
}

/* ---- /fetch ---- */

static void say_http_error(const wasi_http_types_error_t *why)
{
    static const char *const names[] = {"invalid-url", "timeout-error", "protocol-error", "unexpected-error"};
    say("%s: ", names[why->tag]);
    say_string(why->val.unexpected_error);
    say("\n");
}

static void say_response(wasi_http_types_own_incoming_response_t own)
{
    wasi_http_types_borrow_incoming_response_t response = wasi_http_types_borrow_incoming_response(own);
    wasi_http_types_own_incoming_body_t body, second;
    wasi_http_types_own_input_stream_t in;
    wasi_http_types_result_own_trailers_error_t got;
    guest_list_u8_t part;
    wasi_http_types_own_headers_t headers = TYPES(incoming_response_headers)(response);
    say("status %u, x-peer %u\n", TYPES(incoming_response_status)(response),
        (unsigned)count(wasi_http_types_borrow_fields(headers), "x-peer"));
    wasi_http_types_fields_drop_own(headers);
    CHECK(TYPES(incoming_response_consume)(response, &body) && !TYPES(incoming_response_consume)(response, &second));
    CHECK(TYPES(incoming_body_stream)(wasi_http_types_borrow_incoming_body(body), &in));
    while (IN(blocking_read)(wasi_io_streams_borrow_input_stream(in), 4096, &part, &failure)) {
        say_bytes((const char *)part.ptr, part.len);
        guest_list_u8_free(&part);
    }
    if (failure.tag != WASI_IO_STREAMS_STREAM_ERROR_CLOSED) {
        guest_string_t text;
        wasi_io_streams_method_error_to_debug_string(wasi_io_streams_borrow_error(failure.val.last_operation_failed),
                                                     &text);
        say_string(text);
        wasi_io_streams_error_drop_own(failure.val.last_operation_failed);
    }
    say("\n");
    wasi_io_streams_input_stream_drop_own(in);
    wasi_http_types_own_future_trailers_t future = wasi_http_types_static_incoming_body_finish(body);
    wait_for(TYPES(future_trailers_subscribe)(wasi_http_types_borrow_future_trailers(future)));
    CHECK(TYPES(future_trailers_get)(wasi_http_types_borrow_future_trailers(future), &got));
    if (got.is_err)
        say_http_error(&got.val.err);
    else
        say("trailers %u\n", (unsigned)count_all(wasi_http_types_borrow_fields(got.val.ok)));
    wasi_http_types_future_trailers_drop_own(future);
    wasi_http_types_incoming_response_drop_own(own);
}

static bool send(wasi_http_types_own_outgoing_request_t request, wasi_http_types_own_future_incoming_response_t *ret)
{
    wasi_http_types_request_options_t options = {.connect_timeout_ms = {true, 5000},
                                                 .between_bytes_timeout_ms = {false}};
    wasi_http_types_error_t why;
    options.first_byte_timeout_ms.is_some = strstr(rest, "late") != NULL;
    options.first_byte_timeout_ms.val = 200;
    if (wasi_http_outgoing_handler_handle(request, &options, ret, &why))
        return true;
    say("handle ");
    say_http_error(&why);
    return false;
}

static void fetch(void)
{
    static char authority[64];
    char *slash = strchr(rest, '/');
    guest_string_t path = text_of(slash ? slash : "/"), to;
    wasi_http_types_method_t method = {.tag = WASI_HTTP_TYPES_METHOD_POST};
    wasi_http_types_scheme_t scheme = {.tag = WASI_HTTP_TYPES_SCHEME_HTTP};
    wasi_http_types_own_fields_t headers = fields_with("x-guest", "here");
    wasi_http_types_own_outgoing_body_t body, second;
    wasi_http_types_own_future_incoming_response_t own;
    wasi_http_types_result_result_own_incoming_response_error_void_t got;
    if (slash)
        memcpy(authority, "127.0.0.1:", 10);
    strncat(authority, rest, slash ? (size_t)(slash - rest) : 20);
    to = text_of(authority);
    if (strstr(rest, "ftp"))
        scheme = (wasi_http_types_scheme_t){.tag = WASI_HTTP_TYPES_SCHEME_OTHER, .val.other = text_of("ftp")};
    wasi_http_types_own_outgoing_request_t request = wasi_http_types_constructor_outgoing_request(
        &method, &path, &scheme, strstr(rest, "none") ? NULL : &to, wasi_http_types_borrow_fields(headers));
    wasi_http_types_fields_drop_own(headers);
    wasi_http_types_borrow_outgoing_request_t ref = wasi_http_types_borrow_outgoing_request(request);
    CHECK(TYPES(outgoing_request_write)(ref, &body) && !TYPES(outgoing_request_write)(ref, &second));
    bool sent = send(request, &own);
    write_all(body, "from october", 12);
    wasi_http_types_static_outgoing_body_finish(body, NULL);
    if (!sent)
        return;
    wasi_http_types_borrow_future_incoming_response_t future = wasi_http_types_borrow_future_incoming_response(own);
    while (!TYPES(future_incoming_response_get)(future, &got))
        wait_for(TYPES(future_incoming_response_subscribe)(future));
    if (got.val.ok.is_err)
        say_http_error(&got.val.ok.val.err);
    else
        say_response(got.val.ok.val.ok);
    CHECK(TYPES(future_incoming_response_get)(future, &got) && got.is_err);
    wasi_http_types_future_incoming_response_drop_own(own);
}

/* What is dropped before it is used leaves nothing behind. */
static void drops(void)
{
    wasi_http_types_own_fields_t headers = no_fields();
    fields_ref lent = wasi_http_types_borrow_fields(headers);
    wasi_http_types_method_t method = {.tag = WASI_HTTP_TYPES_METHOD_GET};
    wasi_http_types_own_outgoing_request_t request =
        wasi_http_types_constructor_outgoing_request(&method, NULL, NULL, NULL, lent);
    wasi_http_types_own_outgoing_response_t response = wasi_http_types_constructor_outgoing_response(404, lent);
    wasi_http_types_own_outgoing_body_t body;
    CHECK(TYPES(outgoing_request_write)(wasi_http_types_borrow_outgoing_request(request), &body));
    wasi_http_types_outgoing_body_drop_own(body);
    wasi_http_types_outgoing_request_drop_own(request);
    CHECK(TYPES(outgoing_response_write)(wasi_http_types_borrow_outgoing_response(response), &body));
    wasi_http_types_outgoing_body_drop_own(body);
    wasi_http_types_outgoing_response_drop_own(response);
    wasi_http_types_fields_drop_own(headers);
}

static void drop_body(request_t request)
{
    wasi_http_types_own_incoming_body_t body;
    CHECK(TYPES(incoming_request_consume)(wasi_http_types_borrow_incoming_request(request), &body));
    wasi_http_types_incoming_body_drop_own(body);
}

/* ---- what the draft has no error for ---- */

static void trap_request(const char *other, const char *path, const char *scheme, const char *authority)
{
    wasi_http_types_method_t method = {.tag = other ? WASI_HTTP_TYPES_METHOD_OTHER : WASI_HTTP_TYPES_METHOD_GET};
    wasi_http_types_scheme_t with = {.tag = WASI_HTTP_TYPES_SCHEME_OTHER};
    wasi_http_types_own_fields_t own = no_fields();
    guest_string_t target = text_of(path ? path : "/"), to = text_of(authority ? authority : "localhost");
    if (other)
        method.val.other = text_of(other);
    with.val.other = text_of(scheme ? scheme : "x");
    wasi_http_types_constructor_outgoing_request(&method, &target, &with, &to, wasi_http_types_borrow_fields(own));
}

static void trap_finish(void)
{
    wasi_http_types_own_fields_t own = fields_with("content-length", "5");
    wasi_http_types_own_outgoing_response_t response =
        wasi_http_types_constructor_outgoing_response(200, wasi_http_types_borrow_fields(own));
    wasi_http_types_own_outgoing_body_t body;
    TYPES(outgoing_response_write)(wasi_http_types_borrow_outgoing_response(response), &body);
    write_all(body, "four", 4);
    wasi_http_types_static_outgoing_body_finish(body, NULL);
}

static void trap(request_t request)
{
    fields_ref ref = wasi_http_types_borrow_fields(fields_with("a", "b"));
    fields_ref fixed = wasi_http_types_borrow_fields(
        TYPES(incoming_request_headers)(wasi_http_types_borrow_incoming_request(request)));
    const struct {
        const char *name;
        int what;
    } rows[] = {{"new", 0},    {"append", 1}, {"set", 2},    {"delete", 3},    {"immutable", 4}, {"method", 5},
                {"target", 6}, {"scheme", 7}, {"status", 8}, {"authority", 9}, {"finish", 10}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (strcmp(rest, rows[i].name) != 0)
            continue;
        switch (rows[i].what) {
        case 0: fields_with("connection", "close"); break;
        case 1: append(ref, "host", "x"); break;
        case 2: set(ref, "x", "a\nb"); break;
        case 3: delete (ref, "no name"); break;
        case 4: append(fixed, "x", "y"); break;
        case 5: trap_request("A B", NULL, NULL, NULL); break;
        case 6: trap_request(NULL, "/a b", NULL, NULL); break;
        case 7: trap_request(NULL, NULL, "1:", NULL); break;
        case 8: wasi_http_types_constructor_outgoing_response(99, ref); break;
        case 9: trap_request(NULL, NULL, NULL, "user@host"); break;
        default: trap_finish();
        }
    }
}

/* ---- sockets ---- */

static endpoint v4(uint8_t a, uint8_t b, uint8_t c, uint8_t d, unsigned port)
{
    endpoint e = {.tag = WASI_SOCKETS_NETWORK_IP_SOCKET_ADDRESS_IPV4};
    e.val.ipv4.port = (uint16_t)port;
    e.val.ipv4.address = (wasi_sockets_network_ipv4_address_t){a, b, c, d};
    return e;
}

static endpoint local(unsigned port)
{
    return v4(127, 0, 0, 1, port);
}

static unsigned port_of(endpoint e)
{
    return e.tag ? e.val.ipv6.port : e.val.ipv4.port;
}

static wasi_sockets_tcp_own_tcp_socket_t tcp_own(wasi_sockets_network_ip_address_family_t family)
{
    wasi_sockets_tcp_own_tcp_socket_t tcp = {0};
    CHECK(wasi_sockets_tcp_create_socket_create_tcp_socket(family, &tcp, &error));
    return tcp;
}

static wasi_sockets_udp_own_udp_socket_t udp_own(wasi_sockets_network_ip_address_family_t family)
{
    wasi_sockets_udp_own_udp_socket_t udp = {0};
    CHECK(wasi_sockets_udp_create_socket_create_udp_socket(family, &udp, &error));
    return udp;
}

static void tcp_options(tcp_ref tcp, wasi_sockets_tcp_borrow_tcp_socket_t tcp6)
{
    bool on = true;
    uint8_t hops;
    uint64_t value;
    CHECK(TCP(address_family)(tcp) == V4 && TCP(address_family)(tcp6) == V6);
    CHECK(TCP(keep_alive)(tcp, &on, &error) && !on && TCP(set_keep_alive)(tcp, true, &error) &&
          TCP(keep_alive)(tcp, &on, &error) && on);
    CHECK(TCP(set_no_delay)(tcp, false, &error) && TCP(no_delay)(tcp, &on, &error) && !on);
    CHECK(TCP(set_no_delay)(tcp, true, &error) && TCP(no_delay)(tcp, &on, &error) && on);
    FAILS(TCP(set_unicast_hop_limit)(tcp, 0, &error), INVALID_ARGUMENT);
    CHECK(TCP(set_unicast_hop_limit)(tcp, 42, &error) && TCP(unicast_hop_limit)(tcp, &hops, &error) && hops == 42);
    FAILS(TCP(ipv6_only)(tcp, &on, &error), NOT_SUPPORTED);
    FAILS(TCP(set_ipv6_only)(tcp, true, &error), NOT_SUPPORTED);
    FAILS(TCP(set_ipv6_only)(tcp6, false, &error), NOT_SUPPORTED);
    CHECK(TCP(set_ipv6_only)(tcp6, true, &error) && TCP(ipv6_only)(tcp6, &on, &error) && on);
    CHECK(TCP(set_receive_buffer_size)(tcp, 16384, &error) && TCP(receive_buffer_size)(tcp, &value, &error) &&
          value == 16384);
    CHECK(TCP(set_send_buffer_size)(tcp, 16384, &error) && TCP(send_buffer_size)(tcp, &value, &error) &&
          value == 16384);
    CHECK(TCP(set_listen_backlog_size)(tcp, 5, &error));
}

static void tcp(void)
{
    wasi_sockets_tcp_own_tcp_socket_t listener = tcp_own(V4), six = tcp_own(V6), client = tcp_own(V4);
    tcp_ref to = wasi_sockets_tcp_borrow_tcp_socket(listener), from = wasi_sockets_tcp_borrow_tcp_socket(client);
    wasi_sockets_tcp_tuple2_own_input_stream_own_output_stream_t streams;
    wasi_sockets_tcp_tuple3_own_tcp_socket_own_input_stream_own_output_stream_t accepted;
    endpoint at = local(0), e;
    guest_list_u8_t part, hello = bytes_of("hello");
    tcp_options(to, wasi_sockets_tcp_borrow_tcp_socket(six));
    CHECK(TCP(start_bind)(to, network, &at, &error) && TCP(finish_bind)(to, &error));
    CHECK(TCP(start_listen)(to, &error) && TCP(finish_listen)(to, &error) && TCP(local_address)(to, &at, &error));
    CHECK(TCP(start_connect)(from, network, &at, &error));
    wait_for(TCP(subscribe)(from));
    CHECK(TCP(finish_connect)(from, &streams, &error) && TCP(remote_address)(from, &e, &error) &&
          port_of(e) == port_of(at));
    wait_for(TCP(subscribe)(to));
    CHECK(TCP(accept)(to, &accepted, &error));
    CHECK(OUT(blocking_write_and_flush)(wasi_io_streams_borrow_output_stream(streams.f1), &hello, &failure));
    CHECK(TCP(shutdown)(from, WASI_SOCKETS_TCP_SHUTDOWN_TYPE_SEND, &error));
    CHECK(IN(blocking_read)(wasi_io_streams_borrow_input_stream(accepted.f1), 5, &part, &failure) && part.len == 5);
    CHECK(!IN(blocking_read)(wasi_io_streams_borrow_input_stream(accepted.f1), 5, &part, &failure) &&
          failure.tag == WASI_IO_STREAMS_STREAM_ERROR_CLOSED);
    wasi_io_streams_input_stream_drop_own(streams.f0);
    wasi_io_streams_output_stream_drop_own(streams.f1);
    wasi_io_streams_input_stream_drop_own(accepted.f1);
    wasi_io_streams_output_stream_drop_own(accepted.f2);
    wasi_sockets_tcp_tcp_socket_drop_own(accepted.f0);
    wasi_sockets_tcp_tcp_socket_drop_own(client);
    wasi_sockets_tcp_tcp_socket_drop_own(listener);
    wasi_sockets_tcp_tcp_socket_drop_own(six);
}

static bool post(udp_ref udp, const char *text, endpoint to)
{
    wasi_sockets_udp_datagram_t datagram = {bytes_of(text), to};
    wasi_sockets_udp_list_datagram_t list = {&datagram, 1};
    uint64_t sent = 0;
    return UDP(send)(udp, &list, &sent, &error) && sent == 1;
}

/* One datagram with this text, from this port. */
static bool gets(udp_ref udp, const char *text, unsigned port)
{
    wasi_sockets_udp_list_datagram_t list;
    wait_for(UDP(subscribe)(udp));
    if (!UDP(receive)(udp, 1, &list, &error) || list.len != 1)
        return false;
    bool same = list.ptr[0].data.len == strlen(text) && memcmp(list.ptr[0].data.ptr, text, strlen(text)) == 0 &&
                port_of(list.ptr[0].remote_address) == port;
    wasi_sockets_udp_list_datagram_free(&list);
    return same;
}

static void udp_options(udp_ref udp, udp_ref six)
{
    bool on = false;
    uint8_t hops;
    uint64_t value;
    CHECK(UDP(address_family)(udp) == V4 && UDP(address_family)(six) == V6);
    FAILS(UDP(ipv6_only)(udp, &on, &error), NOT_SUPPORTED);
    FAILS(UDP(set_ipv6_only)(six, false, &error), NOT_SUPPORTED);
    CHECK(UDP(set_ipv6_only)(six, true, &error) && UDP(ipv6_only)(six, &on, &error) && on);
    CHECK(UDP(set_unicast_hop_limit)(udp, 9, &error) && UDP(unicast_hop_limit)(udp, &hops, &error) && hops == 9);
    CHECK(UDP(set_receive_buffer_size)(udp, 20000, &error) && UDP(receive_buffer_size)(udp, &value, &error) &&
          value == 20000);
    CHECK(UDP(set_send_buffer_size)(udp, 100000, &error) && UDP(send_buffer_size)(udp, &value, &error) &&
          value == 100000);
}

/* What no socket does before it is bound; connecting binds. */
static void udp_states(void)
{
    wasi_sockets_udp_own_udp_socket_t own = udp_own(V4), six = udp_own(V6);
    udp_ref udp = wasi_sockets_udp_borrow_udp_socket(own);
    wasi_sockets_udp_list_datagram_t list = {NULL, 0};
    endpoint at = local(0), to = local(9), other = local(10), zero = v4(0, 0, 0, 0, 9), e;
    uint64_t sent = 1;
    udp_options(udp, wasi_sockets_udp_borrow_udp_socket(six));
    FAILS(UDP(local_address)(udp, &e, &error), INVALID_STATE);
    FAILS(UDP(receive)(udp, 1, &list, &error), INVALID_STATE);
    FAILS(post(udp, "x", to), INVALID_STATE);
    FAILS(UDP(finish_connect)(udp, &error), NOT_IN_PROGRESS);
    FAILS(UDP(start_connect)(udp, network, &zero, &error), INVALID_ARGUMENT);
    FAILS(UDP(start_connect)(udp, network, &at, &error), INVALID_ARGUMENT); /* port 0 */
    CHECK(UDP(start_connect)(udp, network, &to, &error));
    FAILS(UDP(start_connect)(udp, network, &to, &error), CONCURRENCY_CONFLICT);
    CHECK(UDP(finish_connect)(udp, &error));
    FAILS(UDP(finish_connect)(udp, &error), NOT_IN_PROGRESS);
    CHECK(UDP(local_address)(udp, &e, &error) && port_of(e) != 0);
    CHECK(UDP(remote_address)(udp, &e, &error) && port_of(e) == 9);
    FAILS(UDP(start_bind)(udp, network, &at, &error), INVALID_STATE);
    FAILS(post(udp, "x", other), INVALID_ARGUMENT);
    CHECK(UDP(send)(udp, &list, &sent, &error) && sent == 0);
    CHECK(UDP(receive)(udp, 0, &list, &error) && list.len == 0);
    CHECK(UDP(start_connect)(udp, network, &other, &error) && UDP(finish_connect)(udp, &error) &&
          UDP(remote_address)(udp, &e, &error) && port_of(e) == 10);
    wasi_sockets_udp_udp_socket_drop_own(own);
    wasi_sockets_udp_udp_socket_drop_own(six);
}

static udp_ref bound(wasi_sockets_udp_own_udp_socket_t own, endpoint *ret)
{
    udp_ref udp = wasi_sockets_udp_borrow_udp_socket(own);
    endpoint at = local(0);
    CHECK(UDP(start_bind)(udp, network, &at, &error));
    FAILS(UDP(start_connect)(udp, network, &at, &error), CONCURRENCY_CONFLICT);
    CHECK(UDP(finish_bind)(udp, &error) && UDP(local_address)(udp, ret, &error));
    return udp;
}

static void udp(void)
{
    wasi_sockets_udp_own_udp_socket_t owns[] = {udp_own(V4), udp_own(V4), udp_own(V4)};
    wasi_sockets_udp_list_datagram_t list;
    endpoint at_a, at_b, at_c;
    udp_ref a = bound(owns[0], &at_a), b = bound(owns[1], &at_b), c = bound(owns[2], &at_c);
    udp_states();
    FAILS(UDP(receive)(b, 1, &list, &error), WOULD_BLOCK);
    CHECK(!ready(UDP(subscribe)(b))); /* which is not there to be waited for in vain */
    CHECK(post(a, "one", at_b) && post(c, "two", at_b));
    CHECK(gets(b, "one", port_of(at_a)) && gets(b, "two", port_of(at_c)) && !ready(UDP(subscribe)(b)));
    /* From now on b hears from a only, although c has sent before. */
    CHECK(post(c, "early", at_b) && UDP(start_connect)(b, network, &at_a, &error) && UDP(finish_connect)(b, &error));
    CHECK(post(c, "late", at_b) && !ready(UDP(subscribe)(b)));
    CHECK(post(a, "mine", at_b) && gets(b, "mine", port_of(at_a)));
    CHECK(post(b, "back", at_a) && gets(a, "back", port_of(at_b)));
    FAILS(post(b, "x", at_c), INVALID_ARGUMENT);
    for (size_t i = 0; i < 3; i++)
        wasi_sockets_udp_udp_socket_drop_own(owns[i]);
}

/* A client without a grant to listen hears only its server. */
static void udp_client(void)
{
    wasi_sockets_udp_own_udp_socket_t own = udp_own(V4);
    udp_ref udp = wasi_sockets_udp_borrow_udp_socket(own);
    endpoint server = local(number);
    CHECK(UDP(start_connect)(udp, network, &server, &error) && UDP(finish_connect)(udp, &error));
    CHECK(post(udp, "hello", server) && gets(udp, "hello", number));
    wasi_sockets_udp_udp_socket_drop_own(own);
}

/* /lookup/NAME/FAMILY: 4, 6 or 0 */
static void lookup(void)
{
    wasi_sockets_ip_name_lookup_own_resolve_address_stream_t own;
    wasi_sockets_ip_name_lookup_option_ip_address_t next = {0};
    char *slash = strchr(rest, '/');
    wasi_sockets_network_ip_address_family_t family = slash[1] == '6' ? V6 : V4;
    *slash = '\0';
    guest_string_t name = text_of(rest);
    if (!wasi_sockets_ip_name_lookup_resolve_addresses(network, &name, slash[1] == '0' ? NULL : &family, true, &own,
                                                       &error)) {
        say("error %d\n", error);
        return;
    }
    wasi_sockets_ip_name_lookup_borrow_resolve_address_stream_t stream =
        wasi_sockets_ip_name_lookup_borrow_resolve_address_stream(own);
    wait_for(wasi_sockets_ip_name_lookup_method_resolve_address_stream_subscribe(stream));
    for (;;) {
        bool done =
            wasi_sockets_ip_name_lookup_method_resolve_address_stream_resolve_next_address(stream, &next, &error);
        if (!done)
            say("error %d\n", error);
        if (!done || !next.is_some)
            break;
        if (next.val.tag == WASI_SOCKETS_NETWORK_IP_ADDRESS_IPV4)
            say("%u.%u.%u.%u\n", next.val.val.ipv4.f0, next.val.val.ipv4.f1, next.val.val.ipv4.f2,
                next.val.val.ipv4.f3);
        else
            say("%x::%x\n", next.val.val.ipv6.f0, next.val.val.ipv6.f7);
    }
    wasi_sockets_ip_name_lookup_resolve_address_stream_drop_own(own);
}

/* Nothing is granted. */
static void denied(void)
{
    wasi_sockets_tcp_own_tcp_socket_t tcp = tcp_own(V4);
    wasi_sockets_udp_own_udp_socket_t udp = udp_own(V4);
    endpoint to = local(number), at = local(0);
    FAILS(TCP(start_connect)(wasi_sockets_tcp_borrow_tcp_socket(tcp), network, &to, &error), ACCESS_DENIED);
    FAILS(UDP(start_bind)(wasi_sockets_udp_borrow_udp_socket(udp), network, &at, &error), ACCESS_DENIED);
    FAILS(UDP(start_connect)(wasi_sockets_udp_borrow_udp_socket(udp), network, &to, &error), ACCESS_DENIED);
    wasi_sockets_tcp_tcp_socket_drop_own(tcp);
    wasi_sockets_udp_udp_socket_drop_own(udp);
}

/* ---- the table ---- */

static const struct {
    const char *path;
    void (*run)(void);
} cases[] = {
    {"/drops", drops}, {"/fields", fields},         {"/fetch", fetch},   {"/tcp", tcp},
    {"/udp", udp},     {"/udp-client", udp_client}, {"/lookup", lookup}, {"/denied", denied},
};

void exports_wasi_http_incoming_handler_handle(request_t request, outparam_t out)
{
    static char text[512];
    guest_string_t path;
    wasi_sockets_network_own_network_t own = wasi_sockets_instance_network_instance_network();
    network = wasi_sockets_network_borrow_network(own);
    TYPES(incoming_request_path_with_query)(wasi_http_types_borrow_incoming_request(request), &path);
    memcpy(text, path.ptr, path.len < sizeof text ? path.len : sizeof text - 1);
    if (strncmp(text, "/echo?", 6) == 0)
        text[5] = '\0';
    rest = strchr(text + 1, '/');
    if (rest)
        *rest++ = '\0';
    number = rest ? (unsigned)strtoul(rest, NULL, 10) : 0;
    bool found = false;
    if (strcmp(text, "/echo") == 0) {
        echo(request, out);
        return;
    }
    if (strcmp(text, "/error") == 0) {
        answer_error(out);
        return;
    }
    if (strcmp(text, "/unset") == 0) {
        wasi_http_types_response_outparam_drop_own(out);
        return;
    }
    if (strcmp(text, "/drops") == 0)
        drop_body(request);
    if (strcmp(text, "/trap") == 0)
        trap(request);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (strcmp(cases[i].path, text) == 0) {
            cases[i].run();
            found = true;
        }
    wasi_sockets_network_network_drop_own(own);
    answer(out, found ? 200 : 404, reported ? report : "ok\n", reported ? reported : 3);
}
