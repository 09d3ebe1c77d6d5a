/* See world.h: finding the names of types, and types in words. */
#include "component/world_inner.h"

#include "wit/wit.h"

struct str world_interface(const struct extern_decl *decl)
{
    if (!decl || decl->implements.len)
        return decl ? decl->implements : STR("");
    return str_find(decl->name, ':') < decl->name.len ? decl->name : STR("");
}

/* --- places --- */

static bool place_types(struct world *world, const struct externs *externs, const struct extern_decl *interface)
{
    for (uint32_t i = 0; i < externs->count; i++) {
        uint32_t number = number_of(&externs->items[i]);
        if (!number || remap_get(&world->places, number))
            continue;
        struct naming *place = ARENA_NEW(world->check.arena, struct naming);
        if (!place)
            return checker_memory(&world->check);
        *place = (struct naming){interface, externs->items[i].name};
        if (!checker_step(&world->check) || !remap_put(&world->check, &world->places, number, place))
            return false;
    }
    return true;
}

static bool place_all(struct world *world, const struct externs *externs)
{
    if (!place_types(world, externs, NULL))
        return false;
    for (uint32_t i = 0; i < externs->count; i++)
        if (externs->items[i].type.sort == SORT_INSTANCE &&
            !place_types(world, &externs->items[i].type.instance->exports, &externs->items[i]))
            return false;
    return true;
}

struct world *world_new(const struct component *component, struct arena *arena, struct err *err)
{
    struct world *world = ARENA_NEW(arena, struct world);
    if (!world) {
        err_memory(err);
        return NULL;
    }
    world->check = (struct checker){.arena = arena,
                                    .err = err,
                                    .offset = ERR_NO_OFFSET,
                                    .next_number = component->numbers,
                                    .work = COMPONENT_MAX_WORK};
    world->component = component;
    return place_all(world, &component->type.imports) && place_all(world, &component->type.exports) ? world : NULL;
}

/* --- the view --- */

static bool enter_names(struct view *view, const struct externs *externs)
{
    struct checker *c = &view->world->check;
    for (uint32_t i = 0; i < externs->count; i++) {
        uint32_t number = number_of(&externs->items[i]);
        if (number && !remap_get(&view->names, number) &&
            (!checker_step(c) || !remap_put(c, &view->names, number, &externs->items[i].name)))
            return false;
    }
    return true;
}

bool view_enter(struct view *view)
{
    for (const struct part *part = view->parts; part; part = part->next)
        if (!enter_names(view, part->externs))
            return false;
    return true;
}

bool view_put(struct view *view, const char *text)
{
    return buf_append(view->out, text, strlen(text));
}

bool view_line(struct view *view)
{
    static const char blanks[] = "                ";
    return view_put(view, "\n") && buf_append(view->out, blanks, view->indent);
}

bool view_word(struct view *view, struct str word)
{
    return (!wit_is_keyword(word) || view_put(view, "%")) && buf_append(view->out, word.ptr, word.len);
}

static bool is_taken(struct view *view, struct str name)
{
    for (const struct part *part = view->parts; part; part = part->next)
        if (externs_find(part->externs, name))
            return true;
    for (uint32_t i = 0; i < view->uses.count; i++)
        if (!checker_step(&view->world->check) || str_eq(view->uses.items[i].local, name))
            return true;
    return false;
}

/* Brings a type in under its name, or that with a number where the name is taken. */
static bool add_use(struct view *view, const struct naming *place, uint32_t number, const struct str **ret_local)
{
    struct checker *c = &view->world->check;
    struct use *use = LIST_PUSH(c, &view->uses, DECLARATORS);
    struct str *local = ARENA_NEW(c->arena, struct str);
    if (!use || !local)
        return use && checker_memory(c);
    *local = place->name;
    for (uint32_t i = 2; is_taken(view, *local) && c->work; i++) {
        struct buf text;
        buf_init(&text, place->name.len + 16);
        buf_printf(&text, "%.*s-n%u", STR_ARG(place->name), i);
        char *copy = text.failed ? NULL : arena_copy(c->arena, text.data, text.size);
        *local = (struct str){copy, text.size};
        buf_free(&text);
        if (!copy)
            return checker_memory(c);
    }
    *use = (struct use){place, *local};
    *ret_local = local;
    return (c->work || checker_limit(c, COMPONENT_LIMIT_WORK)) && remap_put(c, &view->names, number, local);
}

