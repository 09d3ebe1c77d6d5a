/* Generated modules run by two code generators (or two levels of one), and what they did compared. */
#ifndef MAYFLY_TESTS_SUPPORT_DIFFER_H
#define MAYFLY_TESTS_SUPPORT_DIFFER_H

#include "compile/build.h"
#include "support/generate.h"

#define DIFFER_RESULTS_MAX GENERATE_PARAMS_MAX

/* What one call did: a trap, or results with their types. */
struct differ_call {
    enum trap trap; /* 0: it returned */
    uint32_t result_count;
    uint8_t types[DIFFER_RESULTS_MAX];
    union cell results[DIFFER_RESULTS_MAX];
};

/* The calls of a module in order, "sum" behind each. */
struct differ_history {
    struct differ_call calls[4 * GENERATE_FUNCS_MAX];
    uint32_t call_count;
};

/* All of them in one instance, also behind a trap; and with a fresh instance behind each trap. */
struct differ_outcome {
    struct differ_history one, fresh;
    bool exact;
};

/* Who makes the code, and how. */
struct differ_side {
    const char *name;
    generator_fn *generate;
    int opt_level; /* above 0, what was stored right before a trap may be missing: docs/architecture.md */
    uint32_t mix_seed;
};

/* Compile, load, instantiate and call. False: the module was not compiled or loaded, which `err` explains. */
bool differ_run(const struct generated *generated, const struct differ_side *side, struct differ_outcome *ret_outcome,
                struct err *err);

/* Whether both did the same; if not, the first difference in words. What an instance does behind a trap is compared
 * only if neither was optimized. A stack overflow on one side is no difference (frames have sizes of their own), and
 * nothing behind it is compared. */
bool differ_same(const struct differ_outcome *a, const struct differ_outcome *b, char *ret_words, size_t size);

/* How many bytes of a result of this type's code mean something; 0: of a reference only whether it is null. */
size_t differ_size(uint8_t type);

/* The bytes of a seed: any number of them, never the same for two seeds. */
void differ_bytes(uint64_t seed, uint8_t *ret_bytes, size_t size);

#endif
