/* See bindings.h: collects packages, names and resources, has the parts written, and puts the files together. */
#include "wit/generate.h"

#include <stdio.h>
#include <stdlib.h>

/* --- packages in dependency order --- */

static int compare_str(struct str a, struct str b)
{
    size_t common = a.len < b.len ? a.len : b.len;
    int order = common ? memcmp(a.ptr, b.ptr, common) : 0;
    return order ? order : (a.len > b.len) - (a.len < b.len);
}

/* Whether `package` uses a type that `other` defines. */
static bool depends_on(const struct wit_package *package, const struct wit_package *other)
{
    for (uint32_t i = 0; i < package->interface_count; i++)
        for (uint32_t d = 0; d < package->interfaces[i]->def_count; d++) {
            const struct wit_def *def = &package->interfaces[i]->defs[d];
            for (uint32_t j = 0; def->foreign && j < other->interface_count; j++)
                for (uint32_t e = 0; e < other->interfaces[j]->def_count; e++) {
                    const struct wit_def *from = &other->interfaces[j]->defs[e];
                    if (!from->foreign && (def->type ? from->type == def->type : from->resource == def->resource))
                        return true;
                }
        }
    return false;
}

static bool placed(const struct generator *g, const struct wit_package *package)
{
    for (uint32_t i = 0; i < g->package_count; i++)
        if (g->packages[i].package == package)
            return true;
    return false;
}

static bool ready(const struct generator *g, const struct wit_package *package)
{
    for (uint32_t i = 0; i < g->wit->package_count; i++) {
        const struct wit_package *other = g->wit->packages[i];
        if (other != package && !placed(g, other) && (depends_on(package, other) || gen_is_draft_of(package, other)))
            return false;
    }
    return true;
}

static uint32_t final_of(const struct generator *g, const struct wit_package *package)
{
    for (uint32_t i = 0; i < g->package_count; i++)
        if (gen_is_draft_of(package, g->packages[i].package))
            return i;
    return GEN_NO_PACKAGE;
}

static bool is_draft(const struct generator *g, const struct wit_package *package)
{
    for (uint32_t i = 0; i < g->wit->package_count; i++)
        if (gen_is_draft_of(package, g->wit->packages[i]))
            return true;
    return false;
}

/* Of packages with one name the lowest version that is no draft of another has it in C as it is, the others with their
 * version. */
static const char *package_name(struct generator *g, const struct wit_package *package)
{
    const char *name = gen_snake(g, package->id);
    bool versioned = is_draft(g, package);
    for (uint32_t i = 0; i < g->wit->package_count; i++) {
        const struct wit_package *other = g->wit->packages[i];
        versioned |=
            str_eq(other->id, package->id) && !is_draft(g, other) && compare_str(other->version, package->version) < 0;
    }
    return versioned ? gen_text(g, "%s_%s", name, gen_snake(g, version_track(package->version))) : name;
}

static void place_package(struct generator *g, const struct wit_package *package)
{
    struct gen_package *p = &g->packages[g->package_count];
    p->package = package;
    p->final = final_of(g, package);
    g->package_count++;
    p->name = package_name(g, package);
    buf_init(&p->types, GENERATE_MAX_TEXT);
    buf_init(&p->protos, GENERATE_MAX_TEXT);
    buf_init(&p->helpers, GENERATE_MAX_TEXT);
    buf_init(&p->glue, GENERATE_MAX_TEXT);
}

static bool place_packages(struct generator *g)
{
    if (g->wit->package_count > GENERATE_MAX_PACKAGES)
        return err_set(g->err, ERR_LIMIT, "more than %u packages", GENERATE_MAX_PACKAGES);
    while (g->package_count < g->wit->package_count) {
        const struct wit_package *next = NULL;
        for (uint32_t i = 0; i < g->wit->package_count && !next; i++)
            if (!placed(g, g->wit->packages[i]) && ready(g, g->wit->packages[i]))
                next = g->wit->packages[i];
        if (!next)
            return err_set(g->err, ERR_INVALID, "packages use each other's types in a circle");
        place_package(g, next);
    }
    return true;
}