static const struct naming *find_place(struct view *view, uint32_t number)
{
    const void **found = remap_get(&view->world->places, number);
    return found ? *found : NULL;
}

static const struct str *find_local(struct view *view, uint32_t number)
{
    const void **found = remap_get(&view->names, number);
    return found ? *found : NULL;
}

/* A type by its name, where it has one that can be written here. */
static bool put_named(struct view *view, uint32_t number, bool *ret_done)
{
    const struct str *local = find_local(view, number);
    const struct naming *place = local ? NULL : find_place(view, number);
    struct str interface = place ? world_interface(place->interface) : STR("");
    *ret_done = local || interface.len || (place && !view->document);
    if (place && interface.len && view->document && !add_use(view, place, number, &local))
        return false;
    if (!*ret_done)
        return true;
    if (local)
        return view_word(view, *local);
    if (interface.len)
        return buf_printf(view->out, "%.*s.{%.*s}", STR_ARG(interface), STR_ARG(place->name));
    return view_word(view, place->name);
}

void view_origin(struct view *view, const struct extern_decl *decl, const struct str **ret_alias,
                 const struct naming **ret_place)
{
    const struct node *node = is_type(decl, DEF_VALUE) ? decl->type.value : NULL;
    uint32_t number = number_of(decl);
    *ret_alias = NULL;
    *ret_place = NULL;
    for (unsigned hops = 0; number && hops < COMPONENT_MAX_NESTING; hops++) {
        const struct str *local = find_local(view, number);
        const struct naming *place = find_place(view, number);
        bool here = place && (place->interface == view->home ||
                              (view->id.len && str_eq(world_interface(place->interface), view->id)));
        bool own = here && str_eq(place->name, decl->name);
        if (local && !str_eq(*local, decl->name))
            *ret_alias = local;
        else if (place && !own && (world_interface(place->interface).len || !view->document))
            *ret_place = place;
        if (*ret_alias || *ret_place)
            return;
        node = node ? node->origin : NULL;
        number = node ? node->shape.number : 0;
    }
}

/* --- types --- */

static bool cannot_name(struct view *view, const char *what)
{
    return err_set(view->world->check.err, ERR_UNSUPPORTED, "a %s without a name that WIT could refer to", what);
}

static bool put_handle(struct view *view, const struct type *type)
{
    bool done, borrow = type->kind == TYPE_BORROW;
    if ((borrow && !view_put(view, "borrow<")) || !put_named(view, node_of(type)->def->abstract->number, &done))
        return false;
    if (!done && view->document)
        return cannot_name(view, "resource");
    return (done || view_put(view, "resource")) && (!borrow || view_put(view, ">"));
}

static bool put_item(struct view *view, const struct type *type, const struct type_item *item)
{
    bool record = type->kind == TYPE_RECORD;
    return view_word(view, item->name) &&
           (!item->type ||
            (view_put(view, record ? ": " : "(") && view_type(view, item->type) && (record || view_put(view, ")"))));
}

bool view_items(struct view *view, const struct type *type)
{
    bool ok = view_put(view, view->document ? "{" : "{ ");
    view->indent += VIEW_INDENT;
    for (uint32_t i = 0; ok && i < type->count; i++)
        ok = (view->document ? view_line(view) : i == 0 || view_put(view, ", ")) &&
             put_item(view, type, &type->items[i]) && (!view->document || view_put(view, ","));
    view->indent -= VIEW_INDENT;
    return ok && (view->document ? view_line(view) && view_put(view, "}") : view_put(view, " }"));
}

static bool put_result(struct view *view, const struct type *type)
{
    const struct type *ok = type->items[0].type, *error = type->items[1].type;
    if (!ok && !error)
        return true;
    return view_put(view, "<") && (ok ? view_type(view, ok) : view_put(view, "_")) &&
           (!error || (view_put(view, ", ") && view_type(view, error))) && view_put(view, ">");
}

static bool put_list(struct view *view, const struct type *type)
{
    bool ok = view_put(view, "<");
    for (uint32_t i = 0; ok && i < type->count; i++)
        ok = (i == 0 || view_put(view, ", ")) && view_type(view, type->items[i].type);
    return ok && view_put(view, ">");
}

