/* The drafts of WASI 0.2 as linking sees them: each has its own shapes and no others, whatever version has a function
 * of that name; and what a draft's guest holds is the object that the final version's functions know. */
#include "wasi/gen/common.h"
#include "wasi/link.h"
#include "wasi/offer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define OCTOBER "@0.2.0-rc-2023-10-18"
#define NOVEMBER "@0.2.0-rc-2023-11-10"
#define FINAL "@0.2.0"
#define LATER "@0.2.0-rc-2023-12-05"

#define STREAM_ERROR(of) "variant{last-operation-failed(own<wasi:io/" of ".error>), closed}"
#define POLL "func(list<borrow<wasi:io/poll.pollable>>) -> list<u32>"
#define SPLICE(handle, of)                                                                                             \
    "func(borrow<wasi:io/streams.output-stream>, " handle                                                              \
    "<wasi:io/streams.input-stream>, u64) -> result<u64, " STREAM_ERROR(of) ">"
#define SUBSCRIBE "func(u64) -> own<wasi:io/poll.pollable>"
#define FORMER_ERROR                                                                                                   \
    "variant{invalid-url(string), timeout-error(string), protocol-error(string), unexpected-error(string)}"

static void shapes(void **state)
{
    static const struct {
        const char *interface, *name, *signature;
        enum offer october, november, final, unversioned;
    } rows[] = {
#define H OFFER_HERE
#define M OFFER_MISSING
#define T OFFER_OTHER_TYPE
        {"wasi:io/poll", "poll", POLL, M, H, H, H},
        {"wasi:io/poll", "poll-one", "func(borrow<wasi:io/poll.pollable>)", H, M, M, H},
        {"wasi:io/poll", "[method]pollable.block", "func(borrow<wasi:io/poll.pollable>)", M, H, H, H},
        {"wasi:io/streams", "[method]output-stream.splice", SPLICE("own", "streams"), H, T, T, T},
        {"wasi:io/streams", "[method]output-stream.splice", SPLICE("borrow", "error"), T, H, H, H},
        {"wasi:io/streams", "[method]input-stream.skip",
         "func(borrow<wasi:io/streams.input-stream>, u64) -> result<u64, " STREAM_ERROR("streams") ">", H, T, T, T},
        {"wasi:io/error", "[method]error.to-debug-string", "func(borrow<wasi:io/error.error>) -> string", M, H, H, H},
        {"wasi:clocks/monotonic-clock", "now", "func() -> u64", H, H, H, H},
        {"wasi:clocks/monotonic-clock", "subscribe", "func(u64, bool) -> own<wasi:io/poll.pollable>", H, M, M, H},
        {"wasi:clocks/monotonic-clock", "subscribe-instant", SUBSCRIBE, M, H, H, H},
        {"wasi:cli/exit", "exit", "func(result)", H, H, H, H},
        {"wasi:cli/exit", "exit-with-code", "func(u8)", M, M, H, H},
        {"wasi:random/random", "get-random-u64", "func() -> u64", H, H, H, H},
        {"wasi:http/types", "[method]fields.has", "func(borrow<wasi:http/types.fields>, string) -> bool", M, M, H, H},
        {"wasi:http/types", "[method]fields.delete", "func(borrow<wasi:http/types.fields>, string)", H, T, T, T},
        {"wasi:http/types", "[method]future-trailers.get",
         "func(borrow<wasi:http/types.future-trailers>) -> option<result<own<wasi:http/types.fields>, " FORMER_ERROR
         ">>",
         H, T, T, T},
        {"wasi:http/types", "[method]request-options.connect-timeout-ms",
         "func(borrow<wasi:http/types.request-options>) -> option<u64>", M, H, M, H},
        {"wasi:http/types", "[method]request-options.connect-timeout",
         "func(borrow<wasi:http/types.request-options>) -> option<u64>", M, M, H, H},
#undef H
#undef M
#undef T
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct {
            const char *version;
            enum offer wanted;
        } columns[] = {{OCTOBER, rows[i].october},
                       {NOVEMBER, rows[i].november},
                       {FINAL, rows[i].final},
                       {"", rows[i].unversioned},
                       {LATER, OFFER_MISSING}};
        for (size_t k = 0; k < sizeof columns / sizeof *columns; k++) {
            char interface[128];
            snprintf(interface, sizeof interface, "%s%s", rows[i].interface, columns[k].version);
            enum offer got = wasi_offer(str_of(interface), str_of(rows[i].name), str_of(rows[i].signature));
            if (got != columns[k].wanted)
                fail_msg("%s %s %s: %d, not %d", interface, rows[i].name, rows[i].signature, got, columns[k].wanted);
        }
    }
}

static void objects(void **state)
{
    static const struct {
        const char *former, *name, *final;
    } rows[] = {
        {"wasi:io/poll" OCTOBER, "pollable", "wasi:io/poll"},
        {"wasi:io/streams" OCTOBER, "error", "wasi:io/error"},
        {"wasi:io/streams" NOVEMBER, "output-stream", "wasi:io/streams"},
        {"wasi:http/types" OCTOBER, "fields", "wasi:http/types"},
        {"wasi:http/types" NOVEMBER, "request-options", "wasi:http/types"},
        {"wasi:filesystem/types" OCTOBER, "descriptor", "wasi:filesystem/types"},
        {"wasi:sockets/udp" OCTOBER, "udp-socket", "wasi:sockets/udp"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint32_t former = wasi_resource_id(str_of(rows[i].former), str_of(rows[i].name));
        assert_int_not_equal(former, RESOURCE_NONE);
        assert_int_equal(former, wasi_resource_id(str_of(rows[i].final), str_of(rows[i].name)));
        assert_int_equal(wasi_offer_drop(str_of(rows[i].former), str_of(rows[i].name)), OFFER_HERE);
    }
    assert_int_equal(wasi_offer_drop(STR("wasi:io/error" OCTOBER), STR("error")), OFFER_MISSING);
    assert_int_equal(wasi_offer_drop(STR("wasi:io/streams" NOVEMBER), STR("error")), OFFER_MISSING);
    assert_int_equal(wasi_offer_drop(STR("wasi:http/types" OCTOBER), STR("request-options")), OFFER_MISSING);
    assert_int_equal(wasi_offer_drop(STR("wasi:sockets/udp" OCTOBER), STR("incoming-datagram-stream")), OFFER_MISSING);
    assert_int_equal(wasi_offer_drop(STR("wasi:http/types" LATER), STR("fields")), OFFER_MISSING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(shapes), cmocka_unit_test(objects)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
