/* What the test guests share: the path of a request, and an answer of a status and a text.
 * guest.h is made from guest.wit by wit-bindgen. */
#ifndef MAYFLY_TESTS_GUESTS_ANSWER_H
#define MAYFLY_TESTS_GUESTS_ANSWER_H

#include "guest.h"

#include <string.h>

typedef exports_wasi_http_incoming_handler_own_incoming_request_t request_t;
typedef exports_wasi_http_incoming_handler_own_response_outparam_t outparam_t;

/* The path with its query, owned by the guest's heap. */
static inline guest_string_t request_path(request_t request)
{
    guest_string_t path = {0};
    wasi_http_types_method_incoming_request_path_with_query(wasi_http_types_borrow_incoming_request(request), &path);
    return path;
}

static inline bool starts_with(guest_string_t text, const char *prefix)
{
    size_t length = strlen(prefix);
    return text.len >= length && memcmp(text.ptr, prefix, length) == 0;
}

/* Starts the answer; returns its body, to be given to finish_answer. */
static inline wasi_http_types_own_outgoing_body_t start_answer(outparam_t out, uint16_t status)
{
    wasi_http_types_own_outgoing_response_t response =
        wasi_http_types_constructor_outgoing_response(wasi_http_types_constructor_fields());
    wasi_http_types_borrow_outgoing_response_t borrowed = wasi_http_types_borrow_outgoing_response(response);
    wasi_http_types_method_outgoing_response_set_status_code(borrowed, status);
    wasi_http_types_own_outgoing_body_t body;
    wasi_http_types_method_outgoing_response_body(borrowed, &body);
    wasi_http_types_result_own_outgoing_response_error_code_t result = {.is_err = false, .val.ok = response};
    wasi_http_types_static_response_outparam_set(out, &result);
    return body;
}

/* Writes in parts of 4096 bytes, the most that blocking-write-and-flush takes; false once the reader has gone. */
static inline bool write_all(wasi_http_types_own_output_stream_t stream, const uint8_t *bytes, size_t length)
{
    for (size_t done = 0; done < length;) {
        size_t part = length - done < 4096 ? length - done : 4096;
        guest_list_u8_t list = {(uint8_t *)bytes + done, part};
        wasi_io_streams_stream_error_t error;
        if (!wasi_io_streams_method_output_stream_blocking_write_and_flush(wasi_io_streams_borrow_output_stream(stream),
                                                                           &list, &error))
            return false;
        done += part;
    }
    return true;
}

static inline void answer(outparam_t out, uint16_t status, const char *text)
{
    wasi_http_types_own_outgoing_body_t body = start_answer(out, status);
    wasi_http_types_own_output_stream_t stream;
    if (wasi_http_types_method_outgoing_body_write(wasi_http_types_borrow_outgoing_body(body), &stream)) {
        write_all(stream, (const uint8_t *)text, strlen(text));
        wasi_io_streams_output_stream_drop_own(stream);
    }
    wasi_http_types_error_code_t error;
    wasi_http_types_static_outgoing_body_finish(body, NULL, &error);
}

#endif
