/* See mutate.h. */
#include "support/mutate.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static bool read_leb(const uint8_t *bytes, size_t size, size_t *at, uint32_t *ret_value)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 35 && *at < size; shift += 7) {
        uint8_t byte = bytes[(*at)++];
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *ret_value = (uint32_t)value;
            return value <= UINT32_MAX;
        }
    }
    return false;
}

struct section {
    size_t start, body, end; /* of the section's identifier, of its contents, behind it */
    uint8_t id;
};

static bool next_section(const uint8_t *bytes, size_t size, size_t at, struct section *ret_section)
{
    uint32_t length;
    *ret_section = (struct section){.start = at, .id = bytes[at]};
    at++;
    if (!read_leb(bytes, size, &at, &length) || length > size - at)
        return false;
    ret_section->body = at;
    ret_section->end = at + length;
    return true;
}

/* Up to `max` sections of a module or component. */
static uint32_t find_sections(const uint8_t *bytes, size_t size, struct section *ret_sections, uint32_t max)
{
    uint32_t count = 0;
    for (size_t at = 8; at < size && count < max && next_section(bytes, size, at, &ret_sections[count]); count++)
        at = ret_sections[count].end;
    return count;
}

static void add_copy(struct corpus *corpus, const uint8_t *bytes, size_t size)
{
    uint8_t *copy = corpus->count < CORPUS_MAX ? malloc(size) : NULL;
    if (copy)
        corpus->entries[corpus->count++] = (struct corpus_entry){memcpy(copy, bytes, size), size};
}

enum { COMPONENT_MODULE = 1, COMPONENT_COMPONENT = 4 }; /* sections that hold what a file can hold, too */

void corpus_add(struct corpus *corpus, const uint8_t *bytes, size_t size, size_t max)
{
    static const uint8_t core[] = {0, 'a', 's', 'm', 1, 0, 0, 0};
    if (size < 9)
        return;
    if (memcmp(bytes, core, sizeof core) == 0) {
        if (size <= max)
            add_copy(corpus, bytes, size);
        return;
    }
    for (size_t at = 8; at < size;) {
        struct section section;
        if (!next_section(bytes, size, at, &section))
            return;
        if (section.id == COMPONENT_MODULE || section.id == COMPONENT_COMPONENT)
            corpus_add(corpus, bytes + section.body, section.end - section.body, max);
        at = section.end;
    }
}

static bool add_file(struct corpus *corpus, const char *path, size_t max)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        return false;
    fseek(file, 0, SEEK_END);
    size_t size = (size_t)ftell(file);
    rewind(file);
    uint8_t *bytes = malloc(size + 1);
    bool read = bytes && fread(bytes, 1, size, file) == size;
    if (read)
        corpus_add(corpus, bytes, size, max);
    free(bytes);
    fclose(file);
    return read;
}

static int is_wasm(const struct dirent *entry)
{
    const char *dot = strrchr(entry->d_name, '.');
    return dot && strcmp(dot, ".wasm") == 0;
}

uint32_t corpus_add_folder(struct corpus *corpus, const char *folder, uint32_t step, size_t max)
{
    struct dirent **names;
    int count = scandir(folder, &names, is_wasm, alphasort);
    uint32_t read = 0;
    for (int i = 0; i < count; i++) {
        char path[1024];
        snprintf(path, sizeof path, "%s/%s", folder, names[i]->d_name);
        if ((uint32_t)i % step == 0)
            read += add_file(corpus, path, max);
        free(names[i]);
    }
    if (count >= 0)
        free(names);
    return read;
}

void corpus_fill(struct corpus *corpus, const char *root, size_t max)
{
    static const struct {
        const char *folder;
        uint32_t step;
        bool shared;
    } folders[] = {
        {"tests/codegen/fixtures", 1, false},
        {"tests/contract/fixtures", 1, false},
        {"tests/runtime/fixtures", 1, false},
        {"tests/component/fixtures", 1, false},
        {"tests/wast", 1, false},
        {"tests/wast/own", 1, false},
        {"tests/e2e/guests", 1, false},
        {"examples/hello-c", 1, false},
        {"examples/hello-rust", 1, false},
        {"../shared/components", 1, true},
        {"../shared/conformance/core", 31, true},
    };
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        char path[1024];
        snprintf(path, sizeof path, "%s/%s", root, folders[i].folder);
        if (corpus_add_folder(corpus, path, folders[i].step, max) == 0 && folders[i].shared)
            printf("skipped: nothing in %s\n", folders[i].folder);
        if (folders[i].step == 1)
            corpus->real = corpus->count;
    }
    printf("corpus of %u modules\n", corpus->count);
}

