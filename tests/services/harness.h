/* A real service process, and a client of it on a loop: what the tests of this room share. Included once per program.
 */
#ifndef MAYFLY_TESTS_SERVICES_HARNESS_H
#define MAYFLY_TESTS_SERVICES_HARNESS_H

#include "services/client.h"
#include "services/service.h"

#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static struct err harness_err;
static char harness_folder[64];
static struct io_loop *harness_loop;

/* ---- a folder for a test ---- */

static inline int remove_one(const char *path, const struct stat *info, int kind, struct FTW *place)
{
    return remove(path);
}

static inline void remove_folder(void)
{
    nftw(harness_folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static inline void make_folder(void)
{
    strcpy(harness_folder, "/tmp/mayfly-services-XXXXXX");
    assert_non_null(mkdtemp(harness_folder));
}

static inline const char *folder_of(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", harness_folder, name);
    return path;
}

/* ---- the service process ---- */

struct service_process {
    pid_t pid;
    int control;
};

static inline struct service_process start_service(const struct engine_settings *settings)
{
    struct service_process service;
    int ends[2];
    assert_true(packet_pair(SOCK_SEQPACKET, ends, &harness_err));
    service.pid = fork();
    assert_true(service.pid >= 0);
    if (service.pid == 0) {
        dup2(ends[1], 3);
        close_range(4, ~0u, 0);
        _exit(service_work(settings, 3));
    }
    close(ends[1]);
    service.control = ends[0];
    return service;
}

/* Its status, when it was told to end by the end of its control. */
static inline int stop_service(struct service_process *service)
{
    int status = -1;
    close(service->control);
    assert_int_equal(waitpid(service->pid, &status, 0), service->pid);
    return status;
}

static inline void kill_service(struct service_process *service)
{
    kill(service->pid, SIGKILL);
    assert_int_equal(waitpid(service->pid, NULL, 0), service->pid);
    close(service->control);
}

static inline void grant(const struct service_process *service, uint64_t binding, enum storage_kind kind,
                         const char *label, const char *folder)
{
    assert_true(service_grant(service->control, binding, kind, str_of(label), folder_of(folder)));
}

static inline void connect_client(struct storage_client *client, const struct service_process *service,
                                  uint64_t binding)
{
    int fd = service_connect(service->control, binding, &harness_err);
    assert_true(fd >= 0);
    assert_true(storage_client_connect(client, fd, &harness_err));
}

static inline struct storage_client *new_client(void)
{
    struct storage_client *client = storage_client_new(harness_loop, &harness_err);
    assert_non_null(client);
    return client;
}

/* ---- calls ---- */

static inline void call_changed(struct storage_call *call)
{
    io_stop(harness_loop);
}

static inline struct storage_call *begin_call(struct storage_client *client, enum storage_kind kind, const char *label,
                                              enum storage_operation operation, const struct storage_value *values,
                                              size_t count)
{
    const struct storage_request request = {.kind = kind,
                                            .label = str_of(label),
                                            .operation = operation,
                                            .values = values,
                                            .count = count,
                                            .changed = call_changed};
    struct storage_call *call = storage_client_face.begin(client, &request);
    assert_non_null(call);
    return call;
}

static inline void wait_call(const struct storage_call *call)
{
    while (call->status == STORAGE_WAITING)
        assert_true(io_run(harness_loop, &harness_err));
}

static inline void drop_call(struct storage_call *call)
{
    storage_client_face.drop(call);
}

/* Begin, wait, and say what became of it; the call is the caller's to drop. */
static inline struct storage_call *do_call(struct storage_client *client, enum storage_kind kind, const char *label,
                                           enum storage_operation operation, const struct storage_value *values,
                                           size_t count)
{
    struct storage_call *call = begin_call(client, kind, label, operation, values, count);
    wait_call(call);
    return call;
}

static inline enum storage_status status_of(struct storage_call *call)
{
    enum storage_status status = call->status;
    drop_call(call);
    return status;
}

/* ---- a key-value store ---- */

static inline enum storage_status set(struct storage_client *client, const char *label, const char *key,
                                      struct str value)
{
    const struct storage_value values[] = {storage_text(str_of(key)), storage_blob(value)};
    return status_of(do_call(client, STORAGE_STORE, label, STORAGE_SET, values, 2));
}

/* The call, whose first value is the key's. */
static inline struct storage_call *get(struct storage_client *client, const char *label, const char *key)
{
    const struct storage_value value = storage_text(str_of(key));
    return do_call(client, STORAGE_STORE, label, STORAGE_GET, &value, 1);
}

static inline void expect_stored(struct storage_client *client, const char *label, const char *key, const char *wanted)
{
    struct storage_call *call = get(client, label, key);
    assert_int_equal(call->status, STORAGE_DONE);
    assert_int_equal(call->count, 2);
    assert_int_equal(call->values[0].type, wanted ? STORAGE_BLOB : STORAGE_NULL);
    if (wanted)
        assert_true(str_eq(call->values[0].bytes, str_of(wanted)));
    drop_call(call);
}

/* ---- a database ---- */

static inline struct storage_call *execute_many(struct storage_client *client, const char *label, int64_t session,
                                                const char *statement, const struct storage_value *parameters,
                                                size_t count)
{
    struct storage_value values[16] = {storage_integer(session), storage_text(str_of(statement))};
    assert_true(count <= 14);
    if (count)
        memcpy(values + 2, parameters, count * sizeof *values);
    return do_call(client, STORAGE_DATABASE, label, STORAGE_EXECUTE, values, count + 2);
}

static inline struct storage_call *execute(struct storage_client *client, const char *label, int64_t session,
                                           const char *statement)
{
    return execute_many(client, label, session, statement, NULL, 0);
}

static inline void expect_done(struct storage_client *client, const char *label, int64_t session, const char *statement)
{
    struct storage_call *call = execute(client, label, session, statement);
    if (call->status != STORAGE_DONE)
        fail_msg("%s: %.*s", statement, STR_ARG(call->message));
    drop_call(call);
}

static inline enum storage_status open_session(struct storage_client *client, const char *label, int64_t session)
{
    const struct storage_value number = storage_integer(session);
    return status_of(do_call(client, STORAGE_DATABASE, label, STORAGE_SESSION, &number, 1));
}

/* ---- life ---- */

static inline int harness_open(void **state)
{
    make_folder();
    harness_loop = io_loop_new(&harness_err);
    return harness_loop ? 0 : 1;
}

static inline int harness_close(void **state)
{
    io_loop_free(harness_loop);
    remove_folder();
    return 0;
}

#endif
