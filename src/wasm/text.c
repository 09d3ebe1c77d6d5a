/* See text.h. */
#include "wasm/text.h"

#include "wasm/type.h"

#include <inttypes.h>

const char *const wasm_kind_words[] = {"func", "table", "memory", "global", "tag"};

static bool put(struct buf *out, const char *text)
{
    return buf_append(out, text, strlen(text));
}

bool wasm_put_valtype(struct buf *out, wasm_valtype type)
{
    return put(out, type_describe(type).text);
}

static bool put_list(struct buf *out, const char *word, const wasm_valtype *types, uint32_t count)
{
    if (count == 0)
        return !out->failed;
    put(out, " (");
    put(out, word);
    for (uint32_t i = 0; i < count && !out->failed; i++) {
        put(out, " ");
        wasm_put_valtype(out, types[i]);
    }
    return put(out, ")");
}

bool wasm_put_signature(struct buf *out, const struct wasm_functype *type)
{
    return put_list(out, "param", type->params, type->param_count) &&
           put_list(out, "result", type->results, type->result_count);
}

bool wasm_put_limits(struct buf *out, const struct wasm_limits *limits)
{
    buf_printf(out, "%s%" PRIu64, limits->is_64 ? "i64 " : "", limits->min);
    if (limits->has_max)
        buf_printf(out, " %" PRIu64, limits->max);
    return put(out, limits->shared ? " shared" : "");
}

static bool put_typed(struct buf *out, const struct wasm_module *module, uint32_t index)
{
    const struct wasm_type *type = &module->types[index];
    bool plain = type->final && type->supertype == WASM_NO_INDEX && type->group_size == 1;
    return (plain || buf_printf(out, " (type %u)", index)) && wasm_put_signature(out, &type->func);
}

static bool put_table(struct buf *out, const struct wasm_table *table)
{
    return put(out, " ") && wasm_put_limits(out, &table->limits) && put(out, " ") && wasm_put_valtype(out, table->type);
}

static bool put_global(struct buf *out, const struct wasm_global *global)
{
    return put(out, global->mutable_ ? " (mut " : " ") && wasm_put_valtype(out, global->type) &&
           put(out, global->mutable_ ? ")" : "");
}

static bool put_inner(struct buf *out, const struct wasm_module *module, enum wasm_extern_kind kind, uint32_t index)
{
    switch (kind) {
    case WASM_FUNC: return put_typed(out, module, module->funcs[index].type);
    case WASM_TABLE: return put_table(out, &module->tables[index]);
    case WASM_MEMORY: return put(out, " ") && wasm_put_limits(out, &module->memories[index].limits);
    case WASM_GLOBAL: return put_global(out, &module->globals[index]);
    case WASM_TAG: return put_typed(out, module, module->tags[index].type);
    }
    return false;
}

bool wasm_put_extern(struct buf *out, const struct wasm_module *module, enum wasm_extern_kind kind, uint32_t index)
{
    return put(out, "(") && put(out, wasm_kind_words[kind]) && put_inner(out, module, kind, index) && put(out, ")");
}
