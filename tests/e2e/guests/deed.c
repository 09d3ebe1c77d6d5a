/* Does what its arguments say, behind the first, one after the other:
 *
 *     args, env, dirs    print arguments, environment, names of directories, a line each
 *     var=NAME           print that variable
 *     copy               standard input to standard output
 *     wait               print so, and wait for an hour
 *     exit=N, fail, trap  end */
#include "plain.h"

IMPORT("wasi:cli/environment@0.2.12", "get-environment") void get_environment(void *ret);
IMPORT("wasi:cli/environment@0.2.12", "get-arguments") void get_arguments(void *ret);
IMPORT("wasi:cli/exit@0.2.12", "exit-with-code") void leave(int code);
IMPORT("wasi:cli/stdin@0.2.12", "get-stdin") int get_stdin(void);
IMPORT("wasi:cli/stdout@0.2.12", "get-stdout") int get_stdout(void);
IMPORT("wasi:filesystem/preopens@0.2.12", "get-directories") void get_directories(void *ret);
IMPORT("fermyon:spin/variables@2.0.0", "get") void variables_get(const char *name, size_t size, void *ret);
IMPORT("wasi:clocks/monotonic-clock@0.2.12", "subscribe-duration") int subscribe_duration(uint64_t ns);
IMPORT("wasi:io/poll@0.2.12", "[method]pollable.block") void pollable_block(int pollable);
IMPORT(STREAMS, "[method]input-stream.blocking-read") void stream_read(int stream, uint64_t size, void *ret);
IMPORT(STREAMS, "[method]output-stream.blocking-write-and-flush")
void stream_write(int stream, const char *text, size_t size, void *ret);

static int out;

static void print(struct text text)
{
    for (size_t at = 0; at < text.len; at += 4096)
        stream_write(out, text.ptr + at, text.len - at < 4096 ? text.len - at : 4096, ret);
}

static void print_report(void)
{
    print((struct text){report, reported});
    reported = 0;
}

/* Of a list with texts at `at` and perhaps at `second` of each `size` bytes. */
static void say_lines(size_t size, size_t at, size_t second)
{
    struct text list = text_at(ret);
    for (size_t i = 0; i < list.len; i++) {
        const uint8_t *item = (const uint8_t *)list.ptr + size * i;
        say_text(text_at(item + at));
        if (second)
            say("=");
        if (second)
            say_text(text_at(item + second));
        say("\n");
    }
    print_report();
}

static void say_variable(struct text name)
{
    variables_get(name.ptr, name.len, ret);
    say_text(ret[0] ? (struct text){"none", 4} : text_at(ret + 4));
    say("\n");
    print_report();
}

static void copy(void)
{
    int in = get_stdin();
    for (;;) {
        top = 0; /* what was read is written */
        stream_read(in, 4096, ret);
        if (ret[0])
            return;
        print(text_at(ret + 4));
    }
}

static void wait(void)
{
    say("waiting\n");
    print_report();
    pollable_block(subscribe_duration((uint64_t)3600 * 1000000000));
}

static int number_of(struct text text)
{
    int number = 0;
    for (size_t i = 0; i < text.len; i++)
        number = number * 10 + text.ptr[i] - '0';
    return number;
}

static bool do_one(struct text deed)
{
    if (starts(deed, "args")) {
        get_arguments(ret);
        say_lines(8, 0, 0);
    } else if (starts(deed, "env")) {
        get_environment(ret);
        say_lines(16, 0, 8);
    } else if (starts(deed, "dirs")) {
        get_directories(ret);
        say_lines(12, 4, 0);
    } else if (starts(deed, "var=")) {
        say_variable((struct text){deed.ptr + 4, deed.len - 4});
    } else if (starts(deed, "copy")) {
        copy();
    } else if (starts(deed, "wait")) {
        wait();
    } else if (starts(deed, "exit=")) {
        leave(number_of((struct text){deed.ptr + 5, deed.len - 5}));
    } else if (starts(deed, "trap")) {
        __builtin_trap();
    }
    return !starts(deed, "fail");
}

EXPORT("wasi:cli/run@0.2.12#run") int run(void)
{
    out = get_stdout();
    get_arguments(ret);
    struct text words = text_at(ret);
    for (size_t i = 1; i < words.len; i++)
        if (!do_one(text_at((const uint8_t *)words.ptr + 8 * i)))
            return 1;
    return 0;
}
