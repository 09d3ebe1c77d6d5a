/* The two drafts of WASI 0.2 (2023-10-18 and 2023-11-10): what of wasi:io, wasi:clocks and wasi:filesystem they have
 * otherwise. All else of a draft is the final function (wit/generate_draft.c), and the objects are the same ones.
 *
 * What later versions gave up because no system could be relied on for it (permissions, locks) is answered with
 * `unsupported`, which the draft has for file systems without it. */
#include "wasi/filesystem.h"
#include "wasi/gen/wasi_clocks_0_2_0_rc_2023_10_18.h"
#include "wasi/gen/wasi_filesystem_0_2_0_rc_2023_10_18.h"
#include "wasi/gen/wasi_io_0_2_0_rc_2023_10_18.h"

#include "runtime/trap.h"

#include <errno.h>

typedef struct result_u64_wasi_io_streams_stream_error u64_result;

/* ---- wasi:io/poll ---- */

bool wasi_io_0_2_0_rc_2023_10_18_poll_poll_list(struct host *h, struct list_borrow_wasi_io_pollable in,
                                                struct list_u32 *ret)
{
    return wasi_io_poll_poll(h, in, ret);
}

bool wasi_io_0_2_0_rc_2023_10_18_poll_poll_one(struct host *h, struct wasi_io_pollable *in)
{
    return wasi_io_poll_pollable_block(h, in);
}

/* ---- wasi:io/streams ---- */

bool wasi_io_0_2_0_rc_2023_10_18_streams_error_to_debug_string(struct host *h, struct wasi_io_error *self,
                                                               struct str *ret)
{
    return wasi_io_error_error_to_debug_string(h, self, ret);
}

/* The draft hands the source over: it goes with the call. */
static bool consume(struct host *h, struct wasi_io_input_stream *src)
{
    wasi_io_input_stream_drop(h, src);
    return !h->store->trap;
}

bool wasi_io_0_2_0_rc_2023_10_18_streams_output_stream_splice(struct host *h, struct wasi_io_output_stream *self,
                                                              struct wasi_io_input_stream *src, uint64_t len,
                                                              u64_result *ret)
{
    return wasi_io_streams_output_stream_splice(h, self, src, len, ret) && consume(h, src);
}

bool wasi_io_0_2_0_rc_2023_10_18_streams_output_stream_blocking_splice(struct host *h,
                                                                       struct wasi_io_output_stream *self,
                                                                       struct wasi_io_input_stream *src, uint64_t len,
                                                                       u64_result *ret)
{
    return wasi_io_streams_output_stream_blocking_splice(h, self, src, len, ret) && consume(h, src);
}

/* All of the source; its end is the call's, and no error. */
bool wasi_io_0_2_0_rc_2023_10_18_streams_output_stream_forward(struct host *h, struct wasi_io_output_stream *self,
                                                               struct wasi_io_input_stream *src, u64_result *ret)
{
    const struct arena_mark mark = arena_mark(&h->scratch);
    uint64_t total = 0;
    do {
        arena_rewind(&h->scratch, mark); /* of the part before */
        if (!guest_goes_on(h->store) ||
            !wasi_io_streams_output_stream_blocking_splice(h, self, src, HOST_STREAM_BYTES, ret))
            return false;
        total += ret->err ? 0 : ret->ok;
    } while (!ret->err);
    if (ret->error.tag == WASI_IO_STREAMS_STREAM_ERROR_CLOSED && src->closed && !self->closed) {
        ret->err = false;
        ret->ok = total;
    }
    return consume(h, src);
}

/* ---- wasi:clocks/monotonic-clock ---- */

bool wasi_clocks_0_2_0_rc_2023_10_18_monotonic_clock_subscribe(struct host *h, uint64_t when, bool absolute,
                                                               struct wasi_io_pollable **ret)
{
    return absolute ? wasi_clocks_monotonic_clock_subscribe_instant(h, when, ret)
                    : wasi_clocks_monotonic_clock_subscribe_duration(h, when, ret);
}

/* ---- wasi:filesystem/types ---- */

/* The permissions of what is made are the host's to choose. */
bool wasi_filesystem_0_2_0_rc_2023_10_18_types_descriptor_open_at(
    struct host *h, descriptor *self, uint8_t path_flags, struct str path, uint8_t open_flags, uint8_t flags,
    uint8_t modes, struct result_wasi_filesystem_descriptor_wasi_filesystem_types_error_code *ret)
{
    return wasi_filesystem_types_descriptor_open_at(h, self, path_flags, path, open_flags, flags, ret);
}

bool wasi_filesystem_0_2_0_rc_2023_10_18_types_descriptor_access_at(
    struct host *h, descriptor *self, uint8_t path_flags, struct str path,
    const struct wasi_filesystem_0_2_0_rc_2023_10_18_types_access_type *type, void_answer *ret)
{
    return FILESYSTEM_ANSWER(ret, -ENOTSUP);
}

#define CHANGE_PERMISSIONS(what)                                                                                       \
    bool wasi_filesystem_0_2_0_rc_2023_10_18_types_descriptor_change_##what##_permissions_at(                          \
        struct host *h, descriptor *self, uint8_t path_flags, struct str path, uint8_t modes, void_answer *ret)        \
    {                                                                                                                  \
        return FILESYSTEM_ANSWER(ret, -ENOTSUP);                                                                       \
    }
CHANGE_PERMISSIONS(file)
CHANGE_PERMISSIONS(directory)
#undef CHANGE_PERMISSIONS

#define LOCK(name)                                                                                                     \
    bool wasi_filesystem_0_2_0_rc_2023_10_18_types_descriptor_##name(struct host *h, descriptor *self,                 \
                                                                     void_answer *ret)                                 \
    {                                                                                                                  \
        return FILESYSTEM_ANSWER(ret, -ENOTSUP);                                                                       \
    }
LOCK(lock_shared)
LOCK(lock_exclusive)
LOCK(try_lock_shared)
LOCK(try_lock_exclusive)
LOCK(unlock)
#undef LOCK
