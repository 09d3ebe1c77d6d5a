/* Instances whose start functions have run, as templates of others (node/freeze.h): what of the host they hold.
 *
 * Handles hold addresses of objects that die with the activity, so an instance that holds any cannot be copied.
 * Standard streams are the exception: they have no state beyond their handle, so that each activity can have its own
 * under the same number. Runtimes take them at the start and keep them.
 */
#include "wasi/gen/wasi_cli.h"
#include "wasi/gen/interfaces.h"
#include "wasi/object.h"
#include "wasi/wagi.h"

static const struct host_resource *resource_of(uint32_t id)
{
    const struct host_resource *row = host_resources;
    while (row->id && row->id != id)
        row++;
    return row->id ? row : NULL;
}

static bool is_input(const struct handle *handle, struct host_frozen_stream *ret)
{
    const struct wasi_io_input_stream *s = (const void *)(uintptr_t)handle->rep;
    *ret = (struct host_frozen_stream){.is_input = true, .closed = s->closed};
    return s->kind == &input_nothing && s->node.children == 0;
}

static bool is_output(const struct handle *handle, struct host_frozen_stream *ret)
{
    const struct wasi_io_output_stream *s = (const void *)(uintptr_t)handle->rep;
    *ret = (struct host_frozen_stream){.text = s->text, .closed = s->closed, .permit = s->permit};
    return s->kind == &output_text && s->node.children == 0;
}

static bool is_standard(const struct handle *handle, struct host_frozen_stream *ret)
{
    if (handle->lends || handle_kind(handle) != HANDLE_OWN)
        return false;
    switch (handle_type(handle)) {
    case RESOURCE_WASI_IO_INPUT_STREAM: return is_input(handle, ret);
    case RESOURCE_WASI_IO_OUTPUT_STREAM: return is_output(handle, ret);
    default: return false;
    }
}

static bool refuse(const struct handle *handle, struct err *err)
{
    const struct host_resource *row = handle_kind(handle) == HANDLE_OTHER ? NULL : resource_of(handle_type(handle));
    if (row)
        return err_set(err, ERR_UNSUPPORTED, "they hold a %s of %s", row->name, row->interface);
    return err_set(err, ERR_UNSUPPORTED, "they hold handles of calls, streams or futures");
}

/* A resource of the guest's own is a number to the host. */
static bool is_guests(const struct handle *handle)
{
    bool resource = handle_kind(handle) == HANDLE_FREE || handle_kind(handle) == HANDLE_OWN;
    return handle_kind(handle) == HANDLE_FREE || (resource && !handle->lends && !resource_of(handle_type(handle)));
}

static bool freeze_handle(struct host *h, struct handle *handle, struct host_frozen *frozen, struct err *err)
{
    struct host_frozen_stream row;
    if (is_guests(handle))
        return true;
    if (!is_standard(handle, &row))
        return refuse(handle, err);
    if (frozen->count == HOST_FROZEN_MAX)
        return err_set(err, ERR_LIMIT, "they hold more than %u standard streams", HOST_FROZEN_MAX);
    row.place = (uint64_t)((char *)&handle->rep - (char *)h->store);
    frozen->streams[frozen->count++] = row;
    return true;
}

static bool freeze_table(struct host *h, struct handles *handles, struct host_frozen *frozen, struct err *err)
{
    if (handles->instance || handles->entered || handles->no_leave.u32)
        return err_set(err, ERR_UNSUPPORTED, "they began calls between components that are not over");
    for (uint32_t i = 1; i <= handles->high; i++)
        if (!freeze_handle(h, &handles->entries[i], frozen, err))
            return false;
    return true;
}

/* Beside handles. */
static bool freeze_activity(const struct host *h, struct err *err)
{
    if (h->closers || h->activity.threads || h->activity.call_count)
        return err_set(err, ERR_UNSUPPORTED, "they left something behind that goes on: a socket, a request, a thread");
    if (h->named_count)
        return err_set(err, ERR_UNSUPPORTED, "they looked up names, and each request must do so to reach them");
    return true;
}

bool host_freeze(struct host *h, const struct image *image, struct host_frozen *ret_frozen, struct err *err)
{
    struct host_frozen frozen = {0};
    char *tables = (char *)h->store + image->header->handles_off;
    wagi_module_settle(h);
    if (!freeze_activity(h, err))
        return false;
    for (uint32_t i = 0; i < image->header->handle_tables; i++)
        if (!freeze_table(h, (struct handles *)tables + i, &frozen, err))
            return false;
    for (uint32_t i = 0; i < frozen.count; i++)
        *(uint64_t *)((char *)h->store + frozen.streams[i].place) = 0;
    *ret_frozen = frozen;
    return true;
}

static void *thaw_input(struct host *h, const struct host_frozen_stream *row)
{
    struct wasi_io_input_stream *s;
    if (!wasi_cli_stdin_get_stdin(h, &s))
        return NULL;
    s->closed = row->closed;
    return s;
}

static void *thaw_output(struct host *h, const struct host_frozen_stream *row)
{
    struct wasi_io_output_stream *s;
    if (!(row->text == HOST_STDOUT ? wasi_cli_stdout_get_stdout(h, &s) : wasi_cli_stderr_get_stderr(h, &s)))
        return NULL;
    s->closed = row->closed;
    s->permit = row->permit;
    return s;
}

bool host_thaw(struct host *h, const struct host_frozen *frozen)
{
    for (uint32_t i = 0; i < frozen->count; i++) {
        const struct host_frozen_stream *row = &frozen->streams[i];
        void *s = row->is_input ? thaw_input(h, row) : thaw_output(h, row);
        if (!s)
            return false;
        *(uint64_t *)((char *)h->store + row->place) = (uint64_t)(uintptr_t)s;
    }
    return true;
}