/* --- names --- */

/* The first resource of a name in a package has it in C; others have that of their interface before it. */
static const char *name_resource(struct generator *g, uint32_t package, const struct wit_interface *interface,
                                 const struct resource *resource)
{
    const char *name = gen_snake(g, resource->name);
    for (size_t i = 0; i < g->resources.count; i++)
        if (g->resources.items[i].package == package && str_eq(g->resources.items[i].resource->name, resource->name))
            return gen_text(g, "%s_%s", gen_interface(g, interface), name);
    return gen_text(g, "%s_%s", g->packages[package].name, name);
}

static void add_resource(struct generator *g, uint32_t package, const struct wit_interface *interface,
                         struct resource *resource)
{
    const struct gen_resource *final = gen_final_resource(g, package, resource);
    struct gen_resource made = {.resource = resource, .package = package, .from = package};
    if (final) {
        made = *final;
        made.resource = resource;
        made.from = package;
        resource->id = final->resource->id;
    } else {
        made.name = name_resource(g, package, interface, resource);
        made.id = gen_text(g, "RESOURCE_%s", gen_upper(g, str_of(made.name)));
        resource->id = ++g->resource_count;
    }
    struct gen_resource *row = VEC_PUSH(&g->resources, WASM_HEAP_ABSTRACT);
    if (row)
        *row = made;
    else
        g->failed = true;
}

static bool is_named(const struct wit_def *def)
{
    if (!def->type || def->foreign)
        return false;
    enum type_kind kind = def->type->kind;
    bool defined = kind == TYPE_RECORD || kind == TYPE_VARIANT || kind == TYPE_ENUM || kind == TYPE_FLAGS;
    return def->alias ? kind == TYPE_TUPLE : defined;
}

static void add_named(struct generator *g, uint32_t package, const struct wit_interface *interface,
                      const struct wit_def *def)
{
    struct gen_named *row = gen_find_named(g, def->type) ? NULL : VEC_PUSH(&g->named, WASM_HEAP_ABSTRACT);
    if (!row)
        return;
    const struct type *final = gen_final_type(g, package, interface, def);
    const struct gen_named *named = final ? gen_find_named(g, final) : NULL;
    *row = (struct gen_named){def->type, NULL, package};
    row->name = gen_text(g, "%s_%s", gen_interface(g, interface), gen_snake(g, def->name));
    if (named) {
        row->name = named->name;
        row->package = named->package;
    }
}

/* Resources first: types of drafts are compared with them. */
static void collect_names(struct generator *g, uint32_t package)
{
    const struct wit_package *from = g->packages[package].package;
    for (uint32_t i = 0; i < from->interface_count; i++)
        for (uint32_t d = 0; d < from->interfaces[i]->def_count; d++) {
            const struct wit_def *def = &from->interfaces[i]->defs[d];
            if (def->resource && !def->foreign && !def->alias)
                add_resource(g, package, from->interfaces[i], def->resource);
        }
    for (uint32_t i = 0; i < from->interface_count; i++)
        for (uint32_t d = 0; d < from->interfaces[i]->def_count; d++)
            if (is_named(&from->interfaces[i]->defs[d]))
                add_named(g, package, from->interfaces[i], &from->interfaces[i]->defs[d]);
}

/* --- what is implemented --- */

static struct str take_word(struct str *line)
{
    size_t start = 0, end;
    while (start < line->len && (line->ptr[start] == ' ' || line->ptr[start] == '\t'))
        start++;
    for (end = start; end < line->len && line->ptr[end] != ' ' && line->ptr[end] != '\t';)
        end++;
    struct str word = str_slice(*line, start, end);
    *line = str_slice(*line, end, line->len);
    return word;
}

/* "wasi:io/streams" means every version of it, "wasi:io/streams@0.2.12" that one. */
static bool names_interface(struct str word, struct str interface, struct str version)
{
    size_t at = str_find(word, '@');
    bool any = at == word.len;
    return str_eq(str_slice(word, 0, at), interface) && (any || str_eq(str_slice(word, at + 1, word.len), version));
}

