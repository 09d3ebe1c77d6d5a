/* What some components export as a WIT document for who is to import it: see world.h.
 *
 * Interfaces are found by writing them: the types that one uses of others are known only then. Each is written once to
 * find them, and once for good. */
#include "component/world_inner.h"

#include <stdlib.h>

struct document {
    struct arena *arena;
    struct err *err;
    struct buf *out;
    struct interface *items;
    uint32_t count, capacity, looked; /* `looked`: so many were written to find others */
};

/* ---- the interfaces ---- */

static uint32_t size_of(const struct extern_decl *home)
{
    return home->type.instance->exports.count;
}

/* All that the world's component imports or exports under this name. */
static bool find_parts(struct interface *interface, const struct externs *externs, struct arena *arena)
{
    struct checker *c = &interface->world->check;
    for (uint32_t i = 0; i < externs->count; i++) {
        const struct extern_decl *decl = &externs->items[i];
        if (!checker_step(c))
            return false;
        if (decl->type.sort != SORT_INSTANCE || !str_eq(world_interface(decl), world_interface(interface->home)))
            continue;
        struct part *part = ARENA_NEW(arena, struct part);
        if (!part)
            return checker_memory(c);
        *part = (struct part){&decl->type.instance->exports, NULL};
        if (interface->last)
            interface->last->next = part;
        else
            interface->parts = part;
        interface->last = part;
    }
    return true;
}

static bool fill(struct document *document, struct interface *interface, struct world *world, struct str id,
                 const struct extern_decl *home)
{
    const struct component_type *type = &world->component->type;
    *interface = (struct interface){.world = world, .id = id, .home = home};
    return find_parts(interface, &type->imports, document->arena) &&
           find_parts(interface, &type->exports, document->arena);
}

static bool add_interface(struct document *document, struct world *world, struct str id, const struct extern_decl *home)
{
    for (uint32_t i = 0; i < document->count; i++) {
        struct interface *there = &document->items[i];
        if (!checker_step(&world->check))
            return false;
        if (!str_eq(there->id, id))
            continue;
        if (there->world == world || size_of(there->home) >= size_of(home))
            return true;
        document->looked = i < document->looked ? i : document->looked; /* it may use more */
        return fill(document, there, world, id, home);
    }
    struct interface *last = LIST_PUSH(&world->check, document, DECLARATORS);
    return last && fill(document, last, world, id, home);
}

/* Those whose types a view took. */
static bool add_used(struct document *document, const struct view *view)
{
    for (uint32_t i = 0; i < view->uses.count; i++) {
        const struct extern_decl *home = view->uses.items[i].place->interface;
        if (!add_interface(document, view->world, world_interface(home), home))
            return false;
    }
    return true;
}

static bool find_used(struct document *document)
{
    while (document->looked < document->count) {
        const struct interface interface = document->items[document->looked++];
        struct buf scratch;
        buf_init(&scratch, document->out->max);
        struct view view = interface_view(&interface, &scratch);
        bool done = view_interface(&view);
        document->out->failed |= scratch.failed;
        buf_free(&scratch);
        if (!done || !add_used(document, &view))
            return false;
    }
    return true;
}

/* ---- the world ---- */

/* The functions of one component that are imported. */
struct functions {
    const struct world_import *imports;
    uint32_t count;
};

static bool is_function_of(const struct world_import *import, const struct world *world)
{
    return import->world == world && import->exported->type.sort == SORT_FUNC;
}

/* Before them the types that their component has beside its interfaces. */
static bool write_functions(struct view *view, struct members *members)
{
    const struct functions *functions = view->subject;
    if (!view_types(view, members))
        return false;
    for (uint32_t i = 0; i < functions->count; i++) {
        const struct world_import *import = &functions->imports[i];
        if (is_function_of(import, view->world) &&
            !(view_line(view) && view_put(view, "import ") &&
              view_function(view, import->name, "", import->exported->type.func, 0)))
            return false;
    }
    return true;
}

static bool put_functions(struct document *document, struct world *world, const struct functions *functions)
{
    const struct component_type *type = &world->component->type;
    struct part exports = {&type->exports, NULL}, imports = {&type->imports, &exports};
    struct view view = {
        .world = world, .out = document->out, .id = STR(""), .parts = &imports, .document = true, .subject = functions};
    return view_body(&view, write_functions) && add_used(document, &view);
}

static bool put_instance(struct document *document, const struct world_import *import)
{
    const struct extern_decl *decl = import->exported;
    struct part part = {&decl->type.instance->exports, NULL};
    struct view view = {.world = import->world,
                        .out = document->out,
                        .home = decl,
                        .id = STR(""),
                        .parts = &part,
                        .document = true,
                        .indent = VIEW_INDENT};
    if (!view_line(&view) || !view_put(&view, "import "))
        return false;
    if (str_find(import->name, ':') < import->name.len)
        return view_path(&view, import->name) && view_put(&view, ";") &&
               add_interface(document, import->world, import->name, decl);
    return view_word(&view, import->name) && view_put(&view, ": interface") && view_interface(&view) &&
           add_used(document, &view);
}

/* Functions with the first one of their component. */
static bool put_import(struct document *document, const struct functions *all, uint32_t index)
{
    const struct world_import *import = &all->imports[index];
    if (import->exported->type.sort == SORT_INSTANCE)
        return put_instance(document, import);
    if (import->exported->type.sort != SORT_FUNC)
        return err_set(document->err, ERR_UNSUPPORTED, "%.*s is a %s, which no world imports", STR_ARG(import->name),
                       world_kind(&import->exported->type));
    for (uint32_t i = 0; i < index; i++)
        if (is_function_of(&all->imports[i], import->world))
            return true;
    return put_functions(document, import->world, all);
}

static bool put_document(struct document *document, const struct functions *all)
{
    struct view view = {.world = all->imports[0].world, .out = document->out};
    if (!view_put(&view, "package root:component;\n\nworld root {"))
        return false;
    for (uint32_t i = 0; i < all->count; i++)
        if (!put_import(document, all, i))
            return false;
    if (!view_put(&view, "\n}") || !find_used(document))
        return false;
    if (document->count)
        qsort(document->items, document->count, sizeof *document->items, interface_order);
    return view_packages(&view, document->items, document->count) && view_put(&view, "\n");
}

bool world_put_imports(const struct world_import *imports, uint32_t count, struct buf *out, struct err *err)
{
    const struct functions all = {imports, count};
    if (count == 0)
        return true;
    struct document document = {.arena = imports[0].world->check.arena, .err = err, .out = out};
    if (put_document(&document, &all))
        return true;
    return out->failed ? err_set(err, ERR_LIMIT, "more than %zu bytes of text", out->max) : false;
}
