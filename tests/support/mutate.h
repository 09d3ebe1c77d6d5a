/* Hostile inputs from real ones: a corpus of core modules and seeded edits of its members. The same seed makes
 * the same input, whatever came before. */
#ifndef MAYFLY_TESTS_SUPPORT_MUTATE_H
#define MAYFLY_TESTS_SUPPORT_MUTATE_H

#include <stddef.h>
#include <stdint.h>

#define CORPUS_MAX 512u

struct corpus_entry {
    uint8_t *bytes;
    size_t size;
};

struct corpus {
    struct corpus_entry entries[CORPUS_MAX];
    uint32_t count;
    uint32_t real; /* the first entries, of which half of what is mutated is made; 0: all are alike */
};

/* A copy of `bytes` (a core module, or a component whose core modules, those of components in it too, are taken),
 * unless larger than `max`. */
void corpus_add(struct corpus *corpus, const uint8_t *bytes, size_t size, size_t max);
/* The files of `folder` that end in .wasm, every `step`th in the order of their names. Returns how many were read. */
uint32_t corpus_add_folder(struct corpus *corpus, const char *folder, uint32_t step, size_t max);
/* What is in the tree at `root`, and the data beside it where that is (every 31st of the official suite's modules);
 * says so where it is not. Programs and fixtures are `real`, the official suite is not. */
void corpus_fill(struct corpus *corpus, const char *root, size_t max);
void corpus_free(struct corpus *corpus);

struct dice {
    uint64_t state;
};
struct dice dice_of(uint64_t seed);
/* 0 <= result < sides; 0 for no sides. */
uint32_t dice_roll(struct dice *dice, uint32_t sides);

/* An entry of the corpus after a few edits, on the C library's heap. */
uint8_t *mutate_any(const struct corpus *corpus, struct dice *dice, size_t *ret_size);

/* MUTATE_SEED of the environment or a new one, printed; MUTATE_COUNT, else `full` under MAYFLY_TEST_FULL, else `share`.
 */
uint64_t mutate_seed(void);
uint32_t mutate_count(uint32_t share, uint32_t full);

/* MUTATE_PART of the environment, as "2/4": this process has the second of four equal parts of the work, and others
 * the rest. */
struct mutate_part {
    uint32_t number, of;
};
struct mutate_part mutate_part(void);

#endif