static bool is_implemented(const struct generator *g, struct str interface, struct str version, struct str name)
{
    for (struct str rest = g->implemented; rest.len > 0;) {
        size_t end = str_find(rest, '\n');
        struct str line = str_slice(rest, 0, end);
        rest = str_slice(rest, end < rest.len ? end + 1 : end, rest.len);
        line.len = str_find(line, '#');
        struct str first = take_word(&line), second = take_word(&line);
        if (names_interface(first, interface, version) && (str_eq(second, STR("*")) || str_eq(second, name)))
            return true;
    }
    return false;
}

static const char *drop_name(struct generator *g, const struct gen_resource *row)
{
    return gen_text(g, "[resource-drop]%.*s", STR_ARG(row->resource->name));
}

/* --- the parts --- */

static bool check_func(struct generator *g, const struct wit_interface *interface, const struct wit_func *func)
{
    if (!func->type.async_)
        return true;
    return err_set(g->err, ERR_UNSUPPORTED, "%.*s %.*s: async functions have no bindings yet", STR_ARG(interface->id),
                   STR_ARG(func->name));
}

/* A type of the function, and the headers it needs. */
static void use_type(struct generator *g, struct gen_package *p, const struct type *type)
{
    uint64_t self = UINT64_C(1) << (p - g->packages);
    gen_type(g, type);
    p->includes |= gen_mentions(g, type) & ~self;
}

static void write_func_types(struct generator *g, struct gen_package *p, const struct wit_func *func)
{
    for (uint32_t i = 0; i < func->type.param_count; i++)
        use_type(g, p, func->type.params[i].type);
    if (func->type.result)
        use_type(g, p, func->type.result);
}

static bool write_interface(struct generator *g, struct gen_package *p, const struct wit_interface *interface)
{
    uint32_t package = (uint32_t)(p - g->packages);
    const struct wit_interface *final;
    for (uint32_t d = 0; d < interface->def_count; d++)
        if (interface->defs[d].type && !interface->defs[d].foreign)
            gen_type(g, interface->defs[d].type);
    bool any = p->final == GEN_NO_PACKAGE;
    size_t before = p->protos.size;
    buf_printf(&p->protos, "/* %.*s */\n", STR_ARG(interface->id));
    for (uint32_t f = 0; f < interface->func_count; f++) {
        const struct wit_func *func = &interface->funcs[f];
        if (!check_func(g, interface, func))
            return false;
        if (gen_final_func(g, package, interface, func, &final))
            continue;
        any = true;
        write_func_types(g, p, func);
        gen_prototype(g, p, interface, func);
        if (is_implemented(g, interface->id, interface->package->version, func->name))
            gen_glue(g, p, interface, func);
    }
    if (any)
        buf_printf(&p->protos, "\n");
    else
        p->protos.size = before;
    return true;
}

/* Not that of another version. */
static bool is_own(const struct gen_resource *row)
{
    return row->from == row->package;
}

/* Resources of a package: declarations, and a typeless drop for each that is implemented. */
static void write_resources(struct generator *g, uint32_t package)
{
    struct gen_package *p = &g->packages[package];
    bool any = p->final == GEN_NO_PACKAGE;
    for (size_t i = 0; i < g->resources.count; i++) {
        const struct gen_resource *row = &g->resources.items[i];
        if (row->from != package || !is_own(row))
            continue;
        any = true;
        buf_printf(&p->protos, "void %s_drop(struct host *h, struct %s *self);\n", row->name, row->name);
        if (is_implemented(g, row->resource->interface, p->package->version, str_of(drop_name(g, row))))
            buf_printf(&p->glue, "void drop_%s(struct host *host, void *rep)\n{\n    %s_drop(host, rep);\n}\n\n",
                       row->name, row->name);
    }
    if (any)
        buf_printf(&p->protos, "\n");
}