void corpus_free(struct corpus *corpus)
{
    for (uint32_t i = 0; i < corpus->count; i++)
        free(corpus->entries[i].bytes);
    corpus->count = corpus->real = 0;
}

struct dice dice_of(uint64_t seed)
{
    uint64_t mixed = (seed + 0x9e3779b97f4a7c15u) * 0xbf58476d1ce4e5b9u;
    return (struct dice){(mixed ^ mixed >> 29) | 1};
}

uint32_t dice_roll(struct dice *dice, uint32_t sides)
{
    dice->state ^= dice->state << 13;
    dice->state ^= dice->state >> 7;
    dice->state ^= dice->state << 17;
    return sides ? (uint32_t)(dice->state >> 11) % sides : 0;
}

/* What an edit works on: `size` bytes in a block of `room`. */
struct input {
    uint8_t *bytes;
    size_t size, room;
};

static size_t somewhere(const struct input *in, struct dice *dice)
{
    return in->size > 8 ? 8 + dice_roll(dice, (uint32_t)(in->size - 8)) : 0;
}

/* Replace `gone` bytes at `at` by others. Leaves everything as it is where that does not fit. */
static void replace(struct input *in, size_t at, size_t gone, const uint8_t *bytes, size_t size)
{
    if (at > in->size || gone > in->size - at || in->size - gone + size > in->room)
        return;
    memmove(in->bytes + at + size, in->bytes + at + gone, in->size - at - gone);
    memmove(in->bytes + at, bytes, size);
    in->size = in->size - gone + size;
}

static void edit_bit(struct input *in, const struct corpus *corpus, struct dice *dice)
{
    (void)corpus;
    in->bytes[somewhere(in, dice)] ^= (uint8_t)(1u << dice_roll(dice, 8));
}

static void edit_byte(struct input *in, const struct corpus *corpus, struct dice *dice)
{
    static const uint8_t likely[] = {0x00, 0x01, 0x0b, 0x40, 0x60, 0x63, 0x64, 0x70, 0x7f, 0x80, 0xfb, 0xfd, 0xff};
    (void)corpus;
    in->bytes[somewhere(in, dice)] = likely[dice_roll(dice, sizeof likely)];
}

/* A number becomes an extreme one. */
static void edit_leb(struct input *in, const struct corpus *corpus, struct dice *dice)
{
    static const uint8_t extreme[][5] = {{0xff, 0xff, 0xff, 0xff, 0x0f},
                                         {0x80, 0x80, 0x80, 0x80, 0x08},
                                         {0xff, 0xff, 0xff, 0xff, 0x07},
                                         {0x80, 0x80, 0x80, 0x80, 0x00},
                                         {0xff, 0xff, 0xff, 0xff, 0xff}};
    (void)corpus;
    replace(in, somewhere(in, dice), dice_roll(dice, 2), extreme[dice_roll(dice, 5)], 1 + dice_roll(dice, 5));
}

static void edit_remove(struct input *in, const struct corpus *corpus, struct dice *dice)
{
    (void)corpus;
    replace(in, somewhere(in, dice), 1 + dice_roll(dice, 8), in->bytes, 0);
}

/* A piece of another module. */
static void edit_splice(struct input *in, const struct corpus *corpus, struct dice *dice)
{
    const struct corpus_entry *other = &corpus->entries[dice_roll(dice, corpus->count)];
    size_t from = dice_roll(dice, (uint32_t)other->size), size = 1 + dice_roll(dice, 64);
    if (size > other->size - from)
        size = other->size - from;
    replace(in, somewhere(in, dice), dice_roll(dice, 2) ? size : 0, other->bytes + from, size);
}

