/* Takes time, memory or stack without end, as the path says; any other path is answered with 200. */
#include "answer.h"

#include <stdlib.h>

#define PAGE 65536u

static volatile uint32_t sink;

static void spin(outparam_t out)
{
    for (;;)
        sink++;
}

/* In the runtime rather than in code of its own. */
static void fill(outparam_t out)
{
    static uint8_t bytes[16 << 20];
    for (;;) {
        memset(bytes, (int)sink++, sizeof bytes);
        __asm__ volatile("" : : "r"(bytes) : "memory"); /* somebody may read them */
    }
}

/* The answer is on its way when the loop begins. */
static void spin_stream(outparam_t out)
{
    static uint8_t bytes[200000];
    wasi_http_types_own_output_stream_t stream;
    wasi_http_types_own_outgoing_body_t body = start_answer(out, 200);
    wasi_http_types_method_outgoing_body_write(wasi_http_types_borrow_outgoing_body(body), &stream);
    write_all(stream, bytes, sizeof bytes);
    spin(out);
}

/* Works for about so many milliseconds before it answers, without ever waiting. */
static void work(outparam_t out, uint64_t milliseconds)
{
    uint64_t end = wasi_clocks_monotonic_clock_now() + milliseconds * 1000000u;
    while (wasi_clocks_monotonic_clock_now() < end)
        for (int i = 0; i < 1000; i++)
            sink++;
    answer(out, 200, "worked\n");
}

/* Writes to every page that it gets, and says whether there was an end. */
static void grow(outparam_t out)
{
    size_t page;
    while ((page = __builtin_wasm_memory_grow(0, 1)) != SIZE_MAX)
        *(volatile uint8_t *)(page * PAGE) = 1;
    answer(out, 200, "no more\n");
}

static uint64_t bottom = UINT64_MAX;

static __attribute__((noinline)) uint32_t descend(uint32_t depth)
{
    volatile uint32_t here = depth;
    return depth < bottom ? descend(depth + 1) + here : here;
}

static void deep(outparam_t out)
{
    sink = descend(0);
    answer(out, 200, "deep\n");
}

static void wait(outparam_t out)
{
    wasi_io_poll_own_pollable_t hour = wasi_clocks_monotonic_clock_subscribe_duration(3600ull * 1000000000u);
    wasi_io_poll_method_pollable_block(wasi_io_poll_borrow_pollable(hour));
}

/* Waits between short works: it takes more processor time than one run of it. */
static void doze(outparam_t out)
{
    for (;;) {
        uint64_t end = wasi_clocks_monotonic_clock_now() + 20000000u;
        while (wasi_clocks_monotonic_clock_now() < end)
            sink++;
        wasi_io_poll_own_pollable_t soon = wasi_clocks_monotonic_clock_subscribe_duration(1000000u);
        wasi_io_poll_method_pollable_block(wasi_io_poll_borrow_pollable(soon));
        wasi_io_poll_pollable_drop_own(soon);
    }
}

/* The number at *text, and the character behind it. */
static uint64_t take_number(const char **text)
{
    uint64_t number = 0;
    for (; **text >= '0' && **text <= '9'; ++*text)
        number = number * 10 + (uint64_t)(**text - '0');
    *text += **text != 0;
    return number;
}

static void add_number(char *words, uint64_t number)
{
    char digits[21] = {0}, *at = digits + 20;
    do {
        *--at = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    strcat(words, at);
}

#define NAP_PAGES 4
#define NAP_PAGE 4096

/* "/nap/MILLISECONDS/NUMBER": leaves the number in memory and on its stack, waits, and finds it there again. */
static void nap(outparam_t out, const char *text)
{
    static uint64_t pages[NAP_PAGES][NAP_PAGE / sizeof(uint64_t)];
    volatile uint64_t here[16];
    uint64_t milliseconds = take_number(&text), number = take_number(&text);
    char words[64] = "napped ";
    for (size_t i = 0; i < 16; i++)
        here[i] = number + i;
    for (size_t i = 0; i < NAP_PAGES; i++)
        pages[i][number % 512] = number + 1;
    wasi_io_poll_own_pollable_t then = wasi_clocks_monotonic_clock_subscribe_duration(milliseconds * 1000000u);
    wasi_io_poll_method_pollable_block(wasi_io_poll_borrow_pollable(then));
    wasi_io_poll_pollable_drop_own(then);
    size_t wrong = 0;
    for (size_t i = 0; i < 16; i++)
        wrong += here[i] != number + i;
    for (size_t i = 0; i < NAP_PAGES; i++)
        for (size_t k = 0; k < 512; k++)
            wrong += pages[i][k] != (k == number % 512 ? number + 1 : 0);
    add_number(words, number);
    strcat(words, ", wrong: ");
    add_number(words, wrong);
    strcat(words, "\n");
    answer(out, 200, words);
}

static void work_short(outparam_t out)
{
    work(out, 50);
}

static const struct {
    const char *path;
    void (*run)(outparam_t out);
} ways[] = {
    {"/spin", spin},       {"/fill", fill}, {"/spin-stream", spin_stream},
    {"/work", work_short}, {"/grow", grow}, {"/deep", deep},
    {"/wait", wait},       {"/doze", doze},
};

void exports_wasi_http_incoming_handler_handle(request_t request, outparam_t out)
{
    guest_string_t path = request_path(request);
    if (starts_with(path, "/nap/")) {
        char text[64] = {0};
        memcpy(text, path.ptr + 5, path.len - 5 < 63 ? path.len - 5 : 63);
        nap(out, text);
        return;
    }
    if (starts_with(path, "/deep/")) {
        char text[64] = {0};
        const char *at = text;
        memcpy(text, path.ptr + 6, path.len - 6 < 63 ? path.len - 6 : 63);
        bottom = take_number(&at);
        deep(out);
        return;
    }
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
        if (path.len == strlen(ways[i].path) && starts_with(path, ways[i].path)) {
            ways[i].run(out);
            return;
        }
    answer(out, 200, "fine\n");
}