static bool write_parts(struct generator *g)
{
    for (uint32_t p = 0; p < g->package_count; p++) {
        write_resources(g, p);
        for (uint32_t i = 0; i < g->packages[p].package->interface_count; i++)
            if (!write_interface(g, &g->packages[p], g->packages[p].package->interfaces[i]))
                return false;
    }
    return true;
}

/* --- files --- */

static struct buf *new_file(struct generator *g, struct bindings *bindings, const char *name)
{
    struct bindings_file *file = VEC_PUSH(&bindings->files, 4 * GENERATE_MAX_PACKAGES);
    if (!file) {
        g->failed = true;
        return NULL;
    }
    snprintf(file->name, sizeof file->name, "%s", name);
    buf_init(&file->text, GENERATE_MAX_TEXT);
    buf_printf(&file->text, "/* Generated by wit-bindings from the interfaces under wit/: edit those instead. */\n");
    return &file->text;
}

static void append(struct buf *to, const struct buf *from)
{
    buf_append(to, from->data, from->size);
    to->failed |= from->failed;
}

static void open_guard(struct generator *g, struct buf *out, const char *name)
{
    const char *upper = gen_upper(g, str_of(name));
    buf_printf(out, "#ifndef GEN_%s_H\n#define GEN_%s_H\n\n", upper, upper);
}

static void write_common(struct generator *g, struct bindings *bindings)
{
    struct buf *out = new_file(g, bindings, "common.h");
    if (!out)
        return;
    open_guard(g, out, "common");
    buf_printf(out, "#include \"component/canon.h\"\n\n/* Type ids of the host's resources. */\n"
                    "enum host_resource_id {\n    RESOURCE_NONE = 0,\n");
    for (size_t i = 0; i < g->resources.count; i++)
        if (is_own(&g->resources.items[i]))
            buf_printf(out, "    %s = %u,\n", g->resources.items[i].id, g->resources.items[i].resource->id);
    buf_printf(out, "};\n\n");
    for (size_t i = 0; i < g->resources.count; i++)
        if (is_own(&g->resources.items[i]))
            buf_printf(out, "struct %s;\n", g->resources.items[i].name);
    buf_printf(out, "\n");
    append(out, &g->common);
    buf_printf(out, "#endif\n");
}

static void write_header(struct generator *g, struct bindings *bindings, const struct gen_package *p)
{
    struct buf *out = new_file(g, bindings, gen_text(g, "%s.h", p->name));
    if (!out)
        return;
    open_guard(g, out, p->name);
    buf_printf(out, "#include \"%.*s/common.h\"\n", STR_ARG(g->include));
    for (uint32_t i = 0; i < g->package_count; i++)
        if (p->includes >> i & 1)
            buf_printf(out, "#include \"%.*s/%s.h\"\n", STR_ARG(g->include), g->packages[i].name);
    buf_printf(out, "\n");
    append(out, &p->types);
    append(out, &p->protos);
    buf_printf(out, "#endif\n");
}

static void write_source(struct generator *g, struct bindings *bindings, const struct gen_package *p)
{
    struct buf *out = new_file(g, bindings, gen_text(g, "%s.c", p->name));
    if (!out)
        return;
    buf_printf(out, "#include \"%.*s/%s.h\"\n\n#include \"%.*s/interfaces.h\"\n\n", STR_ARG(g->include), p->name,
               STR_ARG(g->include));
    append(out, &p->helpers);
    append(out, &p->glue);
    if (out->size && out->data[out->size - 1] == '\n') /* no blank line at the end */
        out->size--;
}

/* --- tables --- */

struct row {
    struct str interface, version;
    const char *name;
    const struct wit_interface *from; /* whose glue it has: its own, or the final version's */
    const struct wit_func *func, *glue;
    const struct gen_resource *resource;
};

static bool has_own_glue(const struct row *row)
{
    return row->glue == row->func;
}

static int compare_rows(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    int order = compare_str(x->interface, y->interface);
    bool x_draft = str_find(x->version, '-') < x->version.len, y_draft = str_find(y->version, '-') < y->version.len;
    order = order ? order : compare_str(str_of(x->name), str_of(y->name));
    order = order ? order : x_draft - y_draft; /* who says no version gets no draft */
    return order ? order : compare_str(x->version, y->version);
}

