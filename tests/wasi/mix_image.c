/* An image whose functions both generators made, by chance: run-wasi --mix.
 *
 *     mix-image SEED FILE IMAGE
 */
#include "compile/client.h"

#include "base/file.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static bool copy(int from, const char *path)
{
    struct stat status;
    int to = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (to < 0 || fstat(from, &status) != 0)
        return false;
    void *bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, from, 0);
    return bytes != MAP_FAILED && file_write(to, bytes, (size_t)status.st_size) && close(to) == 0;
}

int main(int argc, char **argv)
{
    struct err err = {0};
    if (argc != 4)
        return fprintf(stderr, "mix-image SEED FILE IMAGE\n"), 2;
    const struct compile_options options = {
        .tier = TIER_MIXED, .mix_seed = (uint32_t)strtoul(argv[1], NULL, 0), .opt_level = 1};
    int source = open(argv[2], O_RDONLY | O_CLOEXEC);
    int image = source >= 0 ? compile_run(source, &options, &err) : (err_errno(&err, "cannot open it"), -1);
    if (image >= 0 && copy(image, argv[3]))
        return 0;
    if (image >= 0)
        err_errno(&err, "cannot write %s", argv[3]);
    err_print(&err, argv[2]);
    return 1;
}
