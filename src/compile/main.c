/* The compiler child: the only program that links LLVM.
 *
 *     mayfly-compiler [--dump STAGE]   descriptor 0: compile/job.h
 *
 * It is started by compile/child.c and trusted with nothing: before it reads a source it gives up file systems, new
 * privileges and core dumps.
 */
#include "compile/serve.h"

#include <stdio.h>
#include <string.h>

/* In the jail LeakSanitizer cannot see the process, and what it would say of that spoils the answer. Without it
 * nobody calls this. */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
    return 1;
}

int main(int argc, char **argv)
{
    const char *dump = argc == 3 && strcmp(argv[1], "--dump") == 0 ? argv[2] : NULL;
    if (argc > 1 && !dump) {
        fprintf(stderr, "mayfly-compiler is started by mayfly\n");
        return 2;
    }
    return compile_serve(codegen_llvm, dump);
}
