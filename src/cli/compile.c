/* mayfly compile: the image of a module or component, in a file. */
#include "cli/cli.h"

#include "base/json.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define TEXT_MAX 65536u

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

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* As JSON: what was compiled and how long that took. */
static int print_json(const char *path, const struct compile_outcome *outcome, uint64_t milliseconds)
{
    struct buf text;
    buf_init(&text, TEXT_MAX);
    struct json json = {.out = &text};
    json_object(&json, NULL);
    json_number(&json, "schema", 1);
    json_string(&json, "image", str_of(path));
    json_bool(&json, "cached", outcome->cached);
    json_number(&json, "functions_compiled", outcome->counts.made);
    json_number(&json, "functions_kept", outcome->counts.kept);
    json_number(&json, "source_bytes", outcome->source_bytes);
    json_number(&json, "image_bytes", outcome->image_bytes);
    json_number(&json, "milliseconds", milliseconds);
    json_end(&json);
    int code = cli_print_buf(&text);
    buf_free(&text);
    return code;
}

int cli_compile(const struct cli_options *options)
{
    const struct compile_options compile = cli_compile_options(options);
    struct compile_outcome outcome;
    struct err err = {0};
    char path[PATH_MAX];
    uint64_t start = now_ms();
    snprintf(path, sizeof path, "%s%s", options->output ? options->output : options->file,
             options->output ? "" : ".image");
    int image_fd = cli_open(options->file, &compile, &outcome, &err);
    bool done = image_fd >= 0 && write_file(image_fd, path, &err);
    if (image_fd >= 0)
        close(image_fd);
    if (!done)
        err_print(&err, options->file);
    else if (options->json)
        return print_json(path, &outcome, now_ms() - start);
    return done ? CLI_DONE : CLI_FAILED;
}
