/* The library: counts the words of a text. guest.h is made from wit/words.wit by wit-bindgen. */
#include "guest.h"

#include <stdlib.h>
#include <string.h>

#define WORDS_MAX 100000
#define BUCKETS 4096

typedef exports_mayfly_examples_words_summary_t summary_t;
typedef exports_mayfly_examples_words_word_t word_t;

struct entry {
    struct entry *next; /* in the bucket */
    uint8_t *text;      /* inside of the argument */
    size_t length;
    uint32_t times;
    uint32_t first; /* its number in the text, which decides between equals */
};

struct table {
    struct entry *buckets[BUCKETS];
    struct entry *entries;
    uint32_t distinct;
};

static bool is_space(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static struct entry *find(struct table *table, uint8_t *text, size_t length)
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ text[i]) * 16777619u;
    struct entry **bucket = &table->buckets[hash % BUCKETS];
    for (struct entry *entry = *bucket; entry; entry = entry->next)
        if (entry->length == length && memcmp(entry->text, text, length) == 0)
            return entry;
    if (table->distinct == WORDS_MAX)
        return NULL;
    struct entry *entry = &table->entries[table->distinct];
    *entry = (struct entry){.next = *bucket, .text = text, .length = length, .first = table->distinct};
    table->distinct++;
    return *bucket = entry;
}

/* The next word, in small letters in place; 0 at the end. */
static size_t next_word(uint8_t **at, const uint8_t *end)
{
    while (*at < end && is_space(**at))
        ++*at;
    uint8_t *start = *at;
    for (; *at < end && !is_space(**at); ++*at)
        if (**at >= 'A' && **at <= 'Z')
            **at |= 0x20;
    return (size_t)(*at - start);
}

static int by_times(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->times != y->times)
        return x->times < y->times ? 1 : -1;
    return x->first < y->first ? -1 : 1;
}

static guest_string_t copy(const uint8_t *text, size_t length)
{
    guest_string_t copied;
    guest_string_dup_n(&copied, (const char *)text, length);
    return copied;
}

static bool count_all(struct table *table, guest_string_t *text, summary_t *ret)
{
    uint8_t *at = text->ptr;
    const uint8_t *end = text->ptr + text->len, *longest = at;
    size_t length, most = 0;
    while ((length = next_word(&at, end)) > 0) {
        struct entry *entry = find(table, at - length, length);
        if (!entry)
            return false;
        entry->times++;
        ret->words++;
        if (length > most) {
            most = length;
            longest = entry->text;
        }
    }
    ret->longest = copy(longest, most);
    return true;
}

/* wit-bindgen's: true is success; what is returned is freed by the post-return function, the argument by us. */
bool exports_mayfly_examples_words_summarize(guest_string_t *text, uint32_t limit, summary_t *ret, guest_string_t *err)
{
    struct table *table = calloc(1, sizeof *table);
    *ret = (summary_t){0};
    if (table)
        table->entries = malloc(WORDS_MAX * sizeof *table->entries);
    if (!table || !table->entries || !count_all(table, text, ret)) {
        guest_string_dup(err, "too many different words");
        return false;
    }
    qsort(table->entries, table->distinct, sizeof *table->entries, by_times);
    ret->most.len = table->distinct < limit ? table->distinct : limit;
    ret->most.ptr = ret->most.len ? malloc(ret->most.len * sizeof(word_t)) : NULL;
    for (size_t i = 0; i < ret->most.len; i++)
        ret->most.ptr[i] = (word_t){copy(table->entries[i].text, table->entries[i].length), table->entries[i].times};
    free(table->entries);
    free(table);
    guest_string_free(text);
    return true;
}