typedef VEC(struct row) row_list;

static void add_row(struct generator *g, row_list *rows, struct row row)
{
    struct row *slot = VEC_PUSH(rows, WASM_HEAP_ABSTRACT);
    if (slot)
        *slot = row;
    else
        g->failed = true;
}

static void collect_funcs(struct generator *g, row_list *funcs, uint32_t package, const struct wit_interface *interface)
{
    for (uint32_t f = 0; f < interface->func_count; f++) {
        const struct wit_func *func = &interface->funcs[f];
        struct row row = {.interface = interface->id,
                          .version = interface->package->version,
                          .name = gen_text(g, "%.*s", STR_ARG(func->name)),
                          .from = interface,
                          .func = func};
        const struct wit_func *final = gen_final_func(g, package, interface, func, &row.from);
        row.glue = final ? final : func;
        add_row(g, funcs, row);
    }
}

static void collect_rows(struct generator *g, row_list *funcs, row_list *resources)
{
    for (uint32_t p = 0; p < g->package_count; p++)
        for (uint32_t i = 0; i < g->packages[p].package->interface_count; i++)
            collect_funcs(g, funcs, p, g->packages[p].package->interfaces[i]);
    for (size_t i = 0; i < g->resources.count; i++) {
        const struct gen_resource *resource = &g->resources.items[i];
        add_row(g, resources,
                (struct row){.interface = resource->resource->interface,
                             .version = g->packages[resource->from].package->version,
                             .name = gen_text(g, "%.*s", STR_ARG(resource->resource->name)),
                             .resource = resource});
    }
    if (funcs->count)
        qsort(funcs->items, funcs->count, sizeof *funcs->items, compare_rows);
    if (resources->count)
        qsort(resources->items, resources->count, sizeof *resources->items, compare_rows);
}

static bool row_implemented(struct generator *g, const struct row *row)
{
    if (row->func)
        return is_implemented(g, row->interface, row->version, row->func->name);
    return is_implemented(g, row->interface, row->version, str_of(drop_name(g, row->resource)));
}

static void write_func_row(struct generator *g, struct buf *out, const struct row *row)
{
    buf_printf(out, "    {\"%.*s\", \"%.*s\", \"%s\",\n     \"", STR_ARG(row->interface), STR_ARG(row->version),
               row->name);
    if (!type_func_text(&row->func->type, out))
        g->failed = true;
    bool glue = row_implemented(g, row);
    buf_printf(out, "\",\n     %s%s},\n", glue ? "glue_" : "NULL", glue ? gen_function(g, row->from, row->glue) : "");
}

static void write_resource_row(struct generator *g, struct buf *out, const struct row *row)
{
    bool drop = row_implemented(g, row);
    buf_printf(out, "    {\"%.*s\", \"%.*s\", \"%s\", %s, %s%s},\n", STR_ARG(row->interface), STR_ARG(row->version),
               row->name, row->resource->id, drop ? "drop_" : "NULL", drop ? row->resource->name : "");
}

static void write_tables_header(struct generator *g, struct bindings *bindings, const row_list *funcs,
                                const row_list *resources)
{
    struct buf *out = new_file(g, bindings, "interfaces.h");
    if (!out)
        return;
    open_guard(g, out, "interfaces");
    buf_printf(out,
               "#include \"component/canon.h\"\n\n"
               "#define HOST_FUNCTION_COUNT %zu\n#define HOST_RESOURCE_COUNT %zu\n\n"
               "/* Sorted by interface, then name. */\n"
               "extern const struct host_function host_functions[HOST_FUNCTION_COUNT + 1];\n"
               "extern const struct host_resource host_resources[HOST_RESOURCE_COUNT + 1];\n\n",
               funcs->count, resources->count);
    for (size_t i = 0; i < resources->count; i++)
        if (is_own(resources->items[i].resource) && row_implemented(g, &resources->items[i]))
            buf_printf(out, "host_drop drop_%s;\n", resources->items[i].resource->name);
    for (size_t i = 0; i < funcs->count; i++)
        if (has_own_glue(&funcs->items[i]) && row_implemented(g, &funcs->items[i]))
            buf_printf(out, "host_fn glue_%s;\n", gen_function(g, funcs->items[i].from, funcs->items[i].func));
    buf_printf(out, "\n#endif\n");
}

