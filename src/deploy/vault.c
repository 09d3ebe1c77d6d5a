/* The process that asks a Vault, and the pipe from it (see vault.h). A record for each secret, in their order, or one
 * that says what is wrong and is the last. */
#include "deploy/vault.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "wasi/message.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define TOTAL_MS UINT64_C(60000) /* for all secrets */
#define RECORDS_MAX ((size_t)16 << 20)
#define VALUE_MAX ((size_t)65536)

enum record_kind { RECORD_VALUE, RECORD_NONE, RECORD_FAILED };

struct record {
    uint32_t kind, size; /* bytes that follow: of a value, or of a struct err */
};

/* ---- the process ---- */

static bool send_record(int pipe, enum record_kind kind, const void *bytes, size_t size)
{
    const struct record record = {kind, (uint32_t)size};
    return file_write(pipe, &record, sizeof record) && file_write(pipe, bytes, size);
}

static bool ask_one(struct vault_client *client, struct str name, int pipe, struct err *err)
{
    struct str value;
    if (!vault_ask(client, name, &value, err))
        return false;
    if (value.len > VALUE_MAX)
        return err_set(err, ERR_LIMIT, "Vault's secret \"%.*s\" has more than %zu bytes", STR_ARG(name), VALUE_MAX);
    return send_record(pipe, value.ptr ? RECORD_VALUE : RECORD_NONE, value.ptr, value.len) || err_errno(err, "write");
}

static _Noreturn void be_asker(const struct runtime_provider *provider, const struct vault_server *server,
                               const struct vault_secret *secrets, uint32_t count, int pipe, pid_t parent)
{
    struct err err = {0};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_DUMPABLE, 0);
    if (getppid() != parent || dup2(pipe, STDERR_FILENO + 1) < 0)
        _exit(1);
    pipe = STDERR_FILENO + 1;
    close_range(STDERR_FILENO + 2, ~0u, 0);
    struct vault_client *client = vault_client_new(provider, server, &err);
    bool done = client != NULL;
    for (uint32_t i = 0; done && i < count; i++)
        done = ask_one(client, secrets[i].name, pipe, &err);
    if (!done)
        send_record(pipe, RECORD_FAILED, &err, sizeof err);
    vault_client_free(client);
    _exit(done ? 0 : 1);
}

/* ---- what it says ---- */

static bool late(struct err *err)
{
    err_set(err, ERR_LIMIT, "Vault has not answered within %u seconds", (unsigned)(TOTAL_MS / 1000));
    return err_remedy(err, "see whether its url is right and it is unsealed");
}

/* All of it, up to the end. */
static bool receive(int pipe, struct buf *records, struct err *err)
{
    uint64_t end_ms = clock_now_ns() / 1000000 + TOTAL_MS, now_ms;
    struct pollfd wait = {.fd = pipe, .events = POLLIN};
    char bytes[4096];
    bool done = true, open = true;
    while (done && open && (now_ms = clock_now_ns() / 1000000) < end_ms) {
        if (poll(&wait, 1, (int)(end_ms - now_ms)) <= 0)
            continue;
        ssize_t size = read(pipe, bytes, sizeof bytes);
        open = size != 0;
        if (size < 0 && errno != EINTR)
            done = err_errno(err, "read");
        else if (size > 0 && !buf_append(records, bytes, (size_t)size))
            done = err_set(err, ERR_LIMIT, "Vault's secrets have more than %zu bytes together, or there is no memory",
                           RECORDS_MAX);
    }
    explicit_bzero(bytes, sizeof bytes);
    return done && (!open || late(err));
}

static bool cut_short(struct err *err)
{
    return err_set(err, ERR_SYSTEM, "the process that asks Vault ended early");
}

/* The next record's bytes, taken off `*left`. */
static bool next(struct str *left, struct record *ret, struct str *ret_bytes)
{
    if (left->len < sizeof *ret)
        return false;
    memcpy(ret, left->ptr, sizeof *ret);
    if (ret->size > left->len - sizeof *ret)
        return false;
    *ret_bytes = str_slice(*left, sizeof *ret, sizeof *ret + ret->size);
    *left = str_slice(*left, sizeof *ret + ret->size, left->len);
    return true;
}

/* As it came, but for its ends. */
static bool pass_on(struct str bytes, struct err *err)
{
    struct err inner;
    if (bytes.len != sizeof inner)
        return cut_short(err);
    memcpy(&inner, bytes.ptr, sizeof inner);
    inner.message[sizeof inner.message - 1] = inner.remedy[sizeof inner.remedy - 1] = '\0';
    err_set(err, inner.kind == ERR_NONE ? ERR_SYSTEM : inner.kind, "%s", inner.message);
    return err_remedy(err, "%s", inner.remedy);
}

static bool understand(struct str records, struct vault_secret *secrets, uint32_t count, struct arena *arena,
                       struct err *err)
{
    struct record record;
    struct str bytes;
    for (uint32_t i = 0; i < count; i++) {
        if (!next(&records, &record, &bytes))
            return cut_short(err);
        if (record.kind == RECORD_FAILED)
            return pass_on(bytes, err);
        if (record.kind == RECORD_NONE)
            continue;
        const char *copy = arena_copy(arena, bytes.len ? bytes.ptr : "", bytes.len + !bytes.len);
        if (!copy)
            return err_memory(err);
        secrets[i].value = (struct str){copy, bytes.len};
    }
    return true;
}

/* ---- */

static bool start(const struct runtime_provider *provider, const struct vault_server *server,
                  const struct vault_secret *secrets, uint32_t count, int *ret_pipe, pid_t *ret_pid, struct err *err)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return err_errno(err, "pipe");
    pid_t parent = getpid(), pid = fork();
    if (pid == 0)
        be_asker(provider, server, secrets, count, ends[1], parent);
    close(ends[1]);
    if (pid < 0) {
        err_errno(err, "fork");
        close(ends[0]);
        return false;
    }
    *ret_pipe = ends[0];
    *ret_pid = pid;
    return true;
}

static bool check_token(const struct runtime_provider *provider, struct err *err)
{
    if (provider->token.text.len && http_is_value(provider->token.text))
        return true;
    err_set(err, ERR_INVALID, "the token of Vault is empty, or has bytes that no token has");
    return err_remedy(err, "write it without line ends");
}

bool vault_read(const struct runtime_provider *provider, struct vault_secret *secrets, uint32_t count,
                struct arena *arena, struct err *err)
{
    struct vault_server server;
    struct buf records;
    int pipe = -1;
    pid_t pid = -1;
    if (!vault_parse(provider->url.text, &server, err) || !check_token(provider, err) ||
        !start(provider, &server, secrets, count, &pipe, &pid, err))
        return false;
    buf_init(&records, RECORDS_MAX);
    bool done = receive(pipe, &records, err) &&
                understand((struct str){(const char *)records.data, records.size}, secrets, count, arena, err);
    close(pipe);
    kill(pid, SIGKILL); /* it may still wait for Vault */
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    if (records.data)
        explicit_bzero(records.data, records.size);
    buf_free(&records);
    return done;
}
