/* Answers wrongly, in the way that the path names; any other path is answered with 200. */
#include "answer.h"

#include <stdlib.h>

#define LONG 200000u /* of a body that has begun on its way before it breaks off */

static uint8_t zeros[LONG];

typedef struct {
    wasi_http_types_own_outgoing_body_t body;
    wasi_io_streams_own_output_stream_t stream;
} begun_t;

/* An answer with one field, if `name` is one, whose stream is open. */
static begun_t begin(outparam_t out, uint16_t status, const char *name, const char *value)
{
    wasi_http_types_own_headers_t fields = wasi_http_types_constructor_fields();
    wasi_http_types_header_error_t error;
    begun_t begun;
    if (name) {
        guest_string_t text = {(uint8_t *)name, strlen(name)};
        wasi_http_types_field_value_t bytes = {(uint8_t *)value, strlen(value)};
        wasi_http_types_method_fields_append(wasi_http_types_borrow_fields(fields), &text, &bytes, &error);
    }
    wasi_http_types_own_outgoing_response_t own = wasi_http_types_constructor_outgoing_response(fields);
    wasi_http_types_borrow_outgoing_response_t response = wasi_http_types_borrow_outgoing_response(own);
    wasi_http_types_method_outgoing_response_set_status_code(response, status);
    wasi_http_types_method_outgoing_response_body(response, &begun.body);
    wasi_http_types_method_outgoing_body_write(wasi_http_types_borrow_outgoing_body(begun.body), &begun.stream);
    wasi_http_types_result_own_outgoing_response_error_code_t result = {.is_err = false, .val.ok = own};
    wasi_http_types_static_response_outparam_set(out, &result);
    return begun;
}

static void end(begun_t begun)
{
    wasi_http_types_error_code_t error;
    wasi_io_streams_output_stream_drop_own(begun.stream);
    wasi_http_types_static_outgoing_body_finish(begun.body, NULL, &error);
}

/* A body of `size` bytes that is finished, whatever its length was said to be. */
static void give(outparam_t out, uint16_t status, const char *name, const char *value, size_t size)
{
    begun_t begun = begin(out, status, name, value);
    write_all(begun.stream, zeros, size);
    end(begun);
}

static void twice(outparam_t out)
{
    begin(out, 200, NULL, NULL);
    begin(out, 201, NULL, NULL);
}

static void twice_whole(outparam_t out)
{
    answer(out, 200, "first\n");
    answer(out, 201, "second\n");
}

static void leave(outparam_t out)
{
    wasi_cli_exit_result_void_void_t status = {.is_err = true};
    wasi_cli_exit_exit(&status);
}

static void leave_stream(outparam_t out)
{
    write_all(begin(out, 200, NULL, NULL).stream, zeros, LONG);
    leave(out);
}

/* Begun and left alone. */
static void unfinished(outparam_t out)
{
    write_all(begin(out, 200, NULL, NULL).stream, zeros, 10);
}

static void unfinished_stream(outparam_t out)
{
    write_all(begin(out, 200, NULL, NULL).stream, zeros, LONG);
}

static void dropped(outparam_t out)
{
    begun_t begun = begin(out, 200, NULL, NULL);
    write_all(begun.stream, zeros, 10);
    wasi_io_streams_output_stream_drop_own(begun.stream);
    wasi_http_types_outgoing_body_drop_own(begun.body);
}

static void outparam_dropped(outparam_t out)
{
    wasi_http_types_response_outparam_drop_own(out);
}

static void too_short(outparam_t out)
{
    give(out, 200, "content-length", "20", 10);
}

static void too_long(outparam_t out)
{
    give(out, 200, "content-length", "5", 10);
}

static void too_short_stream(outparam_t out)
{
    give(out, 200, "content-length", "200001", LONG);
}

static void length_of_nothing(outparam_t out)
{
    give(out, 200, "content-length", "many", 10);
}

static void status_of_nothing(outparam_t out)
{
    give(out, 101, NULL, NULL, 0);
}

/* The number of the error for each field that is none. */
static void fields(outparam_t out)
{
    static const char *const bad[][2] = {{"", "x"},
                                         {"a b", "x"},
                                         {"a:", "x"},
                                         {"a", "x\r\nb: y"},
                                         {"a", "\n"},
                                         {"Connection", "close"},
                                         {"Transfer-Encoding", "chunked"}};
    char text[sizeof bad / sizeof *bad + 2] = {0};
    wasi_http_types_borrow_fields_t fields = wasi_http_types_borrow_fields(wasi_http_types_constructor_fields());
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        wasi_http_types_header_error_t error = {.tag = 9};
        guest_string_t name = {(uint8_t *)bad[i][0], strlen(bad[i][0])};
        wasi_http_types_field_value_t value = {(uint8_t *)bad[i][1], strlen(bad[i][1])};
        bool taken = wasi_http_types_method_fields_append(fields, &name, &value, &error);
        text[i] = taken ? '-' : (char)('0' + error.tag);
    }
    answer(out, 200, text);
}

static void wait(outparam_t out)
{
    wasi_io_poll_own_pollable_t hour = wasi_clocks_monotonic_clock_subscribe_duration(3600ull * 1000000000u);
    wasi_io_poll_method_pollable_block(wasi_io_poll_borrow_pollable(hour));
}

static const struct {
    const char *path;
    void (*run)(outparam_t out);
} ways[] = {
    {"/twice", twice},
    {"/twice-whole", twice_whole},
    {"/exit", leave},
    {"/exit-stream", leave_stream},
    {"/unfinished", unfinished},
    {"/unfinished-stream", unfinished_stream},
    {"/dropped", dropped},
    {"/outparam-dropped", outparam_dropped},
    {"/short", too_short},
    {"/long", too_long},
    {"/short-stream", too_short_stream},
    {"/length", length_of_nothing},
    {"/status", status_of_nothing},
    {"/fields", fields},
    {"/wait", wait},
};

void exports_wasi_http_incoming_handler_handle(request_t request, outparam_t out)
{
    guest_string_t path = request_path(request);
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
        if (path.len == strlen(ways[i].path) && starts_with(path, ways[i].path)) {
            ways[i].run(out);
            return;
        }
    answer(out, 200, "fine\n");
}
