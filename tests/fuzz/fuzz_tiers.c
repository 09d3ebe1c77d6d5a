/* Fuzz target: any bytes become a valid module (support/generate.h), which must do the same whichever generator made
 * its code: LLVM, the fast one, or both by chance. What LLVM does at other levels is fuzz_levels's. Faults of generated
 * code are signals that libFuzzer does not see: the last input is in the file that FUZZ_LAST names. */
#include "fuzz/fuzz.h"
#include "fuzz/last.h"

#include "codegen/codegen.h"
#include "runtime/stack.h"
#include "support/differ.h"

static void run(const struct generated *generated, const struct differ_side *side, struct differ_outcome *ret_outcome)
{
    struct err err = {0};
    if (differ_run(generated, side, ret_outcome, &err))
        return;
    fprintf(stderr, "%s: offset 0x%llx: %s\n", side->name, (unsigned long long)err.offset, err.message);
    abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct differ_outcome best, other;
    const struct differ_side llvm = {"LLVM", codegen_llvm, 0, 0};
    const struct differ_side others[] = {{"fast", codegen_fast, 0, 0}, {"mixed", codegen_llvm, 1, 1}};
    struct generated generated;
    char words[300];
    last_keep(data, size);
    generate_module(data, size, &generated);
    if (!generated.module.failed) {
        run(&generated, &llvm, &best);
        for (unsigned i = 0; i < sizeof others / sizeof *others; i++) {
            run(&generated, &others[i], &other);
            if (!differ_same(&best, &other, words, sizeof words)) {
                fprintf(stderr, "LLVM and %s: %s\n", others[i].name, words);
                abort();
            }
        }
    }
    generate_free(&generated);
    stack_drain();
    return 0;
}
