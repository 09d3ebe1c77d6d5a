/* Running the commands of one file in the format of the conformance data (json-from-wast). */
#ifndef MAYFLY_TESTS_WAST_SCRIPT_H
#define MAYFLY_TESTS_WAST_SCRIPT_H

#include "codegen/codegen.h"

/* Assertions count when they pass or fail; what is not an assertion counts when it fails. Kept in memory that
 * survives the process that runs the file. */
struct tally {
    unsigned assertions; /* in the file */
    unsigned passed, failed;
};

struct script_options {
    enum codegen_tier tier;
    int opt_level;
    uint32_t mix_seed;
    bool verbose;
};

/* The number of assertions in the file at `path`, or -1 when it cannot be read. */
int script_count(const char *path);
/* Run it, print one line per failure (verbose: per command). */
void script_run(const char *path, const struct script_options *options, struct tally *tally);

#endif
