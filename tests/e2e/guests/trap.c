/* Traps in the way the path names; answers any other path with 200. The named functions must show
 * in the backtrace that the host logs; they are called through pointers, so that no compiler can
 * make one function of two. */
#include "answer.h"

#include <stdlib.h>

static volatile uint32_t zero;

static void drop_the_letter(void)
{
    __builtin_trap();
}

static void (*volatile drop)(void) = drop_the_letter;

static void carry_the_mail(void)
{
    drop();
    zero = 1; /* not a tail call */
}

static uint32_t read_far_away(void)
{
    return *(volatile uint32_t *)(0xfffffff0u + zero);
}

static uint32_t divide_by_zero(void)
{
    return 7 / zero; /* compiled to the instruction, whose trap is the point */
}

static uint32_t dig_deeper(uint32_t depth)
{
    volatile uint32_t here = depth;
    return dig_deeper(depth + 1) + here;
}

static uint32_t call_nothing(void)
{
    uint32_t (*nothing)(void) = (uint32_t (*)(void))(uintptr_t)(zero + 100000);
    return nothing();
}

static void spin_forever(void)
{
    while (zero == 0)
        ;
}

static void (*volatile carry)(void) = carry_the_mail;
static uint32_t (*volatile far_away)(void) = read_far_away;
static uint32_t (*volatile divide)(void) = divide_by_zero;
static uint32_t (*volatile dig)(uint32_t) = dig_deeper;
static uint32_t (*volatile nowhere)(void) = call_nothing;
static void (*volatile spin)(void) = spin_forever;

static void half_an_answer(outparam_t out)
{
    wasi_http_types_own_outgoing_body_t body = start_answer(out, 200);
    wasi_http_types_own_output_stream_t stream;
    wasi_http_types_method_outgoing_body_write(wasi_http_types_borrow_outgoing_body(body), &stream);
    write_all(stream, (const uint8_t *)"half", 4);
    carry();
}

void exports_wasi_http_incoming_handler_handle(request_t request, outparam_t out)
{
    guest_string_t path = request_path(request);
    if (starts_with(path, "/trap"))
        carry();
    if (starts_with(path, "/memory"))
        zero = far_away();
    if (starts_with(path, "/divide"))
        zero = divide();
    if (starts_with(path, "/stack"))
        zero = dig(0);
    if (starts_with(path, "/table"))
        zero = nowhere();
    if (starts_with(path, "/loop"))
        spin();
    if (starts_with(path, "/half"))
        half_an_answer(out);
    if (starts_with(path, "/silent"))
        return;
    answer(out, 200, "fine\n");
}
