/* What generated modules do when the fast generator made them, as one line per seed: digests FIRST COUNT. Every
 * architecture must print the same lines: run.sh compares. Each seed has a process of its own, because qemu keeps what
 * it noted of the pages of a slot. */
#include "codegen/codegen.h"
#include "runtime/stack.h"
#include "support/differ.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SEED_BYTES 1500

static void digest_bytes(uint64_t *sum, const void *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        *sum = (*sum ^ ((const uint8_t *)bytes)[i]) * 0x100000001b3u;
}

static void digest_call(uint64_t *sum, const struct differ_call *call)
{
    uint32_t trap = call->trap;
    digest_bytes(sum, &trap, sizeof trap);
    for (uint32_t i = 0; i < call->result_count; i++) {
        const union cell *result = &call->results[i];
        size_t size = differ_size(call->types[i]);
        uint8_t null = result->u64 == 0;
        digest_bytes(sum, size ? (const void *)result : &null, size ? size : 1);
    }
}

/* Up to a stack overflow: frames have sizes of their own. */
static uint64_t digest(const struct differ_history *history)
{
    uint64_t sum = 0xcbf29ce484222325u;
    for (uint32_t i = 0; i < history->call_count && history->calls[i].trap != TRAP_STACK_OVERFLOW; i++)
        digest_call(&sum, &history->calls[i]);
    return sum;
}

static int run(uint64_t seed)
{
    static struct differ_outcome outcome;
    static const struct differ_side fast = {"fast", codegen_fast, 0, 0};
    uint8_t entropy[SEED_BYTES];
    struct generated generated;
    struct err err = {0};
    differ_bytes(seed, entropy, sizeof entropy);
    generate_module(entropy, sizeof entropy, &generated);
    if (!differ_run(&generated, &fast, &outcome, &err)) {
        fprintf(stderr, "seed %" PRIu64 ": %s\n", seed, err.message);
        return 1;
    }
    printf("%" PRIu64 " %016" PRIx64 " %016" PRIx64 "\n", seed, digest(&outcome.one), digest(&outcome.fresh));
    generate_free(&generated);
    stack_drain();
    return fflush(stdout) != 0;
}

int main(int count, char **words)
{
    uint64_t first = count > 1 ? strtoull(words[1], NULL, 0) : 1, seeds = count > 2 ? strtoull(words[2], NULL, 0) : 100;
    for (uint64_t seed = first; seed < first + seeds; seed++) {
        int status = 0;
        pid_t child = fork();
        if (child == 0)
            _exit(run(seed));
        if (child < 0 || waitpid(child, &status, 0) != child || status != 0) {
            fprintf(stderr, "seed %" PRIu64 " failed\n", seed);
            return 1;
        }
    }
    return 0;
}
