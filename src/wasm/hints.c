/* The custom section `metadata.code.branch_hint` (branch hinting proposal): which way an `if` or `br_if` usually
 * goes. Never trusted: it changes how fast code is, not what it does. What is malformed, out of order or outside
 * its function ends the reading; the hints before it stay. */
#include "wasm/decode.h"

#include "wasm/reader.h"

/* Where hints go; the first reading only counts them. */
struct hints {
    const struct wasm_module *module;
    struct wasm_branch_hint *items; /* NULL: count */
    uint32_t count;
    uint32_t last; /* place of the hint before, for the order */
};

static bool read_hint(struct hints *hints, struct reader *in, const struct wasm_func *func)
{
    uint32_t offset, size;
    uint8_t value;
    if (!reader_u32(in, &offset) || !reader_u32(in, &size) || size != 1 || !reader_u8(in, &value) || value > 1)
        return false;
    if (offset >= func->size || func->body + offset <= hints->last)
        return false;
    hints->last = func->body + offset;
    if (hints->items)
        hints->items[hints->count] = (struct wasm_branch_hint){hints->last, value == 1};
    hints->count++;
    return true;
}

static bool read_function(struct hints *hints, struct reader *in)
{
    uint32_t func, count;
    if (!reader_u32(in, &func) || !reader_u32(in, &count) || func >= hints->module->func_count)
        return false;
    while (count-- > 0)
        if (!read_hint(hints, in, &hints->module->funcs[func]))
            return false;
    return true;
}

static void read_hints(struct hints *hints, const struct wasm_custom *custom)
{
    const uint8_t *start = hints->module->bytes + custom->start;
    struct reader in = {hints->module->bytes, start, start + custom->size, NULL};
    uint32_t count;
    hints->count = hints->last = 0;
    if (reader_u32(&in, &count))
        while (count-- > 0 && read_function(hints, &in))
            continue;
}

static const struct wasm_custom *find_section(const struct wasm_module *module)
{
    for (uint32_t i = 0; i < module->custom_count; i++)
        if (str_eq(module->customs[i].name, STR("metadata.code.branch_hint")))
            return &module->customs[i];
    return NULL;
}

bool wasm_read_hints(struct wasm_module *module, struct arena *arena, struct err *err)
{
    const struct wasm_custom *custom = find_section(module);
    struct hints hints = {.module = module};
    if (!custom)
        return true;
    read_hints(&hints, custom);
    hints.items = ARENA_ARRAY(arena, struct wasm_branch_hint, hints.count);
    if (!hints.items)
        return err_memory(err);
    read_hints(&hints, custom);
    module->branch_hints = hints.items;
    module->branch_hint_count = hints.count;
    return true;
}

uint32_t wasm_branch_hints_from(const struct wasm_module *module, uint32_t at)
{
    uint32_t low = 0, high = module->branch_hint_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (module->branch_hints[middle].at < at)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct wasm_branch_hint *wasm_branch_hint(const struct wasm_module *module, uint32_t at)
{
    uint32_t i = wasm_branch_hints_from(module, at);
    return i < module->branch_hint_count && module->branch_hints[i].at == at ? &module->branch_hints[i] : NULL;
}
