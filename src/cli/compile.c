/* mayfly compile: the image of a module or component, in a file. */
#include "cli/cli.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static bool write_file(int image_fd, const char *path, struct err *err)
{
    struct stat status;
    if (fstat(image_fd, &status) != 0)
        return err_errno(err, "cannot read the image");
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        return err_errno(err, "cannot write %s", path);
    void *bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, image_fd, 0);
    bool done = bytes != MAP_FAILED && write(fd, bytes, (size_t)status.st_size) == status.st_size;
    if (!done)
        err_errno(err, "cannot write %s", path);
    if (bytes != MAP_FAILED)
        munmap(bytes, (size_t)status.st_size);
    if (close(fd) != 0 && done)
        done = err_errno(err, "cannot write %s", path);
    return done;
}

int cli_compile(const struct cli_options *options)
{
    const struct compile_options compile = cli_compile_options(options);
    struct err err = {0};
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s%s", options->output ? options->output : options->file,
             options->output ? "" : ".image");
    int image_fd = compile_open(options->file, &compile, NULL, &err);
    bool done = image_fd >= 0 && write_file(image_fd, path, &err);
    if (image_fd >= 0)
        close(image_fd);
    if (!done)
        err_print(&err, options->file);
    return done ? 0 : CLI_FAILED;
}
