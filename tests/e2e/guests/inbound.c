/* Prints a message's size, the sum of its bytes, whether its instance was called before, and how it begins; then does
 * what that says: `fail`, `trap`, or `wait`, a fifth of a second. */
#include "plain.h"

IMPORT("wasi:cli/stdout@0.2.12", "get-stdout") int get_stdout(void);
IMPORT("wasi:clocks/monotonic-clock@0.2.12", "subscribe-duration") int subscribe_duration(uint64_t ns);
IMPORT("wasi:io/poll@0.2.12", "[method]pollable.block") void pollable_block(int pollable);
IMPORT(STREAMS, "[method]output-stream.blocking-write-and-flush")
void stream_write(int stream, const char *text, size_t size, void *ret);

static unsigned calls;
static uint8_t result[2]; /* an error, and which */

static void print(void)
{
    say("\n");
    stream_write(get_stdout(), report, reported, ret);
    reported = 0;
}

EXPORT("fermyon:spin/inbound-redis#handle-message") uint8_t *handle_message(const uint8_t *bytes, size_t size)
{
    struct text text = {(const char *)bytes, size < 20 ? size : 20};
    uint64_t sum = 0;
    for (size_t i = 0; i < size; i++)
        sum += bytes[i];
    say("size ");
    say_number(size);
    say(" sum ");
    say_number(sum);
    say(" call ");
    say_number(++calls);
    say(" begins ");
    say_text(text);
    print();
    if (starts(text, "trap"))
        __builtin_trap();
    if (starts(text, "wait")) {
        pollable_block(subscribe_duration(200000000));
        say("waited");
        print();
    }
    result[0] = starts(text, "fail");
    result[1] = 1;
    return result;
}
