/* Guests are written for the final WASI 0.2. With DRAFT=20231018 or DRAFT=20231110 they are built for one of its
 * drafts: what that calls otherwise has its final name from here. Included behind guest.h. */
#ifndef MAYFLY_TESTS_GUESTS_DRAFT_H
#define MAYFLY_TESTS_GUESTS_DRAFT_H

#define DRAFT_OCTOBER 20231018
#define DRAFT_NOVEMBER 20231110
#ifndef DRAFT
#define DRAFT 0
#endif

#if DRAFT == DRAFT_OCTOBER

#define wasi_io_poll_poll wasi_io_poll_poll_list
#define wasi_io_poll_method_pollable_block wasi_io_poll_poll_one
#define wasi_clocks_monotonic_clock_subscribe_instant(when) wasi_clocks_monotonic_clock_subscribe(when, true)
#define wasi_clocks_monotonic_clock_subscribe_duration(when) wasi_clocks_monotonic_clock_subscribe(when, false)

/* Without waiting: a clock that is due is polled with it. */
static inline bool wasi_io_poll_method_pollable_ready(wasi_io_poll_borrow_pollable_t pollable)
{
    wasi_io_poll_own_pollable_t now = wasi_clocks_monotonic_clock_subscribe(0, false);
    wasi_io_poll_borrow_pollable_t both[] = {pollable, wasi_io_poll_borrow_pollable(now)};
    wasi_io_poll_list_borrow_pollable_t list = {both, 2};
    guest_list_u32_t ready;
    wasi_io_poll_poll_list(&list, &ready);
    bool is = ready.len && ready.ptr[0] == 0;
    guest_list_u32_free(&ready);
    wasi_io_poll_pollable_drop_own(now);
    return is;
}

#endif

#if DRAFT == DRAFT_NOVEMBER

#define wasi_http_types_tuple2_field_name_field_value_t wasi_http_types_tuple2_field_key_field_value_t
#define wasi_http_types_list_tuple2_field_name_field_value_t wasi_http_types_list_tuple2_field_key_field_value_t
#define wasi_http_types_list_tuple2_field_name_field_value_free wasi_http_types_list_tuple2_field_key_field_value_free

#endif
#endif