static bool put_element(struct view *view, const struct type *type)
{
    if (!type->element)
        return true;
    if (type->kind == TYPE_MAP)
        return put_list(view, type->element);
    bool ok = view_put(view, "<") && view_type(view, type->element);
    if (ok && type->kind == TYPE_FIXED_LIST)
        ok = buf_printf(view->out, ", %u", type->count);
    return ok && view_put(view, ">");
}

/* As it is built, its parts by name. */
static bool put_structure(struct view *view, const struct type *type)
{
    bool fixed = type->kind == TYPE_FIXED_LIST;
    if (!view_put(view, fixed ? "list" : types_words(type->kind)))
        return false;
    switch (type->kind) {
    case TYPE_RECORD:
    case TYPE_VARIANT:
    case TYPE_ENUM:
    case TYPE_FLAGS: return view_put(view, " ") && view_items(view, type);
    case TYPE_TUPLE: return put_list(view, type);
    case TYPE_RESULT: return put_result(view, type);
    default: return put_element(view, type);
    }
}

static bool must_have_name(enum type_kind kind)
{
    return kind == TYPE_RECORD || kind == TYPE_VARIANT || kind == TYPE_ENUM || kind == TYPE_FLAGS;
}

bool view_type(struct view *view, const struct type *type)
{
    bool done;
    if (view->out->failed || !put_named(view, node_of(type)->shape.number, &done))
        return false;
    if (done)
        return true;
    if (type->kind == TYPE_OWN || type->kind == TYPE_BORROW)
        return put_handle(view, type);
    if (must_have_name(type->kind) && view->document)
        return cannot_name(view, types_words(type->kind));
    return put_structure(view, type);
}

bool view_result(struct view *view, const struct func_type *func)
{
    return !func->result || (view_put(view, " -> ") && view_type(view, func->result));
}

bool view_signature(struct view *view, const struct func_type *func, uint32_t first, bool result)
{
    bool ok = view_put(view, "(");
    for (uint32_t i = first; ok && i < func->param_count; i++)
        ok = (i == first || view_put(view, ", ")) && view_word(view, func->params[i].name) && view_put(view, ": ") &&
             view_type(view, func->params[i].type);
    return ok && view_put(view, ")") && (!result || view_result(view, func));
}

/* --- on one line --- */

static struct view *line_view(struct world *world, const struct extern_decl *home, struct buf *out)
{
    struct view *view = &world->line;
    if (!view->world || view->home != home) {
        const struct component_type *type = &world->component->type;
        world->line_parts[1] = (struct part){&type->exports, NULL};
        world->line_parts[0] = home ? (struct part){&home->type.instance->exports, NULL}
                                    : (struct part){&type->imports, &world->line_parts[1]};
        *view = (struct view){.world = world, .home = home, .id = world_interface(home), .parts = world->line_parts};
        if (!view_enter(view)) {
            view->world = NULL;
            return NULL;
        }
    }
    view->out = out;
    return view;
}

bool world_put_func(struct world *world, const struct extern_decl *home, const struct func *func, struct buf *out)
{
    struct view *view = line_view(world, home, out);
    return view && view_put(view, func->type.async_ ? "async func" : "func") &&
           view_signature(view, &func->type, 0, true);
}

bool world_put_type(struct world *world, const struct extern_decl *home, const struct extern_decl *decl,
                    struct buf *out)
{
    const struct str *alias;
    const struct naming *place;
    struct view *view = line_view(world, home, out);
    if (!view)
        return false;
    if (is_type(decl, DEF_FUNC))
        return world_put_func(world, home, decl->type.func, out);
    view_origin(view, decl, &alias, &place);
    if (alias)
        return view_word(view, *alias);
    if (place && world_interface(place->interface).len)
        return buf_printf(out, "%.*s.{%.*s}", STR_ARG(world_interface(place->interface)), STR_ARG(place->name));
    if (!is_type(decl, DEF_VALUE))
        return view_put(view, world_kind(&decl->type));
    const struct type *type = &decl->type.value->type;
    return type->kind == TYPE_OWN || type->kind == TYPE_BORROW ? put_handle(view, type) : put_structure(view, type);
}

const char *world_kind(const struct entity *entity)
{
    static const char *const defs[] = {"type", "function type", "component type", "interface type", "resource"};
    switch (entity->sort) {
    case SORT_TYPE: return defs[entity->def];
    case SORT_INSTANCE: return "interface";
    default: return sort_infos[entity->sort].words;
    }
}
