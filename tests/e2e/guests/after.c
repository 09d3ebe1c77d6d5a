/* Answers, and goes on: it waits for so many milliseconds as the query says, and then tells in the log what it finds of
 * its request. The path says how it does that:
 *
 *     /plain      reads the body before it answers, "done\n"
 *     /unread     after it has answered and waited
 *     /reading    while it waits: the answer is complete before the body is
 *     /stream     waits also between the two writes of the answer
 *     /trailers   the same, and the answer has a trailer
 *     /none       204, without a body
 *     /trap       as /plain, and ends with a trap instead of a text
 *     /held       as /plain, with the request's fields held from the beginning
 *     /error      an error in place of an answer
 *     /again      as /plain, and asks the same of http://after.spin.internal behind its wait */
#include "answer.h"
#include "text.h"

#include <stdlib.h>

#define REQUEST(name) wasi_http_types_method_incoming_request_##name
#define STREAM_READ wasi_io_streams_method_input_stream_blocking_read

static wasi_io_streams_own_input_stream_t body;
static uint32_t body_size;
static wasi_http_types_error_code_t error;

static void pause_for(uint64_t milliseconds)
{
    wasi_io_poll_own_pollable_t timer = wasi_clocks_monotonic_clock_subscribe_duration(milliseconds * 1000000u);
    wasi_io_poll_method_pollable_block(wasi_io_poll_borrow_pollable(timer));
    wasi_io_poll_pollable_drop_own(timer);
}

static wasi_http_types_own_incoming_body_t open_body(wasi_http_types_borrow_incoming_request_t request)
{
    wasi_http_types_own_incoming_body_t own;
    REQUEST(consume)(request, &own);
    wasi_http_types_method_incoming_body_stream(wasi_http_types_borrow_incoming_body(own), &body);
    return own;
}

static void read_body(void)
{
    wasi_io_streams_stream_error_t failure;
    guest_list_u8_t part;
    while (STREAM_READ(wasi_io_streams_borrow_input_stream(body), 1000, &part, &failure)) {
        body_size += part.len;
        guest_list_u8_free(&part);
    }
}

static void write_text(wasi_http_types_own_output_stream_t stream, const char *text)
{
    write_all(stream, (const uint8_t *)text, strlen(text));
}

/* In two parts, with a wait between them. */
static void answer_slowly(outparam_t out, bool with_trailers)
{
    wasi_http_types_own_output_stream_t stream;
    wasi_http_types_own_trailers_t trailers = wasi_http_types_constructor_fields();
    guest_string_t name = {(uint8_t *)"x-end", 5};
    wasi_http_types_field_value_t value = {(uint8_t *)"yes", 3};
    wasi_http_types_header_error_t refused;
    wasi_http_types_method_fields_append(wasi_http_types_borrow_fields(trailers), &name, &value, &refused);
    wasi_http_types_own_outgoing_body_t own = start_answer(out, 200);
    wasi_http_types_method_outgoing_body_write(wasi_http_types_borrow_outgoing_body(own), &stream);
    write_text(stream, "do");
    pause_for(20);
    write_text(stream, "ne\n");
    wasi_io_streams_output_stream_drop_own(stream);
    wasi_http_types_static_outgoing_body_finish(own, with_trailers ? &trailers : NULL, &error);
}

static void answer_nothing(outparam_t out)
{
    wasi_http_types_static_outgoing_body_finish(start_answer(out, 204), NULL, &error);
}

static void answer_error(outparam_t out)
{
    wasi_http_types_result_own_outgoing_response_error_code_t result = {.is_err = true};
    result.val.err.tag = WASI_HTTP_TYPES_ERROR_CODE_HTTP_REQUEST_DENIED;
    wasi_http_types_static_response_outparam_set(out, &result);
}

/* ---- asking again ---- */

