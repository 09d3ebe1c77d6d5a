/* What is put into a store and a database before anything is served (deploy_fill_storage in deploy.h): by a process of
 * its own, which reaches them as `mayfly run` does, through a service process. So the supervisor never has SQLite. */
#include "deploy/deploy_inner.h"

#include "base/file.h"
#include "services/database.h"
#include "services/sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define LABEL STR("default")
#define FILE_MAX ((size_t)16 << 20)

struct filling {
    struct node_storage *storage;
    const char *name_servers;
    struct io_loop *loop;
    struct arena *arena;
    struct err *err;
    int64_t session; /* the last one's number */
};

/* ---- a call ---- */

static void changed(struct storage_call *call)
{
    io_stop(((struct filling *)call->owner)->loop);
}

static bool say_status(const struct storage_call *call, struct err *err)
{
    if (call->message.len)
        return err_set(err, ERR_SYSTEM, "%.*s", STR_ARG(call->message));
    return err_set(err, ERR_SYSTEM, call->status == STORAGE_FULL ? "it is full" : "it cannot be opened");
}

static bool ask(struct filling *filling, enum storage_kind kind, struct str label, enum storage_operation operation,
                const struct storage_value *values, size_t count)
{
    const struct storage_request request = {.kind = kind,
                                            .label = label,
                                            .operation = operation,
                                            .values = values,
                                            .count = count,
                                            .changed = changed,
                                            .owner = filling};
    struct storage_call *call = storage_client_face.begin(filling->storage->client, &request);
    bool done = call || err_memory(filling->err);
    while (done && call->status == STORAGE_WAITING && operation != STORAGE_SESSION_END)
        done = io_run(filling->loop, filling->err);
    if (done && call->status != STORAGE_DONE && operation != STORAGE_SESSION_END)
        done = say_status(call, filling->err);
    if (call)
        storage_client_face.drop(call);
    return done;
}

/* ---- keys ---- */

static bool set_key(struct filling *filling, const char *text)
{
    struct str whole = str_of(text);
    size_t equals = str_find(whole, '=');
    if (equals == whole.len) {
        err_set(filling->err, ERR_USAGE, "--key-value: there is no value");
        return err_remedy(filling->err, "write NAME=VALUE");
    }
    struct str name = str_slice(whole, 0, equals);
    const struct storage_value values[] = {storage_text(name), storage_blob(str_slice(whole, equals + 1, whole.len))};
    if (!utf8_valid(name.ptr, name.len))
        return err_set(filling->err, ERR_USAGE, "--key-value: a key that is no UTF-8");
    return ask(filling, STORAGE_STORE, LABEL, STORAGE_SET, values, 2) ||
           err_within(filling->err, "--key-value %.*s", (int)(name.len < 64 ? name.len : 64), name.ptr);
}

/* ---- statements ---- */

static bool execute(struct filling *filling, struct str label, struct str statement)
{
    const struct storage_value values[] = {storage_integer(filling->session), storage_text(statement)};
    if (!utf8_valid(statement.ptr, statement.len))
        return err_set(filling->err, ERR_INVALID, "it is no UTF-8");
    return ask(filling, STORAGE_DATABASE, label, STORAGE_EXECUTE, values, 2);
}

static uint32_t count_lines(const char *from, const char *to)
{
    uint32_t count = 0;
    for (; from < to; from++)
        count += *from == '\n';
    return count;
}

static const char *skip_blanks(const char *at)
{
    return at + strspn(at, " \t\r\n");
}

/* Behind the statement that begins at `from`: where SQLite says that it is complete, or the end. */
static char *statement_end(char *from)
{
    for (char *at = from; (at = strchr(at, ';')) != NULL;) {
        char behind = *++at;
        *at = '\0';
        bool complete = sqlite.complete(from) != 0;
        *at = behind;
        if (complete || at - from > DATABASE_STATEMENT_MAX)
            return at;
    }
    return from + strlen(from);
}

/* One after the other, in one session, up to the first that fails. `text` is as it was afterwards. */
static bool execute_all(struct filling *filling, struct str label, char *text)
{
    const struct storage_value number = storage_integer(++filling->session);
    bool done = ask(filling, STORAGE_DATABASE, label, STORAGE_SESSION, &number, 1);
    for (char *from = text, *end; done && *skip_blanks(from); from = end) {
        end = statement_end(from);
        done = execute(filling, label, (struct str){from, (size_t)(end - from)}) ||
               err_within(filling->err, "line %u", 1 + count_lines(text, skip_blanks(from)));
    }
    return ask(filling, STORAGE_DATABASE, label, STORAGE_SESSION_END, &number, 1) && done;
}

