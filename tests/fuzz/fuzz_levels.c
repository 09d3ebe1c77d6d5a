/* Fuzz target: any bytes become a valid module (support/generate.h), which must do the same when it is compiled at -O0
 * and at -O3. Faults of generated code are signals that libFuzzer does not see: the last input is in the file that
 * FUZZ_LAST names. */
#include "fuzz/fuzz.h"
#include "fuzz/last.h"

#include "codegen/codegen.h"
#include "runtime/stack.h"
#include "support/differ.h"

static void run(const struct generated *generated, int level, struct differ_outcome *ret_outcome)
{
    const struct differ_side side = {"LLVM", codegen_llvm, level, 0};
    struct err err = {0};
    if (differ_run(generated, &side, ret_outcome, &err))
        return;
    fprintf(stderr, "-O%d: offset 0x%llx: %s\n", level, (unsigned long long)err.offset, err.message);
    abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct differ_outcome low, high;
    struct generated generated;
    char words[300];
    last_keep(data, size);
    generate_module(data, size, &generated);
    if (!generated.module.failed) {
        run(&generated, 0, &low);
        run(&generated, 3, &high);
        if (!differ_same(&low, &high, words, sizeof words)) {
            fprintf(stderr, "%s\n", words);
            abort();
        }
    }
    generate_free(&generated);
    stack_drain();
    return 0;
}
