/* Generated modules do the same at -O0 and at -O3, and made by the fast generator, alone or with LLVM. Seed N is
 * DIFFER_SEED + N; a module that differs is written to differ-SEED.wasm in the build folder. */
#include "codegen/codegen.h"
#include "runtime/trap.h"
#include "support/differ.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define SEED_BYTES 1500

static uint64_t number(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 0) : otherwise;
}

static void keep(const struct generated *generated, uint64_t seed)
{
    char path[512];
    snprintf(path, sizeof path, "%s/differ-%llu.wasm", BUILD_DIR, (unsigned long long)seed);
    FILE *file = fopen(path, "wb");
    if (!file)
        return;
    fwrite(generated->module.data, 1, generated->module.size, file);
    fclose(file);
    print_message("the module is in %s\n", path);
}

static const struct differ_side sides[] = {
    {"-O0", codegen_llvm, 0, 0},
    {"-O3", codegen_llvm, 3, 0},
    {"fast", codegen_fast, 0, 0},
    {"mixed", codegen_llvm, 2, 7},
};

/* Whether all agree with the first on the module of these bytes; what is wrong goes to `ret_words`. */
static bool agree(const uint8_t *entropy, size_t size, struct differ_outcome *ret_outcome, char ret_words[300])
{
    static struct differ_outcome other;
    struct generated generated;
    struct err err = {0};
    bool same = true;
    generate_module(entropy, size, &generated);
    for (size_t i = 0; same && i < sizeof sides / sizeof *sides; i++) {
        char words[260] = "";
        struct differ_outcome *outcome = i ? &other : ret_outcome;
        same = !generated.module.failed && differ_run(&generated, &sides[i], outcome, &err);
        if (!same)
            snprintf(words, sizeof words, "offset 0x%llx: %.200s", (unsigned long long)err.offset, err.message);
        same = same && (i == 0 || differ_same(ret_outcome, &other, words, sizeof words));
        snprintf(ret_words, 300, "%s: %s", sides[i].name, words);
    }
    generate_free(&generated);
    return same;
}

/* Zero all bytes that can be zero without the difference going away. */
static void shrink(uint8_t *entropy, size_t size)
{
    static struct differ_outcome outcome;
    char words[300];
    for (size_t step = size; step > 0; step /= 4)
        for (size_t at = 0; at + step <= size; at += step) {
            uint8_t saved[SEED_BYTES];
            memcpy(saved, entropy + at, step);
            memset(entropy + at, 0, step);
            if (agree(entropy, size, &outcome, words))
                memcpy(entropy + at, saved, step);
        }
}

static void report(uint8_t *entropy, size_t size, uint64_t seed, const char *words)
{
    struct generated generated;
    static struct differ_outcome outcome;
    char now[300] = "";
    shrink(entropy, size);
    agree(entropy, size, &outcome, now);
    generate_module(entropy, size, &generated);
    keep(&generated, seed);
    generate_free(&generated);
    fail_msg("DIFFER_SEED=%llu: %s; reduced: %s", (unsigned long long)seed, words, now);
}

static void all_agree(void **state)
{
    (void)state;
    static struct differ_outcome outcome;
    uint32_t traps[TRAP_COUNT] = {0};
    uint64_t first = number("DIFFER_SEED", 1);
    uint64_t count = number("DIFFER_COUNT", getenv("MAYFLY_TEST_FULL") ? 800 : 200);
    for (uint64_t seed = first; seed < first + count; seed++) {
        uint8_t entropy[SEED_BYTES];
        char words[300] = "";
        differ_bytes(seed, entropy, sizeof entropy);
        if (!agree(entropy, sizeof entropy, &outcome, words))
            report(entropy, sizeof entropy, seed, words);
        for (uint32_t i = 0; i < outcome.one.call_count; i += 2)
            traps[outcome.one.calls[i].trap]++;
    }
    print_message("seeds %llu to %llu; calls that ended with:\n", (unsigned long long)first,
                  (unsigned long long)(first + count - 1));
    for (int i = 0; i < TRAP_COUNT; i++)
        if (traps[i])
            print_message("%6u %s\n", traps[i], i ? trap_text((enum trap)i) : "results");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(all_agree)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
