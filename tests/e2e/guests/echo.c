/* Answers with the body that came. The path decides how: `/whole` reads all of it first, any other
 * path writes each part as it arrives. */
#include "answer.h"

#include <stdlib.h>

static bool read_part(wasi_http_types_own_input_stream_t stream, guest_list_u8_t *ret)
{
    wasi_io_streams_stream_error_t error;
    return wasi_io_streams_method_input_stream_blocking_read(wasi_io_streams_borrow_input_stream(stream), 65536, ret,
                                                             &error);
}

static void echo_parts(wasi_http_types_own_input_stream_t in, wasi_http_types_own_output_stream_t out)
{
    guest_list_u8_t part;
    while (read_part(in, &part)) {
        bool sent = write_all(out, part.ptr, part.len);
        guest_list_u8_free(&part);
        if (!sent)
            return;
    }
}

static void echo_whole(wasi_http_types_own_input_stream_t in, wasi_http_types_own_output_stream_t out)
{
    uint8_t *whole = NULL;
    size_t length = 0;
    guest_list_u8_t part;
    while (read_part(in, &part)) {
        uint8_t *longer = realloc(whole, length + part.len + 1);
        if (!longer)
            __builtin_trap();
        whole = longer;
        if (part.len > 0)
            memcpy(whole + length, part.ptr, part.len);
        length += part.len;
        guest_list_u8_free(&part);
    }
    write_all(out, whole, length);
}

void exports_wasi_http_incoming_handler_handle(request_t request, outparam_t out)
{
    guest_string_t path = request_path(request);
    wasi_http_types_own_incoming_body_t sent;
    wasi_http_types_own_input_stream_t in;
    if (!wasi_http_types_method_incoming_request_consume(wasi_http_types_borrow_incoming_request(request), &sent) ||
        !wasi_http_types_method_incoming_body_stream(wasi_http_types_borrow_incoming_body(sent), &in)) {
        answer(out, 400, "no body\n");
        return;
    }
    wasi_http_types_own_outgoing_body_t body = start_answer(out, 200);
    wasi_http_types_own_output_stream_t stream;
    wasi_http_types_method_outgoing_body_write(wasi_http_types_borrow_outgoing_body(body), &stream);
    (starts_with(path, "/whole") ? echo_whole : echo_parts)(in, stream);
    wasi_io_streams_output_stream_drop_own(stream);
    wasi_http_types_error_code_t error;
    wasi_http_types_static_outgoing_body_finish(body, NULL, &error);
}
