/* A command that gets http://AUTHORITY/ for each AUTHORITY of its arguments, all at once, and prints the answers in
 * order: the status and the body, or the number of the error.
 *
 * With a number as its first argument it gets the one AUTHORITY behind that so many times, one after the other, and
 * prints how many answers it got. */
#include "guest.h"
#include "text.h"

#define REQUEST(name) wasi_http_types_method_outgoing_request_##name
#define RESPONSE(name) wasi_http_types_method_incoming_response_##name
#define ANSWERS_MAX 16

typedef wasi_http_types_own_future_incoming_response_t future_t;

static wasi_http_types_error_code_t error;

static bool begin(guest_string_t authority, future_t *ret)
{
    wasi_http_types_own_outgoing_request_t own =
        wasi_http_types_constructor_outgoing_request(wasi_http_types_constructor_fields());
    wasi_http_types_borrow_outgoing_request_t request = wasi_http_types_borrow_outgoing_request(own);
    wasi_http_types_scheme_t scheme = {.tag = WASI_HTTP_TYPES_SCHEME_HTTP};
    return REQUEST(set_scheme)(request, &scheme) && REQUEST(set_authority)(request, &authority) &&
           wasi_http_outgoing_handler_handle(own, NULL, ret, &error);
}

static bool silent;

static void say_body(wasi_http_types_own_incoming_response_t own)
{
    wasi_http_types_borrow_incoming_response_t response = wasi_http_types_borrow_incoming_response(own);
    wasi_http_types_own_incoming_body_t body;
    wasi_http_types_own_input_stream_t stream;
    wasi_io_streams_stream_error_t failure;
    guest_list_u8_t part;
    wasi_http_types_fields_drop_own(RESPONSE(headers)(response));
    if (!silent)
        say("%u ", RESPONSE(status)(response));
    RESPONSE(consume)(response, &body);
    wasi_http_types_method_incoming_body_stream(wasi_http_types_borrow_incoming_body(body), &stream);
    while (wasi_io_streams_method_input_stream_blocking_read(wasi_io_streams_borrow_input_stream(stream), 1000, &part,
                                                             &failure)) {
        if (!silent)
            say_bytes((const char *)part.ptr, part.len);
        guest_list_u8_free(&part);
    }
    if (!silent)
        say("\n");
    wasi_io_streams_input_stream_drop_own(stream);
    wasi_http_types_incoming_body_drop_own(body);
    wasi_http_types_incoming_response_drop_own(own);
}

static bool say_answer(future_t own)
{
    wasi_http_types_borrow_future_incoming_response_t future = wasi_http_types_borrow_future_incoming_response(own);
    wasi_http_types_result_result_own_incoming_response_error_code_void_t result;
    while (!wasi_http_types_method_future_incoming_response_get(future, &result)) {
        wasi_http_types_own_pollable_t pollable = wasi_http_types_method_future_incoming_response_subscribe(future);
        wasi_io_poll_method_pollable_block(wasi_io_poll_borrow_pollable(pollable));
        wasi_io_poll_pollable_drop_own(pollable);
    }
    bool answered = !result.val.ok.is_err;
    if (answered)
        say_body(result.val.ok.val.ok);
    else
        say("error %d\n", result.val.ok.val.err.tag);
    wasi_http_types_future_incoming_response_drop_own(own);
    return answered;
}

static void say_how_many(unsigned times, guest_string_t authority)
{
    unsigned answers = 0;
    future_t future;
    silent = true;
    while (answers < times && begin(authority, &future) && say_answer(future))
        answers++;
    say("%u answers\n", answers);
}

static void say_all(guest_list_string_t args)
{
    future_t futures[ANSWERS_MAX];
    bool begun[ANSWERS_MAX] = {false};
    for (size_t i = 1; i < args.len && i < ANSWERS_MAX; i++)
        begun[i] = begin(args.ptr[i], &futures[i]);
    for (size_t i = 1; i < args.len && i < ANSWERS_MAX; i++)
        if (begun[i])
            say_answer(futures[i]);
        else
            say("no request\n");
}

/* 0: it is none. */
static unsigned number_of(guest_string_t text)
{
    unsigned number = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return 0;
        number = number * 10 + (unsigned)(text.ptr[i] - '0');
    }
    return number;
}

bool exports_wasi_cli_run_run(void)
{
    guest_list_string_t args;
    wasi_io_streams_stream_error_t failure;
    wasi_cli_environment_get_arguments(&args);
    unsigned times = args.len == 3 ? number_of(args.ptr[1]) : 0;
    if (times)
        say_how_many(times, args.ptr[2]);
    else
        say_all(args);
    guest_list_u8_t text = {(uint8_t *)report, reported};
    wasi_io_streams_own_output_stream_t out = wasi_cli_stdout_get_stdout();
    return wasi_io_streams_method_output_stream_blocking_write_and_flush(wasi_io_streams_borrow_output_stream(out),
                                                                         &text, &failure);
}
