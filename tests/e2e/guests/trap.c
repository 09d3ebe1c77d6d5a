/* Traps in the way the path names; answers any other path with 200. The named functions must show
 * in the backtrace that the host logs. */
#include "answer.h"

#include <stdlib.h>

static volatile uint32_t zero;

__attribute__((noinline)) static void drop_the_letter(void)
{
    __builtin_trap();
}

__attribute__((noinline)) static void carry_the_mail(void)
{
    drop_the_letter();
    zero = 1; /* not a tail call */
}

__attribute__((noinline)) static uint32_t read_far_away(void)
{
    return *(volatile uint32_t *)(0xfffffff0u + zero);
}

__attribute__((noinline)) static uint32_t divide_by_zero(void)
{
    return 7 / zero; /* compiled to the instruction, whose trap is the point */
}

__attribute__((noinline)) static uint32_t dig_deeper(uint32_t depth)
{
    volatile uint32_t here = depth;
    return dig_deeper(depth + 1) + here;
}

__attribute__((noinline)) static uint32_t call_nothing(void)
{
    uint32_t (*nothing)(void) = (uint32_t (*)(void))(uintptr_t)(zero + 100000);
    return nothing();
}

__attribute__((noinline)) static void spin_forever(void)
{
    while (zero == 0)
        ;
}

static void half_an_answer(outparam_t out)
{
    wasi_http_types_own_outgoing_body_t body = start_answer(out, 200);
    wasi_http_types_own_output_stream_t stream;
    wasi_http_types_method_outgoing_body_write(wasi_http_types_borrow_outgoing_body(body), &stream);
    write_all(stream, (const uint8_t *)"half", 4);
    carry_the_mail();
}

void exports_wasi_http_incoming_handler_handle(request_t request, outparam_t out)
{
    guest_string_t path = request_path(request);
    if (starts_with(path, "/trap"))
        carry_the_mail();
    if (starts_with(path, "/memory"))
        zero = read_far_away();
    if (starts_with(path, "/divide"))
        zero = divide_by_zero();
    if (starts_with(path, "/stack"))
        zero = dig_deeper(0);
    if (starts_with(path, "/table"))
        zero = call_nothing();
    if (starts_with(path, "/loop"))
        spin_forever();
    if (starts_with(path, "/half"))
        half_an_answer(out);
    if (starts_with(path, "/silent"))
        return;
    answer(out, 200, "fine\n");
}