static void ask_again(guest_string_t path)
{
    guest_string_t authority = {(uint8_t *)"after.spin.internal", 19};
    wasi_http_types_scheme_t scheme = {.tag = WASI_HTTP_TYPES_SCHEME_HTTP};
    wasi_http_types_own_outgoing_request_t own =
        wasi_http_types_constructor_outgoing_request(wasi_http_types_constructor_fields());
    wasi_http_types_borrow_outgoing_request_t request = wasi_http_types_borrow_outgoing_request(own);
    wasi_http_types_own_future_incoming_response_t future;
    wasi_http_types_method_outgoing_request_set_scheme(request, &scheme);
    wasi_http_types_method_outgoing_request_set_authority(request, &authority);
    wasi_http_types_method_outgoing_request_set_path_with_query(request, &path);
    if (!wasi_http_outgoing_handler_handle(own, NULL, &future, &error))
        return;
    wasi_io_poll_own_pollable_t pollable = wasi_http_types_method_future_incoming_response_subscribe(
        wasi_http_types_borrow_future_incoming_response(future));
    wasi_io_poll_method_pollable_block(wasi_io_poll_borrow_pollable(pollable));
}

/* ---- what is found of the request afterwards ---- */

static void say_text(guest_string_t text)
{
    say_bytes((const char *)text.ptr, text.len);
    say(" ");
}

static void say_fields(wasi_http_types_own_fields_t fields)
{
    wasi_http_types_list_tuple2_field_name_field_value_t list;
    wasi_http_types_method_fields_entries(wasi_http_types_borrow_fields(fields), &list);
    for (size_t i = 0; i < list.len; i++) {
        say_bytes((const char *)list.ptr[i].f0.ptr, list.ptr[i].f0.len);
        say("=");
        say_bytes((const char *)list.ptr[i].f1.ptr, list.ptr[i].f1.len);
        say(" ");
    }
}

static void say_trailers(wasi_http_types_own_incoming_body_t own)
{
    wasi_http_types_result_result_option_own_trailers_error_code_void_t result;
    wasi_io_streams_input_stream_drop_own(body);
    wasi_http_types_own_future_trailers_t future = wasi_http_types_static_incoming_body_finish(own);
    bool here = wasi_http_types_method_future_trailers_get(wasi_http_types_borrow_future_trailers(future), &result);
    if (!here || result.is_err || result.val.ok.is_err)
        say("no end");
    else if (result.val.ok.val.ok.is_some)
        say_fields(result.val.ok.val.ok.val);
}

static void tell(void)
{
    wasi_cli_stderr_own_output_stream_t stream = wasi_cli_stderr_get_stderr();
    say("\n");
    write_all(stream, (const uint8_t *)report, reported);
    wasi_io_streams_output_stream_drop_own(stream);
}

static void say_request(wasi_http_types_borrow_incoming_request_t request)
{
    wasi_http_types_method_t method;
    wasi_http_types_scheme_t scheme = {0};
    guest_string_t text = {0};
    REQUEST(method)(request, &method);
    say("after: method %u ", method.tag);
    REQUEST(scheme)(request, &scheme);
    say("scheme %u ", scheme.tag);
    if (REQUEST(path_with_query)(request, &text))
        say_text(text);
    if (REQUEST(authority)(request, &text))
        say_text(text);
}

void exports_wasi_http_incoming_handler_handle(request_t own, outparam_t out)
{
    wasi_http_types_borrow_incoming_request_t request = wasi_http_types_borrow_incoming_request(own);
    guest_string_t path = request_path(own);
    const char *query = memchr(path.ptr, '?', path.len);
    uint64_t wait = 0;
    for (const char *digit = query ? query + 1 : NULL; digit && digit < (char *)path.ptr + path.len; digit++)
        wait = wait * 10 + (uint64_t)(*digit - '0');
    wasi_http_types_own_incoming_body_t incoming = open_body(request);
    wasi_http_types_own_fields_t fields = {0};
    bool held = starts_with(path, "/held"), late = starts_with(path, "/unread") || starts_with(path, "/reading");
    if (held)
        fields = REQUEST(headers)(request);
    if (!late)
        read_body();
    if (starts_with(path, "/stream") || starts_with(path, "/trailers"))
        answer_slowly(out, starts_with(path, "/trailers"));
    else if (starts_with(path, "/none"))
        answer_nothing(out);
    else if (starts_with(path, "/error"))
        answer_error(out);
    else
        answer(out, 200, "done\n");
    if (starts_with(path, "/reading"))
        read_body();
    pause_for(wait);
    if (starts_with(path, "/unread"))
        read_body();
    if (starts_with(path, "/again"))
        ask_again(path);
    if (starts_with(path, "/trap"))
        __builtin_trap();
    say_request(request);
    say_fields(held ? fields : REQUEST(headers)(request));
    say("body %u ", body_size);
    say_trailers(incoming);
    tell();
}
