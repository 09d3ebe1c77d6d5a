/* Files for what functions print (--log-dir): FUNCTION_stdout.txt and FUNCTION_stderr.txt, as Spin names them. They are
 * opened here, because workers open nothing. And whose prints the log has (--follow). */
#include "deploy/deploy_inner.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The folder, and those that it is in. */
static bool make_folder(const char *folder, struct err *err)
{
    char path[PATH_MAX];
    size_t size = strlen(folder);
    if (size >= sizeof path - NAME_MAX)
        return err_set(err, ERR_USAGE, "the path of the folder of logs is too long");
    for (size_t i = 1; i <= size; i++) {
        if (i < size && folder[i] != '/')
            continue;
        memcpy(path, folder, i);
        path[i] = '\0';
        if (mkdir(path, 0755) != 0 && errno != EEXIST)
            return err_errno(err, "cannot make the folder of logs %s", path);
    }
    return true;
}

static bool open_file(struct deploy *deploy, const char *name, const char *stream, int *ret_fd, struct err *err)
{
    char path[PATH_MAX + NAME_MAX];
    snprintf(path, sizeof path, "%s/%s_%s.txt", deploy->options.log_dir, name, stream);
    int anew = deploy->options.truncate_logs ? O_TRUNC : 0;
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | anew, 0640);
    if (fd < 0)
        return err_errno(err, "cannot open the log %s", path);
    deploy->logs[deploy->log_count++] = *ret_fd = fd;
    return true;
}

bool deploy_open_logs(struct deploy *deploy, struct err *err)
{
    uint32_t count = deploy->deployment.function_count;
    const char *folder = deploy->options.log_dir;
    if (!folder || !folder[0])
        return true;
    deploy->logs = ARENA_ARRAY(&deploy->arena, int, 2 * (size_t)count);
    if (!deploy->logs)
        return err_memory(err);
    if (!make_folder(folder, err))
        return false;
    for (uint32_t i = 0; i < count; i++) {
        struct deployed *function = &deploy->functions[i];
        if (!open_file(deploy, function->name, "stdout", &function->config.text_fds[HOST_STDOUT], err) ||
            !open_file(deploy, function->name, "stderr", &function->config.text_fds[HOST_STDERR], err))
            return false;
    }
    return true;
}

static struct deployed *find_function(const struct deploy *deploy, const char *name)
{
    for (uint32_t i = 0; i < deploy->deployment.function_count; i++)
        if (strcmp(deploy->functions[i].name, name) == 0)
            return &deploy->functions[i];
    return NULL;
}

bool deploy_follow(struct deploy *deploy, struct err *err)
{
    const struct given_texts *all = &deploy->options.follow;
    for (uint32_t i = 0; all->count && i < deploy->deployment.function_count; i++)
        deploy->functions[i].config.unlogged = true;
    for (uint32_t i = 0; i < all->count; i++) {
        struct deployed *function = find_function(deploy, all->items[i]);
        if (!function)
            return err_set(err, ERR_USAGE, "--follow: nothing that is served is called \"%s\"", all->items[i]);
        function->config.unlogged = false;
    }
    return true;
}
