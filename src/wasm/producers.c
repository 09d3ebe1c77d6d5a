/* See producers.h. The section is read twice: to count, then to keep. */
#include "wasm/producers.h"

#include "wasm/reader.h"

static bool read_value(struct reader *in, struct wasm_producer *ret)
{
    return reader_name(in, &ret->name) && reader_name(in, &ret->version);
}

/* `out` may be NULL. */
static uint32_t read_all(struct str contents, struct wasm_producer *out)
{
    const uint8_t *start = (const uint8_t *)contents.ptr;
    struct reader in = {start, start, start + contents.len, NULL};
    struct wasm_producer one;
    uint32_t fields, values, count = 0;
    if (!reader_u32(&in, &fields))
        return 0;
    while (fields-- > 0 && reader_name(&in, &one.field) && reader_u32(&in, &values))
        while (values > 0 && read_value(&in, &one)) {
            values--;
            if (out)
                out[count] = one;
            count++;
        }
    return count;
}

bool wasm_read_producers(struct str contents, struct arena *arena, struct wasm_producer **ret_producers,
                         uint32_t *ret_count, struct err *err)
{
    uint32_t count = read_all(contents, NULL);
    struct wasm_producer *producers = ARENA_ARRAY(arena, struct wasm_producer, count);
    if (!producers)
        return err_memory(err);
    *ret_count = read_all(contents, producers);
    *ret_producers = producers;
    return true;
}
