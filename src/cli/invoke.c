/* See invoke.h. Names come from the module: they are escaped and cut where they are printed. */
#include "cli/invoke.h"

#include "base/nearest.h"
#include "cli/value.h"

#include <stdio.h>
#include <string.h>

#define RESULTS_BYTES ((size_t)1 << 20)
#define NAME_BYTES 48u    /* of a name in a message */
#define NAMES_BYTES 200u  /* of all of them */
#define TYPE_BYTES 120u

static struct slot *last_slot(struct invoke_from from)
{
    return from.preload->modules[from.preload->count - 1].slot;
}

bool invoke_find(struct invoke_from from, struct str name, struct invoke_func *ret_func)
{
    struct link_extern found;
    if (!from.preload) {
        const struct image_export *row = program_export(from.program, STR(""), name);
        if (row)
            *ret_func = (struct invoke_func){row->funcref, image_bytes(&from.program->image) + row->types_first,
                                             row->param_count, row->result_count};
        return row != NULL;
    }
    if (!instance_export(last_slot(from), name, &found) || found.row->kind != WASM_FUNC)
        return false;
    ret_func->funcref = link_funcref(&found, from.preload->modules[0].slot);
    ret_func->types = link_signature(&found, &ret_func->param_count, &ret_func->result_count);
    return true;
}

/* ---- which names there are ---- */

static uint64_t row_count(struct invoke_from from)
{
    return from.preload ? image_offers_count(&last_slot(from)->program->image)
                        : image_exports_count(&from.program->image);
}

/* False: the row is no function. */
static bool row_name(struct invoke_from from, uint64_t i, struct str *ret_name)
{
    const struct image *image = from.preload ? &last_slot(from)->program->image : &from.program->image;
    if (from.preload && image_offers(image)[i].kind != WASM_FUNC)
        return false;
    *ret_name = image_str(image, from.preload ? image_offers(image)[i].name : image_exports(image)[i].name);
    return true;
}

static struct str nearest_name(struct invoke_from from, struct str name)
{
    struct nearest nearest = nearest_to(name);
    struct str candidate;
    for (uint64_t i = 0; i < row_count(from); i++)
        if (row_name(from, i, &candidate))
            nearest_consider(&nearest, candidate);
    return nearest.found;
}

/* "'a', 'b', ..." */
static void list_names(struct invoke_from from, char names[NAMES_BYTES])
{
    char escaped[NAME_BYTES];
    struct str name;
    size_t n = 0;
    names[0] = '\0';
    for (uint64_t i = 0; i < row_count(from); i++) {
        if (!row_name(from, i, &name))
            continue;
        cli_escape(name, escaped, sizeof escaped);
        if (n + strlen(escaped) + sizeof "', '', ..." > NAMES_BYTES) {
            snprintf(names + n, NAMES_BYTES - n, ", ...");
            return;
        }
        n += (size_t)snprintf(names + n, NAMES_BYTES - n, "%s'%s'", n ? ", " : "", escaped);
    }
}

bool invoke_missing(struct invoke_from from, struct str name, struct err *err)
{
    char wanted[NAME_BYTES], near[NAME_BYTES], names[NAMES_BYTES];
    struct str found = nearest_name(from, name);
    cli_escape(name, wanted, sizeof wanted);
    err_set(err, ERR_LINK, "the module exports no function '%s'", wanted);
    if (found.len) {
        cli_escape(found, near, sizeof near);
        return err_remedy(err, "did you mean '%s'?", near);
    }
    list_names(from, names);
    return names[0] ? err_remedy(err, "it exports %s", names) : err_remedy(err, "it exports no function at all");
}

/* ---- arguments and results ---- */

/* "'NAME' is TYPE" and what is wrong. */
static bool wrong_call(const struct invoke_func *func, const char *name, const char *what, struct err *err)
{
    char escaped[NAME_BYTES], type[TYPE_BYTES];
    cli_escape(str_of(name), escaped, sizeof escaped);
    value_signature(func->types, func->param_count, func->result_count, type, sizeof type);
    return err_set(err, ERR_USAGE, "'%s' is %s; %s", escaped, type, what);
}

static bool wrong_count(const struct invoke_func *func, const char *name, uint32_t count, struct err *err)
{
    char what[64];
    snprintf(what, sizeof what, "it takes %u argument%s, not %u", func->param_count, func->param_count == 1 ? "" : "s",
             count);
    return wrong_call(func, name, what, err);
}

static bool wrong_argument(const struct invoke_func *func, const char *name, uint32_t i, const char *text,
                           struct err *err)
{
    char escaped[NAME_BYTES], type[VALUE_TYPE_BYTES], what[64 + sizeof escaped + sizeof type];
    cli_escape(str_of(text), escaped, sizeof escaped);
    value_type_name(func->types[i], type);
    snprintf(what, sizeof what, "argument %u is no %s: '%s'", i + 1, type, escaped);
    return wrong_call(func, name, what, err);
}

bool invoke_arguments(const struct invoke_func *func, const char *name, char **args, struct arena *arena,
                      union cell **ret_cells, struct err *err)
{
    uint32_t count = 0, most = func->param_count > func->result_count ? func->param_count : func->result_count;
    while (args && args[count])
        count++;
    if (count != func->param_count)
        return wrong_count(func, name, count, err);
    union cell *cells = ARENA_ARRAY(arena, union cell, most);
    if (!cells)
        return err_memory(err);
    for (uint32_t i = 0; i < count; i++)
        if (!value_parse(func->types[i], args[i], &cells[i]))
            return wrong_argument(func, name, i, args[i], err);
    *ret_cells = cells;
    return true;
}

int invoke_print(const struct invoke_func *func, const union cell *results)
{
    struct buf text;
    buf_init(&text, RESULTS_BYTES);
    for (uint32_t i = 0; i < func->result_count; i++) {
        value_write(&text, func->types[func->param_count + i], &results[i]);
        buf_append(&text, "\n", 1);
    }
    int code = text.size || text.failed ? cli_print_buf(&text) : CLI_DONE;
    buf_free(&text);
    return code;
}
