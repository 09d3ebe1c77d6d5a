/* The smallest useful function: it answers every request with the path that was asked for.
 * guest.h is made from wit/hello.wit by wit-bindgen. */
#include "guest.h"

#include <string.h>

static wasi_http_types_own_headers_t headers(void)
{
    wasi_http_types_own_headers_t fields = wasi_http_types_constructor_fields();
    guest_string_t name;
    guest_string_set(&name, "content-type");
    wasi_http_types_field_value_t value = {(uint8_t *)"text/plain", strlen("text/plain")};
    wasi_http_types_header_error_t error;
    wasi_http_types_method_fields_append(wasi_http_types_borrow_fields(fields), &name, &value, &error);
    return fields;
}

static void write_body(wasi_http_types_own_outgoing_body_t body, guest_list_u8_t bytes)
{
    wasi_http_types_own_output_stream_t stream;
    if (wasi_http_types_method_outgoing_body_write(wasi_http_types_borrow_outgoing_body(body), &stream)) {
        wasi_io_streams_stream_error_t error;
        wasi_io_streams_method_output_stream_blocking_write_and_flush(wasi_io_streams_borrow_output_stream(stream),
                                                                      &bytes, &error);
        wasi_io_streams_output_stream_drop_own(stream);
    }
    wasi_http_types_error_code_t error;
    wasi_http_types_static_outgoing_body_finish(body, NULL, &error);
}

/* `Hello from C! You asked for PATH`, cut to what fits; returns its length. */
static size_t compose(uint8_t *text, size_t capacity, guest_string_t path)
{
    static const char greeting[] = "Hello from C! You asked for ";
    size_t used = sizeof greeting - 1;
    size_t room = capacity - used - 1;
    size_t length = path.len < room ? path.len : room;
    memcpy(text, greeting, used);
    if (length > 0)
        memcpy(text + used, path.ptr, length);
    text[used + length] = '\n';
    return used + length + 1;
}

void exports_wasi_http_incoming_handler_handle(exports_wasi_http_incoming_handler_own_incoming_request_t request,
                                               exports_wasi_http_incoming_handler_own_response_outparam_t out)
{
    guest_string_t path = {0};
    wasi_http_types_method_incoming_request_path_with_query(wasi_http_types_borrow_incoming_request(request), &path);
    uint8_t text[1024];
    size_t length = compose(text, sizeof text, path);

    wasi_http_types_own_outgoing_response_t response = wasi_http_types_constructor_outgoing_response(headers());
    wasi_http_types_own_outgoing_body_t body;
    wasi_http_types_method_outgoing_response_body(wasi_http_types_borrow_outgoing_response(response), &body);
    wasi_http_types_result_own_outgoing_response_error_code_t result = {.is_err = false, .val.ok = response};
    wasi_http_types_static_response_outparam_set(out, &result);
    write_body(body, (guest_list_u8_t){text, length});
}
