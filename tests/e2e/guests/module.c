/* A handler that stays a core module: it says in a custom section what it is as a component, and imports WASI 0.1
 * besides, as what Rust makes for wasm32-wasip1 does. Answers with what the path names:
 *
 *     /initialized   whether _initialize was called, and how often
 *     /variable/NAME, /environment, /clock, /sleep, /random
 *     /read          text.txt of the first granted directory      /write   what becomes of making a file there
 *     /output        writes to standard output and error          /input   standard input, which is empty
 *     /exit          ends with status 3 */
#include "plain_answer.h"

#define WASI(name) IMPORT("wasi_snapshot_preview1", #name) int name
#define GRANTED 3

struct buffer {
    void *ptr;
    size_t len;
};

struct subscription {
    uint64_t userdata;
    uint8_t type;
    _Alignas(8) uint32_t clock;
    uint64_t timeout, precision;
    uint16_t flags;
};

WASI(environ_sizes_get)(uint32_t *count, uint32_t *size);
WASI(environ_get)(char **all, char *texts);
WASI(clock_time_get)(int clock, uint64_t precision, uint64_t *time);
WASI(poll_oneoff)(const struct subscription *in, void *out, size_t count, uint32_t *events);
WASI(random_get)(void *bytes, size_t size);
WASI(fd_read)(int fd, const struct buffer *buffers, size_t count, uint32_t *size);
WASI(fd_write)(int fd, const struct buffer *buffers, size_t count, uint32_t *size);
WASI(fd_close)(int fd);
WASI(path_open)(int dir, int look, const char *path, size_t size, int flags, uint64_t rights, uint64_t inheriting,
                int fdflags, int *fd);
IMPORT("wasi_snapshot_preview1", "proc_exit") void proc_exit(int status);
IMPORT("fermyon:spin/variables@2.0.0", "get") void variables_get(const char *name, size_t size, void *ret);

static unsigned initialized;

EXPORT("_initialize") void initialize(void)
{
    initialized++;
}

static void say_errno(int number)
{
    say("errno ");
    say_number((uint64_t)number);
}

static void say_environment(void)
{
    uint32_t count, size;
    environ_sizes_get(&count, &size);
    char **all = cabi_realloc(NULL, 0, 4, 4 * count);
    environ_get(all, cabi_realloc(NULL, 0, 1, size));
    for (uint32_t i = 0; i < count; i++) {
        say(all[i]);
        say("\n");
    }
}

static uint64_t clock(int id)
{
    uint64_t time = 0;
    if (clock_time_get(id, 1, &time) != 0)
        __builtin_trap();
    return time;
}

static void say_clock(void)
{
    uint64_t first = clock(1), second = clock(1);
    say(second >= first && clock(0) > 1700000000000000000 ? "goes on" : "stands");
}

static void sleep(void)
{
    struct subscription row = {.userdata = 7, .clock = 1, .timeout = 100000000};
    uint64_t event[4] = {0}, before = clock(1);
    uint32_t events = 0;
    int code = poll_oneoff(&row, event, 1, &events);
    bool long_enough = clock(1) - before >= row.timeout;
    say(code == 0 && events == 1 && event[0] == 7 && long_enough ? "slept" : "did not sleep");
}

static void say_random(void)
{
    uint8_t bytes[64] = {0};
    unsigned set = 0;
    random_get(bytes, sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++)
        set += bytes[i] != 0;
    say(set > 32 ? "random" : "empty");
}

static void say_file(void)
{
    static char first[4], rest[64];
    const struct buffer buffers[] = {{first, sizeof first}, {rest, sizeof rest}};
    uint32_t size = 0;
    int fd = 0, code = path_open(GRANTED, 0, "text.txt", 8, 0, 2, 0, 0, &fd);
    if (code == 0)
        code = fd_read(fd, buffers, 2, &size);
    if (code)
        say_errno(code);
    say_text((struct text){first, size < sizeof first ? size : sizeof first});
    say_text((struct text){rest, size < sizeof first ? 0 : size - sizeof first});
    if (code == 0)
        fd_close(fd);
}

static void make_file(void)
{
    int fd;
    say_errno(path_open(GRANTED, 0, "made.txt", 8, 1, 64, 0, 0, &fd));
}

static void output(void)
{
    static char out[] = "on standard output\n", err[] = "on standard error\n";
    const struct buffer row[] = {{out, sizeof out - 1}, {err, sizeof err - 1}};
    uint32_t size = 0;
    int code = fd_write(1, &row[0], 1, &size);
    say_errno(code ? code : fd_write(2, &row[1], 1, &size));
}

static void say_input(void)
{
    static char bytes[16];
    const struct buffer row = {bytes, sizeof bytes};
    uint32_t size = 1;
    say_errno(fd_read(0, &row, 1, &size));
    say(" bytes ");
    say_number(size);
}

static void say_variable(struct text name)
{
    variables_get(name.ptr, name.len, ret);
    if (ret[0])
        say("none: ");
    say_text(text_at(ret[0] ? ret + 8 : ret + 4));
}

EXPORT("wasi:http/incoming-handler@0.2.12#handle") void handle(int request, int out)
{
    struct text path = request_path(request);
    if (starts(path, "/initialized"))
        say_number(initialized);
    else if (starts(path, "/variable/"))
        say_variable((struct text){path.ptr + 10, path.len - 10});
    else if (starts(path, "/environment"))
        say_environment();
    else if (starts(path, "/clock"))
        say_clock();
    else if (starts(path, "/sleep"))
        sleep();
    else if (starts(path, "/random"))
        say_random();
    else if (starts(path, "/read"))
        say_file();
    else if (starts(path, "/write"))
        make_file();
    else if (starts(path, "/output"))
        output();
    else if (starts(path, "/input"))
        say_input();
    else if (starts(path, "/exit"))
        proc_exit(3);
    answer_report(out);
}
