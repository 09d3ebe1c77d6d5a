/* A certificate and its key on their way: from files into a sealed file in memory, over a channel, and into a context
 * where no file can be opened any more. */
#include "node/certificate.h"

#include "http/tls.h"
#include "node/channel.h"
#include "node/sandbox.h"
#include "support/confined.h"
#include "support/identity.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static char folder[] = "/tmp/mayfly-certificate-XXXXXX";
static char certificate_path[64], key_path[64];
static const struct certificate_files files = {certificate_path, key_path};

static void put(const char *path, const char *bytes, size_t size)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static void put_both(const char *certificate, const char *key)
{
    put(certificate_path, certificate, strlen(certificate));
    put(key_path, key, strlen(key));
}

static int gather(uint32_t *ret_size)
{
    struct err err = {0};
    int fd = certificate_gather(&files, ret_size, &err);
    assert_true(fd >= 0);
    return fd;
}

static void test_gather(void **state)
{
    char bytes[16];
    uint32_t size = 0;
    put_both("certificate", "key");
    int fd = gather(&size);
    assert_int_equal(size, 11);
    assert_int_equal(pread(fd, bytes, sizeof bytes, 0), 14);
    assert_memory_equal(bytes, "certificatekey", 14);
    assert_int_equal(fcntl(fd, F_GET_SEALS), F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(pwrite(fd, "x", 1, 0), -1);
    close(fd);
}

/* The largest that fits, and one byte more, of either. */
static void test_bounds(void **state)
{
    static char bytes[CERTIFICATE_FILE_MAX + 1];
    uint32_t size = 7;
    for (unsigned i = 0; i < 2; i++) {
        const char *path = i ? key_path : certificate_path;
        struct err err = {0};
        struct stat status;
        put_both("", "");
        put(path, bytes, CERTIFICATE_FILE_MAX);
        int fd = gather(&size);
        assert_int_equal(size, i ? 0 : CERTIFICATE_FILE_MAX);
        assert_int_equal(fstat(fd, &status), 0);
        assert_int_equal(status.st_size, CERTIFICATE_FILE_MAX);
        close(fd);
        put(path, bytes, CERTIFICATE_FILE_MAX + 1);
        size = 7;
        assert_int_equal(certificate_gather(&files, &size, &err), -1);
        assert_int_equal(size, 7);
        assert_int_equal(err.kind, ERR_LIMIT);
        assert_non_null(strstr(err.message, path));
    }
}

static void test_unreadable(void **state)
{
    uint32_t size;
    for (unsigned i = 0; i < 3; i++) {
        struct err err = {0};
        struct certificate_files missing = files;
        put_both(IDENTITY_OWN, IDENTITY_KEY);
        if (i == 0)
            missing.certificate = "/nowhere/it.pem";
        else
            missing.key = i == 1 ? "/nowhere/it.pem" : folder;
        assert_int_equal(certificate_gather(&missing, &size, &err), -1);
        assert_int_equal(err.kind, ERR_SYSTEM);
        assert_non_null(strstr(err.message, i == 2 ? folder : "/nowhere/it.pem: No such file"));
        assert_true(err.remedy[0]);
    }
}

/* What no process of ours sends does no harm. */
static void test_unsound(void **state)
{
    uint32_t size = 0;
    struct err err = {0};
    put_both("", "");
    int fd = gather(&size);
    assert_null(certificate_context(&files, fd, 0, &err));
    assert_int_equal(err.kind, ERR_MALFORMED);
    close(fd);
    put_both(IDENTITY_OWN, IDENTITY_KEY);
    fd = gather(&size);
    static const uint32_t sizes[] = {0, 1, UINT32_MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        err = (struct err){0};
        assert_null(certificate_context(&files, fd, sizes[i], &err));
        assert_int_equal(err.kind, ERR_MALFORMED);
    }
    err = (struct err){0};
    assert_null(certificate_context(&files, fd, (uint32_t)(strlen(IDENTITY_OWN) + strlen(IDENTITY_KEY) + 1), &err));
    assert_int_equal(err.kind, ERR_MALFORMED);
    close(fd);
    int pipe_ends[2];
    assert_int_equal(pipe(pipe_ends), 0);
    err = (struct err){0};
    assert_null(certificate_context(&files, pipe_ends[0], 0, &err));
    assert_int_equal(err.kind, ERR_MALFORMED);
    close(pipe_ends[0]);
    close(pipe_ends[1]);
}

/* ---- in a worker's sandbox ---- */

struct gathered {
    int fd;
    uint32_t size;
};

/* A worker has a context already when it enters. */
static bool confine(void *arg)
{
    static const struct deployed function;
    static const struct deployment deployment = {.functions = &function, .function_count = 1};
    static const struct sandbox_options options = {.mode = SANDBOX_ON};
    struct err err = {0};
    const struct gathered *first = arg;
    struct tls_context *context = certificate_context(&files, first->fd, first->size, &err);
    tls_context_free(context);
    return context && sandbox_enter(&options, &deployment, &err);
}

static int make_context(void *arg)
{
    struct err err = {0};
    const struct gathered *gathered = arg;
    if (errno_of(unlink(files.key)) == 0)
        return ODD;
    struct tls_context *context = certificate_context(&files, gathered->fd, gathered->size, &err);
    if (!context)
        fprintf(stderr, "%s\n", err.message);
    tls_context_free(context);
    return context ? 0 : ODD;
}

static void test_confined(void **state)
{
    struct gathered gathered;
    put_both(IDENTITY_OWN IDENTITY_ISSUER, IDENTITY_KEY);
    gathered.fd = gather(&gathered.size);
    assert_int_equal(outcome_of(confine, &gathered, make_context, &gathered), 0);
    close(gathered.fd);
}

/* ---- the process ---- */

/* What it sends; its exit status is that of a process which could do it, or not. */
static enum packet_got work(struct message *ret_message, int *ret_fd, int status)
{
    struct err err = {0};
    int ends[2], ended = -1;
    assert_true(channel_open(ends, &err));
    pid_t pid = fork();
    if (pid == 0)
        _exit(certificate_work(&files, ends[1]));
    close(ends[1]);
    assert_int_equal(waitpid(pid, &ended, 0), pid);
    assert_true(WIFEXITED(ended));
    assert_int_equal(WEXITSTATUS(ended), status);
    enum packet_got got = channel_receive(ends[0], ret_message, ret_fd);
    close(ends[0]);
    return got;
}

static void test_work(void **state)
{
    struct message message;
    struct err err = {0};
    int fd = -1;
    put_both(IDENTITY_OWN, IDENTITY_KEY);
    assert_int_equal(work(&message, &fd, 0), PACKET_HERE);
    assert_int_equal(message.kind, MESSAGE_CERTIFICATE);
    assert_int_equal(message.number, strlen(IDENTITY_OWN));
    struct tls_context *context = certificate_context(&files, fd, message.number, &err);
    assert_non_null(context);
    tls_context_free(context);
    close(fd);
    put_both(IDENTITY_OWN, IDENTITY_OTHER_KEY);
    assert_int_equal(work(&message, &fd, 1), PACKET_HERE);
    assert_int_equal(message.kind, MESSAGE_FAILED);
    assert_int_equal(fd, -1);
    assert_non_null(strstr(message.err.message, key_path));
    unlink(key_path);
    assert_int_equal(work(&message, &fd, 1), PACKET_HERE);
    assert_int_equal(message.kind, MESSAGE_FAILED);
    assert_non_null(strstr(message.err.message, "No such file"));
}

static int make_folder(void **state)
{
    if (!mkdtemp(folder))
        return -1;
    snprintf(certificate_path, sizeof certificate_path, "%s/cert.pem", folder);
    snprintf(key_path, sizeof key_path, "%s/key.pem", folder);
    return 0;
}

static int remove_folder(void **state)
{
    unlink(certificate_path);
    unlink(key_path);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gather),  cmocka_unit_test(test_bounds),   cmocka_unit_test(test_unreadable),
        cmocka_unit_test(test_unsound), cmocka_unit_test(test_confined), cmocka_unit_test(test_work),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