static void edit_section_length(struct input *in, const struct corpus *corpus, struct dice *dice)
{
    struct section sections[32];
    (void)corpus;
    uint32_t count = find_sections(in->bytes, in->size, sections, 32);
    if (count)
        in->bytes[sections[dice_roll(dice, count)].start + 1] += (uint8_t)(1 + dice_roll(dice, 255));
}

/* A section goes before another. */
static void edit_section_order(struct input *in, const struct corpus *corpus, struct dice *dice)
{
    struct section sections[32];
    (void)corpus;
    uint32_t count = find_sections(in->bytes, in->size, sections, 32);
    if (count == 0)
        return;
    struct section moved = sections[dice_roll(dice, count)];
    size_t size = moved.end - moved.start;
    uint8_t *copy = malloc(size);
    if (!copy)
        return;
    memcpy(copy, in->bytes + moved.start, size);
    replace(in, moved.start, size, copy, 0);
    count = find_sections(in->bytes, in->size, sections, 32);
    replace(in, count ? sections[dice_roll(dice, count)].start : 8, 0, copy, size);
    free(copy);
}

static size_t write_leb(uint32_t value, uint8_t ret_bytes[5])
{
    size_t size = 0;
    for (; value > 0x7f; value >>= 7)
        ret_bytes[size++] = (uint8_t)(value | 0x80);
    ret_bytes[size++] = (uint8_t)value;
    return size;
}

/* A section ends early, with the length that says so: what is read in it meets its end. */
static void edit_section_end(struct input *in, const struct corpus *corpus, struct dice *dice)
{
    struct section sections[32];
    uint8_t length[5];
    (void)corpus;
    uint32_t count = find_sections(in->bytes, in->size, sections, 32);
    if (count == 0)
        return;
    struct section cut = sections[dice_roll(dice, count)];
    uint32_t left = dice_roll(dice, (uint32_t)(cut.end - cut.body));
    replace(in, cut.body + left, cut.end - cut.body - left, in->bytes, 0);
    replace(in, cut.start + 1, cut.body - cut.start - 1, length, write_leb(left, length));
}

static void (*const edits[])(struct input *in, const struct corpus *corpus, struct dice *dice) = {
    edit_bit,    edit_bit,    edit_byte,           edit_byte,          edit_leb,
    edit_remove, edit_splice, edit_section_length, edit_section_order, edit_section_end,
};

uint8_t *mutate_any(const struct corpus *corpus, struct dice *dice, size_t *ret_size)
{
    uint32_t among = dice_roll(dice, 2) && corpus->real ? corpus->real : corpus->count;
    const struct corpus_entry *entry = &corpus->entries[dice_roll(dice, among)];
    struct input in = {malloc(entry->size + 1024), entry->size, entry->size + 1024};
    if (!in.bytes)
        return NULL;
    memcpy(in.bytes, entry->bytes, entry->size);
    for (uint32_t i = 0, count = 1 + dice_roll(dice, 3); i < count; i++)
        edits[dice_roll(dice, sizeof edits / sizeof *edits)](&in, corpus, dice);
    *ret_size = in.size;
    return in.bytes;
}

uint64_t mutate_seed(void)
{
    const char *given = getenv("MUTATE_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL) << 20;
    printf("MUTATE_SEED=%llu\n", (unsigned long long)seed);
    fflush(stdout); /* it must be seen if what follows dies */
    return seed;
}

uint32_t mutate_count(uint32_t share, uint32_t full)
{
    const char *given = getenv("MUTATE_COUNT");
    if (given)
        return (uint32_t)strtoul(given, NULL, 0);
    return getenv("MAYFLY_TEST_FULL") ? full : share;
}

struct mutate_part mutate_part(void)
{
    struct mutate_part part = {1, 1};
    const char *given = getenv("MUTATE_PART");
    if (given && (sscanf(given, "%u/%u", &part.number, &part.of) != 2 || part.number == 0 || part.number > part.of)) {
        fprintf(stderr, "MUTATE_PART=%s is no part\n", given);
        exit(1);
    }
    return part;
}
