/* Prints when it was called, and whether its instance was called before, then does what its variable `deed` says:
 * nothing, or `fail`, `trap`, `spin`, or `wait`, which takes as long as the variable `ms` says. Requests are answered
 * with "here". */
#include "plain_answer.h"

IMPORT("wasi:cli/stdout@0.2.12", "get-stdout") int get_stdout(void);
IMPORT("fermyon:spin/variables@2.0.0", "get") void variables_get(const char *name, size_t size, void *ret);
IMPORT("wasi:clocks/monotonic-clock@0.2.12", "subscribe-duration") int subscribe_duration(uint64_t ns);
IMPORT("wasi:io/poll@0.2.12", "[method]pollable.block") void pollable_block(int pollable);

static unsigned calls;

static struct text variable(const char *name, size_t size)
{
    variables_get(name, size, ret);
    return ret[0] ? (struct text){"", 0} : text_at(ret + 4);
}

static void print(void)
{
    say("\n");
    stream_write(get_stdout(), report, reported, ret);
    reported = 0;
}

static uint64_t number_of(struct text text)
{
    uint64_t number = 0;
    for (size_t i = 0; i < text.len; i++)
        number = number * 10 + (uint64_t)(text.ptr[i] - '0');
    return number;
}

static void wait(void)
{
    pollable_block(subscribe_duration(number_of(variable("ms", 2)) * 1000000));
    say("waited");
    print();
}

static uint32_t result[4]; /* an error, other, its text */

EXPORT("handle-cron-event") uint32_t *handle_cron_event(uint64_t timestamp)
{
    static const char why[] = "because\nof this";
    struct text deed = variable("deed", 4);
    say("tick ");
    say_number(timestamp);
    say(" call ");
    say_number(++calls);
    print();
    if (starts(deed, "trap"))
        __builtin_trap();
    for (volatile bool on = starts(deed, "spin"); on;)
        ;
    if (starts(deed, "wait"))
        wait();
    result[0] = starts(deed, "fail");
    result[2] = (uint32_t)(size_t)why;
    result[3] = sizeof why - 1;
    return result;
}

EXPORT("wasi:http/incoming-handler@0.2.12#handle") void handle(int request, int out)
{
    if (starts(request_path(request), "/"))
        say("here");
    answer_report(out);
}
