/* A tokenizer with a hash table of words: bytes, branches, short strings. */
#include "bench.h"

enum { TEXT = 1 << 15, TABLE = 1 << 11 };
static char text[TEXT];
static struct word {
    const char *at;
    uint32_t size, count;
} words[TABLE];

static void write_text(void)
{
    static const char pieces[] = "if while return total 12 0x7f ( ) { } + - * ; alpha beta1 g2 == \"text\" \n  ";
    uint32_t random = 17, at = 0;
    while (at < TEXT - 16) {
        uint32_t from = next_random(&random) % (sizeof pieces - 12), size = 1 + random % 11;
        for (uint32_t i = 0; i < size; i++)
            text[at++] = pieces[from + i];
    }
}

static int is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static int is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static int same(const char *a, const char *b, uint32_t size)
{
    for (uint32_t i = 0; i < size; i++)
        if (a[i] != b[i])
            return 0;
    return 1;
}

static uint32_t count_word(const char *at, uint32_t size)
{
    uint32_t hash = 2166136261u;
    for (uint32_t i = 0; i < size; i++)
        hash = (hash ^ (uint8_t)at[i]) * 16777619u;
    for (uint32_t slot = hash % TABLE;; slot = (slot + 1) % TABLE) {
        struct word *word = &words[slot];
        if (!word->at)
            *word = (struct word){at, size, 0};
        if (word->size == size && same(word->at, at, size))
            return ++word->count;
    }
}

static uint32_t number(const char **at)
{
    uint32_t value = 0;
    while (is_digit(**at))
        value = value * 10 + (uint32_t)(*(*at)++ - '0');
    return value;
}

static uint64_t tokenize(void)
{
    const char *at = text;
    uint64_t sum = 0;
    while (*at) {
        const char *first = at;
        if (is_letter(*at)) {
            while (is_letter(*at) || is_digit(*at))
                at++;
            sum += count_word(first, (uint32_t)(at - first));
        } else if (is_digit(*at)) {
            sum = mix(sum, number(&at));
        } else if (*at == ' ' || *at == '\n') {
            at++;
        } else {
            sum += (uint8_t)*at++;
        }
    }
    return sum;
}

uint64_t bench(uint32_t n)
{
    uint64_t sum = 0;
    write_text();
    for (uint32_t i = 0; i < n; i++)
        sum = mix(sum, tokenize());
    return sum;
}
