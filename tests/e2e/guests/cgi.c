/* Answers by standard output, as PATH_INFO says:
 *
 *     /shown    arguments and variables, a line each
 *     /echo     standard input, as it comes
 *     /moved    with a location only
 *     /missing  with a status
 *     /exit     an answer, and then exit
 *     /drops    a head that comes byte by byte, with lines that end in CR LF
 *     /empty, /headless, /broken, /endless    what is no answer
 *     /fails    exit with another status than 0 */
#include "plain.h"

IMPORT("wasi:cli/environment@0.2.12", "get-environment") void get_environment(void *ret);
IMPORT("wasi:cli/environment@0.2.12", "get-arguments") void get_arguments(void *ret);
IMPORT("wasi:cli/exit@0.2.12", "exit") void leave(int error);
IMPORT("wasi:cli/stdin@0.2.12", "get-stdin") int get_stdin(void);
IMPORT("wasi:cli/stdout@0.2.12", "get-stdout") int get_stdout(void);
IMPORT("wasi:cli/stderr@0.2.12", "get-stderr") int get_stderr(void);
IMPORT(STREAMS, "[method]input-stream.blocking-read") void stream_read(int stream, uint64_t size, void *ret);
IMPORT(STREAMS, "[method]output-stream.blocking-write-and-flush")
void stream_write(int stream, const char *text, size_t size, void *ret);

static int out;

static void write_text(int stream, struct text text)
{
    for (size_t at = 0; at < text.len; at += 4096)
        stream_write(stream, text.ptr + at, text.len - at < 4096 ? text.len - at : 4096, ret);
}

static void send(void)
{
    write_text(out, (struct text){report, reported});
    reported = 0;
}

static void say_lines(struct text list, size_t words, const char *between)
{
    for (size_t i = 0; i < list.len; i++) {
        const uint8_t *item = (const uint8_t *)list.ptr + 4 * words * i;
        say_text(text_at(item));
        say(between);
        if (words == 4)
            say_text(text_at(item + 8));
        say("\n");
    }
}

static void shown(void)
{
    say("content-type: text/plain\nX-More: 1\n\n");
    get_arguments(ret);
    say_lines(text_at(ret), 2, "");
    get_environment(ret);
    say_lines(text_at(ret), 4, "=");
    send();
}

static void echo(void)
{
    int in = get_stdin();
    say("Content-Type: application/octet-stream\n\n");
    send();
    for (;;) {
        stream_read(in, 65536, ret);
        if (ret[0])
            return;
        write_text(out, text_at(ret + 4));
    }
}

static void drops(void)
{
    static const char text[] = "Status: 201 Created\r\nContent-Type: text/plain\r\n\r\nbody\n\nmore";
    for (size_t i = 0; i < sizeof text - 1; i++)
        write_text(out, (struct text){text + i, 1});
}

static void endless(void)
{
    for (int i = 0; i < 2000; i++) {
        say("x-field: and so on, without an end of the head, for more than there is room\n");
        send();
    }
}

static struct text path_info(void)
{
    get_environment(ret);
    struct text list = text_at(ret);
    for (size_t i = 0; i < list.len; i++) {
        const uint8_t *item = (const uint8_t *)list.ptr + 16 * i;
        if (text_at(item).len == 9 && starts(text_at(item), "PATH_INFO"))
            return text_at(item + 8);
    }
    return (struct text){"", 0};
}

EXPORT("wasi:cli/run@0.2.12#run") int run(void)
{
    struct text path = path_info();
    out = get_stdout();
    if (starts(path, "/shown"))
        shown();
    else if (starts(path, "/echo"))
        echo();
    else if (starts(path, "/moved"))
        say("location: /elsewhere\n\n");
    else if (starts(path, "/missing"))
        say("status: 404 Not Here\n\nnothing");
    else if (starts(path, "/exit"))
        say("content-type: text/plain\n\nleft");
    else if (starts(path, "/drops"))
        drops();
    else if (starts(path, "/headless"))
        say("x-field: 1\n\nbody");
    else if (starts(path, "/broken"))
        say("content-type text/plain\n\nbody");
    else if (starts(path, "/endless"))
        endless();
    else if (starts(path, "/fails"))
        write_text(get_stderr(), (struct text){"it fails\n", 9});
    send();
    if (starts(path, "/exit"))
        leave(0);
    if (starts(path, "/fails"))
        leave(1);
    return 0;
}
