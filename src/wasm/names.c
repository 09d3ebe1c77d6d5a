/* The name section (core specification, appendix 7.4.1): names for people, never trusted. A
 * subsection that is malformed ends the reading; the names before it stay. */
#include "wasm/decode.h"

#include "wasm/reader.h"

enum { NAMES_MODULE = 0, NAMES_FUNCTIONS = 1 };

static void read_functions(struct wasm_module *module, struct reader *in)
{
    uint32_t count, index;
    struct str name;
    if (!reader_u32(in, &count))
        return;
    while (count-- > 0 && reader_u32(in, &index) && reader_name(in, &name))
        if (index < module->func_count)
            module->func_names[index] = name;
}

static void read_section(struct wasm_module *module, struct reader *in)
{
    uint8_t id;
    uint32_t size;
    struct reader part;
    while (in->at != in->end && reader_u8(in, &id) && reader_u32(in, &size) && reader_window(in, size, &part)) {
        if (id == NAMES_MODULE)
            reader_name(&part, &module->name);
        else if (id == NAMES_FUNCTIONS)
            read_functions(module, &part);
    }
}

bool wasm_read_names(struct wasm_module *module, struct arena *arena, struct err *err)
{
    for (uint32_t i = 0; i < module->custom_count; i++) {
        const struct wasm_custom *custom = &module->customs[i];
        if (!str_eq(custom->name, STR("name")))
            continue;
        module->func_names = ARENA_ARRAY(arena, struct str, module->func_count);
        if (!module->func_names)
            return err_memory(err);
        const uint8_t *start = module->bytes + custom->start;
        struct reader in = {module->bytes, start, start + custom->size, NULL};
        read_section(module, &in);
        return true;
    }
    return true;
}
