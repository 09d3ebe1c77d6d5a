/* mayfly compile: the image of a module or component, in a file. */
#include "cli/cli.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "image/format.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEXT_MAX 65536u
#define ASIDE_MAX (PATH_MAX + 16)

/* Either a new file beside `path`, whose name `aside` then is, or `path` itself: a device, a link, or a file in a
 * folder that takes no other. */
static int open_output(const char *path, char aside[ASIDE_MAX])
{
    struct stat old;
    bool exists = lstat(path, &old) == 0;
    snprintf(aside, ASIDE_MAX, "%s.%d", path, (int)getpid());
    int fd = !exists || (S_ISREG(old.st_mode) && access(path, W_OK) == 0)
                 ? open(aside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644)
                 : -1;
    if (fd >= 0 && exists)
        fchmod(fd, old.st_mode & 0777);
    if (fd >= 0)
        return fd;
    aside[0] = '\0';
    return open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
}

/* An image that has no digest gets it here. */
static bool copy(int image_fd, bool undigested, int fd)
{
    struct stat status;
    struct image_header header;
    if (fstat(image_fd, &status) != 0)
        return false;
    size_t size = (size_t)status.st_size;
    uint8_t *bytes = mmap(NULL, size, PROT_READ, MAP_PRIVATE, image_fd, 0);
    if (bytes == MAP_FAILED)
        return false;
    memcpy(&header, bytes, sizeof header);
    if (undigested)
        image_digest(bytes, size, header.digest);
    bool done = file_write(fd, &header, sizeof header) && file_write(fd, bytes + sizeof header, size - sizeof header);
    munmap(bytes, size);
    return done;
}

/* What stands there is whole at any time, and whoever runs the old image keeps it. */
static bool write_file(int image_fd, bool undigested, const char *path, struct err *err)
{
    char aside[ASIDE_MAX];
    int fd = open_output(path, aside);
    bool done = fd >= 0 && copy(image_fd, undigested, fd);
    if (!done)
        err_errno(err, "cannot write %s", path);
    if (fd >= 0 && close(fd) != 0 && done)
        done = err_errno(err, "cannot write %s", path);
    if (done && aside[0] && rename(aside, path) != 0)
        done = err_errno(err, "cannot write %s", path);
    if (!done && fd >= 0 && aside[0])
        unlink(aside);
    return done;
}

static bool name_output(const struct cli_options *options, char path[PATH_MAX], struct err *err)
{
    struct stat input, output;
    int size = snprintf(path, PATH_MAX, "%s%s", options->output ? options->output : options->file,
                        options->output ? "" : ".image");
    if (size >= PATH_MAX)
        return err_set(err, ERR_LIMIT, "the name of the image is longer than %d bytes", PATH_MAX - 1);
    if (stat(options->file, &input) != 0 || stat(path, &output) != 0 || input.st_dev != output.st_dev ||
        input.st_ino != output.st_ino)
        return true;
    err_set(err, ERR_USAGE, "the image would replace the file that it is made from");
    return err_remedy(err, "name another file with -o");
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
    json_string(&json, "tier", outcome->tier == TIER_FAST ? STR("fast") : STR("best"));
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
    struct compile_options compile;
    struct compile_outcome outcome;
    struct err err = {0};
    char path[PATH_MAX];
    uint64_t start = clock_now_ns();
    if (cli_compile_options("compile", options, TIER_BEST, &compile) != CLI_DONE)
        return CLI_USAGE;
    compile.undigested = compile.tier == TIER_FAST; /* and not kept: making it again takes hardly longer */
    int image_fd = name_output(options, path, &err) ? cli_open(options->file, NULL, &compile, &outcome, &err) : -1;
    bool done = image_fd >= 0 && write_file(image_fd, outcome.undigested, path, &err);
    if (image_fd >= 0)
        close(image_fd);
    if (!done)
        err_print(&err, options->file);
    else if (options->json)
        return print_json(path, &outcome, (clock_now_ns() - start) / 1000000);
    return done ? CLI_DONE : CLI_FAILED;
}
