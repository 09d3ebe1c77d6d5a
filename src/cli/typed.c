/* See typed.h. Names come from the component: they are escaped where they are printed. */
#include "cli/typed.h"

#include "cli/cli.h"
#include "component/datum_text.h"
#include "wasi/link.h"

#include <stdio.h>
#include <string.h>

#define NAME_BYTES 96u   /* of a name in a message */
#define NAMES_BYTES 200u /* of all of them */
#define RESULT_BYTES ((size_t)64 << 20)

static struct str name_of(const struct program *program, const struct image_export *row)
{
    return image_str(&program->image, row->name);
}

/* "INSTANCE#NAME", escaped. */
static void full_name(const struct program *program, const struct image_export *row, char text[NAME_BYTES])
{
    struct str interface = image_str(&program->image, row->interface);
    char whole[2 * NAME_BYTES];
    snprintf(whole, sizeof whole, "%.*s%s%.*s", STR_ARG(interface), interface.len ? "#" : "",
             STR_ARG(name_of(program, row)));
    cli_escape(str_of(whole), text, NAME_BYTES);
}

static void list_names(const struct program *program, char names[NAMES_BYTES])
{
    const struct image *image = &program->image;
    size_t n = 0;
    names[0] = '\0';
    for (uint64_t i = 0; i < image_exports_count(image); i++) {
        char name[NAME_BYTES];
        full_name(program, &image_exports(image)[i], name);
        if (n + strlen(name) + sizeof "'', '', ..." > NAMES_BYTES) {
            snprintf(names + n, NAMES_BYTES - n, ", ...");
            return;
        }
        n += (size_t)snprintf(names + n, NAMES_BYTES - n, "%s'%s'", n ? ", " : "", name);
    }
}

/* The only export of that name; `ret_count` says how many there are. */
static const struct image_export *find(const struct program *program, struct str name, uint32_t *ret_count)
{
    const struct image *image = &program->image;
    const struct image_export *found = NULL;
    size_t hash = str_find(name, '#');
    *ret_count = 0;
    for (uint64_t i = 0; i < image_exports_count(image); i++) {
        const struct image_export *row = &image_exports(image)[i];
        struct str interface = image_str(image, row->interface);
        bool full = hash < name.len && str_eq(interface, str_slice(name, 0, hash)) &&
                    str_eq(name_of(program, row), str_slice(name, hash + 1, name.len));
        if (!full && !str_eq(name_of(program, row), name))
            continue;
        found = row;
        ++*ret_count;
        if (full || interface.len == 0) {
            *ret_count = 1;
            return row;
        }
    }
    return found;
}

static bool missing(const struct program *program, const char *name, uint32_t count, struct err *err)
{
    char wanted[NAME_BYTES], names[NAMES_BYTES];
    cli_escape(str_of(name), wanted, sizeof wanted);
    list_names(program, names);
    err_set(err, ERR_LINK, count ? "%u instances export a function '%s'" : "the component exports no function%.0u '%s'",
            count, wanted);
    return err_remedy(err, names[0] ? "it exports %s" : "it exports no function at all%s", names);
}

static bool parse_argument(const struct type *type, const char *text, struct arena *arena, struct datum *ret,
                           struct err *err)
{
    if (type->kind != TYPE_STRING || text[0] == '"')
        return datum_parse(str_of(text), type, arena, ret, err);
    *ret = (struct datum){.text = str_of(text)};
    return utf8_valid(text, strlen(text)) || err_set(err, ERR_USAGE, "it is no UTF-8");
}

/* What is wrong with argument `i`, and the function's type. */
static bool wrong_argument(const struct typed *typed, uint32_t i, struct err *err)
{
    const struct image *image = typed->func.image;
    char before[sizeof err->message], type[160];
    memcpy(before, err->message, sizeof before);
    cli_escape(image_str(image, typed->func.row->signature), type, sizeof type);
    err_set(err, ERR_USAGE, "argument %u: %.120s", i + 1, before);
    return err_remedy(err, "the function is %s", type);
}

static uint32_t host_resource(void *arg, struct str interface, struct str name)
{
    (void)arg;
    return wasi_resource_id(interface, name);
}

bool typed_open(const struct program *program, const char *name, char **args, struct arena *arena,
                struct typed *ret_typed, struct err *err)
{
    struct typed typed = {0};
    uint32_t found, count = 0;
    const struct image_export *row = find(program, str_of(name), &found);
    if (found != 1)
        return missing(program, name, found, err);
    if (!datum_func_open(&program->image, row, host_resource, arena, &typed.func, err))
        return false;
    const struct func_type *type = &typed.func.type;
    while (args && args[count])
        count++;
    if (count != type->param_count) {
        char text[160];
        cli_escape(image_str(&program->image, row->signature), text, sizeof text);
        err_set(err, ERR_USAGE, "the function takes %u argument%s, not %u", type->param_count,
                type->param_count == 1 ? "" : "s", count);
        return err_remedy(err, "it is %s", text);
    }
    typed.args = ARENA_ARRAY(arena, struct datum, count);
    if (!typed.args)
        return err_memory(err);
    for (uint32_t i = 0; i < count; i++)
        if (!parse_argument(type->params[i].type, args[i], arena, &typed.args[i], err))
            return wrong_argument(&typed, i, err);
    *ret_typed = typed;
    return true;
}

bool typed_call(struct store *store, struct typed *typed, struct arena *arena)
{
    return datum_call(store, &typed->func, typed->args, arena, &typed->result);
}

int typed_print(const struct typed *typed)
{
    const struct type *type = typed->func.type.result;
    struct buf text;
    if (!type)
        return CLI_DONE;
    buf_init(&text, RESULT_BYTES);
    datum_write(&text, type, &typed->result);
    buf_append(&text, "\n", 1);
    int code = cli_print_buf(&text);
    buf_free(&text);
    return code;
}
