/* What guests share that do what the path says: the request's path in words, and the answer. Words of the path stand
 * between slashes, with %XX as in a path. */
#include "handler.h"

/* ---- the path ---- */

#ifndef WORDS
#define WORDS 64
#endif
#ifndef BLANK
#define BLANK 0 /* what stands for one */
#endif

static struct word {
    text_t text;
    size_t size;
} words[WORDS];
static size_t count;

static int hex(char c)
{
    return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
}

static void split(char *path, size_t size)
{
    size_t to = 0;
    for (size_t i = 0; i < size; i++) {
        if (path[i] == '/') {
            if (count == WORDS)
                return;
            words[count++].text = path + to;
            continue;
        }
        char c = BLANK && path[i] == BLANK ? ' ' : path[i];
        if (path[i] == '%' && i + 2 < size) {
            c = (char)(hex(path[i + 1]) << 4 | hex(path[i + 2]));
            i += 2;
        }
        path[to++] = c;
        words[count - 1].size++;
    }
}

__attribute__((unused)) static bool is(size_t at, text_t text)
{
    size_t size = 0;
    while (text[size])
        size++;
    for (size_t i = 0; i < size && at < count && i < words[at].size; i++)
        if (words[at].text[i] != text[i])
            return false;
    return at < count && words[at].size == size;
}

/* The number that a word is from its byte `from` on. */
__attribute__((unused)) static int64_t number_of(size_t at, size_t from)
{
    bool minus = words[at].size > from && words[at].text[from] == '-';
    int64_t value = 0;
    for (size_t i = from + minus; i < words[at].size; i++)
        value = value * 10 + (words[at].text[i] - '0');
    return minus ? -value : value;
}

#define WORD(at) words[at].text, words[at].size

static void act(void);

__attribute__((export_name("wasi:http/incoming-handler@0.2.12#handle"))) void handle(int request, int out)
{
    request_path(request, ret);
    split((char *)word(ret + 4), word(ret + 8));
    act();
    respond(out);
}