static void write_tables_source(struct generator *g, struct bindings *bindings, const row_list *funcs,
                                const row_list *resources)
{
    struct buf *out = new_file(g, bindings, "interfaces.c");
    if (!out)
        return;
    buf_printf(out, "#include \"%.*s/interfaces.h\"\n\n#include \"%.*s/common.h\"\n\n", STR_ARG(g->include),
               STR_ARG(g->include));
    buf_printf(out, "const struct host_function host_functions[HOST_FUNCTION_COUNT + 1] = {\n");
    for (size_t i = 0; i < funcs->count; i++)
        write_func_row(g, out, &funcs->items[i]);
    buf_printf(out, "    {0},\n};\n\nconst struct host_resource host_resources[HOST_RESOURCE_COUNT + 1] = {\n");
    for (size_t i = 0; i < resources->count; i++)
        write_resource_row(g, out, &resources->items[i]);
    buf_printf(out, "    {0},\n};\n");
}

static void write_files(struct generator *g, struct bindings *bindings)
{
    row_list funcs = {0}, resources = {0};
    write_common(g, bindings);
    for (uint32_t p = 0; p < g->package_count; p++) {
        if (g->packages[p].final != GEN_NO_PACKAGE && !g->packages[p].types.size && !g->packages[p].protos.size)
            continue; /* a draft that has nothing of its own */
        write_header(g, bindings, &g->packages[p]);
        write_source(g, bindings, &g->packages[p]);
    }
    collect_rows(g, &funcs, &resources);
    write_tables_header(g, bindings, &funcs, &resources);
    write_tables_source(g, bindings, &funcs, &resources);
    VEC_FREE(&funcs);
    VEC_FREE(&resources);
    for (size_t i = 0; i < bindings->files.count; i++)
        g->failed |= bindings->files.items[i].text.failed;
}

/* --- all --- */

static void generator_free(struct generator *g)
{
    for (uint32_t p = 0; p < g->package_count; p++) {
        buf_free(&g->packages[p].types);
        buf_free(&g->packages[p].protos);
        buf_free(&g->packages[p].helpers);
        buf_free(&g->packages[p].glue);
        map_free(&g->packages[p].emitted);
    }
    VEC_FREE(&g->named);
    VEC_FREE(&g->resources);
    buf_free(&g->common);
    map_free(&g->types);
    arena_free(&g->arena);
}

static bool generate(struct generator *g, struct bindings *bindings)
{
    if (!place_packages(g))
        return false;
    for (uint32_t p = 0; p < g->package_count; p++)
        collect_names(g, p);
    if (!write_parts(g))
        return false;
    write_files(g, bindings);
    return g->failed ? err_memory(g->err) : true;
}

bool bindings_generate(const struct wit *wit, struct str include, struct str implemented, struct bindings *ret_bindings,
                       struct err *err)
{
    struct bindings bindings = {0};
    struct generator *g = mem_alloc(1, sizeof *g);
    if (!g)
        return err_memory(err);
    g->wit = wit;
    g->err = err;
    g->include = include;
    g->implemented = implemented;
    arena_init(&g->arena, 4 * GENERATE_MAX_TEXT);
    buf_init(&g->common, GENERATE_MAX_TEXT);
    bool ok = generate(g, &bindings);
    generator_free(g);
    mem_free(g);
    if (ok)
        *ret_bindings = bindings;
    else
        bindings_free(&bindings);
    return ok;
}

void bindings_free(struct bindings *bindings)
{
    for (size_t i = 0; i < bindings->files.count; i++)
        buf_free(&bindings->files.items[i].text);
    VEC_FREE(&bindings->files);
}