static bool execute_file(struct filling *filling, struct str label, const char *path)
{
    struct buf text;
    buf_init(&text, FILE_MAX);
    bool done = file_read(path, &text, filling->err) && (buf_append(&text, "", 1) || err_memory(filling->err));
    if (done && strlen((char *)text.data) + 1 != text.size)
        done = err_set(filling->err, ERR_INVALID, "there is a zero byte in it");
    done = done && execute_all(filling, label, (char *)text.data);
    buf_free(&text);
    return done || err_within(filling->err, "--sqlite @%s", path);
}

/* @FILE[:LABEL] */
static struct str label_of(const char *text)
{
    struct str whole = str_of(text);
    size_t colon = str_find(whole, ':');
    return text[0] == '@' && colon < whole.len ? str_slice(whole, colon + 1, whole.len) : LABEL;
}

static bool run_statements(struct filling *filling, const char *text)
{
    struct str label = label_of(text);
    size_t size = text[0] == '@' ? strcspn(text, ":") : strlen(text);
    char *copy = arena_alloc(filling->arena, size + 1);
    if (!copy)
        return err_memory(filling->err);
    memcpy(copy, text, size);
    copy[size] = '\0';
    if (copy[0] == '@')
        return execute_file(filling, label, copy + 1);
    return execute_all(filling, label, copy) || err_within(filling->err, "--sqlite");
}

/* ---- the process ---- */

static bool reach(struct filling *filling)
{
    filling->loop = io_loop_new(filling->err);
    return filling->loop && node_storage_open(filling->storage, 1, filling->name_servers, filling->err) &&
           node_storage_start(filling->storage, filling->err) &&
           node_storage_join(filling->storage, 0, filling->loop, filling->err);
}

static bool fill(struct filling *filling, const struct given_texts *keys, const struct given_texts *statements)
{
    bool done = reach(filling);
    for (uint32_t i = 0; done && i < statements->count; i++)
        done = run_statements(filling, statements->items[i]);
    for (uint32_t i = 0; done && i < keys->count; i++)
        done = set_key(filling, keys->items[i]);
    node_storage_leave(filling->storage);
    node_storage_close(filling->storage);
    io_loop_free(filling->loop);
    return done;
}

static _Noreturn void be_filler(struct deploy *deploy, const struct given_texts *keys,
                                const struct given_texts *statements, int pipe, pid_t parent)
{
    struct err err = {0};
    struct filling filling = {
        .storage = &deploy->given.storage, .name_servers = deploy->given.dns, .arena = &deploy->arena, .err = &err};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    bool done = getppid() == parent && fill(&filling, keys, statements);
    if (!done)
        file_write(pipe, &err, sizeof err);
    _exit(done ? 0 : 1);
}

/* What it says is wrong. */
static bool hear(int pipe, struct err *err)
{
    struct err said = {0};
    size_t size = 0;
    ssize_t n;
    while (size < sizeof said &&
           ((n = read(pipe, (char *)&said + size, sizeof said - size)) > 0 || (n < 0 && errno == EINTR)))
        size += n > 0 ? (size_t)n : 0;
    if (size < sizeof said)
        return err_set(err, ERR_SYSTEM, "the process that fills stores and databases ended early");
    *err = said;
    return false;
}

static bool has_label(const struct deploy *deploy, enum storage_kind kind, struct str label, struct err *err)
{
    const struct storage_grants *grants = &deploy->given.storage.grants;
    for (size_t i = 0; i < grants->counts[kind]; i++)
        if (str_eq(grants->labels[kind][i], label))
            return true;
    err_set(err, ERR_USAGE, "%s: nothing that is served may open \"%.*s\"",
            kind == STORAGE_STORE ? "--key-value" : "--sqlite", STR_ARG(label));
    return err_remedy(err, "write %s = [\"%.*s\"] into the manifest",
                      kind == STORAGE_STORE ? "key_value_stores" : "sqlite_databases", STR_ARG(label));
}

bool deploy_fill_storage(struct deploy *deploy, const struct given_texts *keys, const struct given_texts *statements,
                         struct err *err)
{
    int ends[2], status;
    if (!keys->count && !statements->count)
        return true;
    if (keys->count && !has_label(deploy, STORAGE_STORE, LABEL, err))
        return false;
    for (uint32_t i = 0; i < statements->count; i++)
        if (!has_label(deploy, STORAGE_DATABASE, label_of(statements->items[i]), err))
            return false;
    if (pipe2(ends, O_CLOEXEC) != 0)
        return err_errno(err, "pipe");
    pid_t parent = getpid(), pid = fork();
    if (pid == 0)
        be_filler(deploy, keys, statements, ends[1], parent);
    close(ends[1]);
    if (pid < 0) {
        err_errno(err, "fork");
        close(ends[0]);
        return false;
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    bool done = (WIFEXITED(status) && WEXITSTATUS(status) == 0) || hear(ends[0], err);
    close(ends[0]);
    return done;
}
