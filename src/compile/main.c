/* The compiler child: the only program that links LLVM.
 *
 *     mayfly-compiler [-ON] [--open] [--dump STAGE]   < source > result
 *
 * Descriptor 0 is the source (a file or memfd, mapped), descriptor 1 takes the result: one `struct
 * compile_result`, then the image. It is started by compile/client.c and trusted with nothing: before it reads
 * the source it gives up file systems, new privileges and the power to make large files.
 */
#include "compile/build.h"
#include "compile/jail.h"
#include "compile/result.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static bool parse(int argc, char **argv, struct compile_options *options)
{
    *options = (struct compile_options){.opt_level = 2};
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "-O", 2) == 0 && argv[i][2] >= '0' && argv[i][2] <= '3' && !argv[i][3])
            options->opt_level = argv[i][2] - '0';
        else if (strcmp(argv[i], "--open") == 0)
            options->open = true;
        else if (strcmp(argv[i], "--dump") == 0 && i + 1 < argc)
            options->dump = argv[++i];
        else
            return false;
    }
    return true;
}

static bool write_all(const void *bytes, size_t size)
{
    const char *p = bytes;
    while (size) {
        ssize_t done = write(STDOUT_FILENO, p, size);
        if (done <= 0)
            return false;
        p += done;
        size -= (size_t)done;
    }
    return true;
}

static bool compile(const struct compile_options *options, struct buf *image, struct err *err)
{
    struct stat status;
    if (fstat(STDIN_FILENO, &status) != 0)
        return err_errno(err, "cannot read the source");
    size_t size = (size_t)status.st_size;
    void *source = mmap(NULL, size ? size : 1, PROT_READ, MAP_PRIVATE, STDIN_FILENO, 0);
    if (source == MAP_FAILED)
        return err_errno(err, "cannot map the source");
    return compile_build(source, size, options, codegen_llvm, image, err);
}

/* In the jail LeakSanitizer cannot see the process, and what it would say of that spoils the answer. Without it
 * nobody calls this. */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
    return 1;
}

int main(int argc, char **argv)
{
    struct compile_options options;
    struct compile_result result = {.magic = COMPILE_RESULT_MAGIC};
    struct buf image;
    if (!parse(argc, argv, &options)) {
        fprintf(stderr, "mayfly-compiler is started by mayfly; usage: mayfly-compiler [-O0..3] [--open] "
                        "[--dump ir|opt|asm] < SOURCE > RESULT\n");
        return 2;
    }
    buf_init(&image, (size_t)4 << 30);
    result.done = jail_enter(&result.err) && compile(&options, &image, &result.err);
    bool written = write_all(&result, sizeof result) && (!result.done || write_all(image.data, image.size));
    buf_free(&image);
    return written && result.done ? 0 : 1;
}
