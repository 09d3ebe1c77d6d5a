/* A component's world as a WIT document: see world.h.
 *
 * An interface that is both imported and exported, or implemented under several names, is printed once: every part adds
 * what the earlier ones lack. The body of an interface is written before its `use` lines are known, so it goes to a
 * buffer of its own. Functions of resources follow their resource, in their order.
 */
#include "component/world_inner.h"

#include <stdlib.h>

/* What hangs on the resources of a list: by index of its externs, WASM_NO_INDEX ends. */
struct members {
    uint32_t *first, *last, *next;
    uint32_t count, printed;
};

static bool unsupported(struct view *view, const struct extern_decl *decl)
{
    return err_set(view->world->check.err, ERR_UNSUPPORTED, "%.*s is a %s, which WIT has no words for",
                   STR_ARG(decl->name), world_kind(&decl->type));
}

bool view_path(struct view *view, struct str path)
{
    size_t version = str_find(path, '@');
    struct str rest = str_slice(path, 0, version);
    for (;;) {
        size_t end = str_find(rest, ':') < str_find(rest, '/') ? str_find(rest, ':') : str_find(rest, '/');
        if (!view_word(view, str_slice(rest, 0, end)))
            return false;
        if (end == rest.len)
            return buf_append(view->out, path.ptr + version, path.len - version);
        if (!buf_append(view->out, rest.ptr + end, 1))
            return false;
        rest = str_slice(rest, end + 1, rest.len);
    }
}

/* --- functions --- */

bool view_function(struct view *view, struct str name, const char *kind, const struct func *func, uint32_t first)
{
    return view_word(view, name) && view_put(view, ": ") && view_put(view, kind) &&
           view_put(view, func->type.async_ ? "async func" : "func") &&
           view_signature(view, &func->type, first, true) && view_put(view, ";");
}

static bool put_constructor(struct view *view, const struct func *func)
{
    bool fallible = func->type.result && func->type.result->kind == TYPE_RESULT;
    return view_put(view, "constructor") && view_signature(view, &func->type, 0, fallible) && view_put(view, ";");
}

static bool put_member(struct view *view, const struct extern_decl *decl)
{
    struct extern_name name = {0};
    name_parse(decl->name, &name);
    if (!view_line(view))
        return false;
    switch (name.kind) {
    case NAME_CONSTRUCTOR: return put_constructor(view, decl->type.func);
    case NAME_METHOD: return view_function(view, name.label, "", decl->type.func, 1);
    default: return view_function(view, name.label, "static ", decl->type.func, 0);
    }
}

static bool is_member(const struct extern_decl *decl, struct str *ret_resource)
{
    struct extern_name name;
    if (decl->type.sort != SORT_FUNC || !name_parse(decl->name, &name) || name.kind == NAME_PLAIN)
        return false;
    *ret_resource = name.resource;
    return name.kind != NAME_INTERFACE;
}

/* Whether an earlier part has it. */
static bool is_repeated(struct view *view, const struct part *part, struct str name)
{
    for (const struct part *at = view->parts; at != part; at = at->next)
        if (!checker_step(&view->world->check) || externs_find(at->externs, name))
            return true;
    return false;
}

/* Which functions belong to which resource of the same list. */
static bool find_members(struct view *view, const struct part *part, struct members *ret)
{
    const struct externs *externs = part->externs;
    struct arena *arena = view->world->check.arena;
    struct members members = {ARENA_ARRAY(arena, uint32_t, externs->count),
                              ARENA_ARRAY(arena, uint32_t, externs->count),
                              ARENA_ARRAY(arena, uint32_t, externs->count), 0, 0};
    if (!members.first || !members.last || !members.next)
        return checker_memory(&view->world->check);
    for (uint32_t i = 0; i < externs->count; i++)
        members.first[i] = members.last[i] = members.next[i] = WASM_NO_INDEX;
    for (uint32_t i = 0; i < externs->count; i++) {
        struct str resource;
        if (!is_member(&externs->items[i], &resource) || is_repeated(view, part, externs->items[i].name))
            continue;
        const struct extern_decl *owner = externs_find(externs, resource);
        members.count++;
        if (!owner)
            continue;
        uint32_t at = (uint32_t)(owner - externs->items);
        *(members.first[at] == WASM_NO_INDEX ? &members.first[at] : &members.next[members.last[at]]) = i;
        members.last[at] = i;
    }
    *ret = members;
    return true;
}

/* --- types --- */

/* Functions of a resource that several parts have: all of them follow it. */
static bool put_resource(struct view *view, const struct extern_decl *decl, struct members *members)
{
    bool open = false;
    view->indent += VIEW_INDENT;
    uint32_t i = 0;
    for (const struct part *part = view->parts; part; part = part->next, i++) {
        const struct extern_decl *owner = externs_find(part->externs, decl->name);
        uint32_t at = owner ? members[i].first[owner - part->externs->items] : WASM_NO_INDEX;
        for (; at != WASM_NO_INDEX; at = members[i].next[at]) {
            if ((!open && !view_put(view, " {")) || !put_member(view, &part->externs->items[at]))
                return false;
            open = true;
            members[i].printed++;
        }
    }
    view->indent -= VIEW_INDENT;
    return open ? view_line(view) && view_put(view, "}") : view_put(view, ";");
}

static bool put_definition(struct view *view, const struct extern_decl *decl, struct members *members)
{
    if (decl->type.def == DEF_RESOURCE)
        return view_put(view, "resource ") && view_word(view, decl->name) && put_resource(view, decl, members);
    const struct type *type = &decl->type.value->type;
    bool items =
        type->kind == TYPE_RECORD || type->kind == TYPE_VARIANT || type->kind == TYPE_ENUM || type->kind == TYPE_FLAGS;
    if (items)
        return view_put(view, types_words(type->kind)) && view_put(view, " ") && view_word(view, decl->name) &&
               view_put(view, " ") && view_items(view, type);
    struct node plain = *decl->type.value;
    plain.shape.number = 0; /* its parts, not its name */
    return view_put(view, "type ") && view_word(view, decl->name) && view_put(view, " = ") &&
           view_type(view, &plain.type) && view_put(view, ";");
}

/* Its own name stands for it already, so that a `use` needs no other one. */
static bool use_type(struct view *view, const struct extern_decl *decl, const struct naming *place)
{
    struct use *use = LIST_PUSH(&view->world->check, &view->uses, DECLARATORS);
    if (use)
        *use = (struct use){place, decl->name};
    return use != NULL;
}

static bool put_type(struct view *view, const struct extern_decl *decl, struct members *members)
{
    const struct str *alias;
    const struct naming *place;
    if (!number_of(decl))
        return unsupported(view, decl);
    view_origin(view, decl, &alias, &place);
    if (place)
        return use_type(view, decl, place);
    if (!view_line(view))
        return false;
    if (alias)
        return view_put(view, "type ") && view_word(view, decl->name) && view_put(view, " = ") &&
               view_word(view, *alias) && view_put(view, ";");
    return put_definition(view, decl, members);
}

bool view_types(struct view *view, struct members *members)
{
    for (const struct part *part = view->parts; part; part = part->next)
        for (uint32_t i = 0; i < part->externs->count; i++) {
            const struct extern_decl *decl = &part->externs->items[i];
            if (decl->type.sort == SORT_TYPE && !is_repeated(view, part, decl->name) && !put_type(view, decl, members))
                return false;
        }
    return true;
}

static struct str package_of(struct str id)
{
    return str_slice(id, 0, str_find(id, '/'));
}

static struct str version_of(struct str id)
{
    return str_slice(id, str_find(id, '@'), id.len);
}

static bool same_package(struct str a, struct str b)
{
    return str_eq(package_of(a), package_of(b)) && str_eq(version_of(a), version_of(b));
}

/* "wasi:io/streams" -> "streams" */
static struct str label_of(struct str id)
{
    return str_slice(id, str_find(id, '/') + 1, str_find(id, '@'));
}

/* Within a package, which must not depend on itself, interfaces have short names. */
static bool put_user(struct view *view, struct str interface)
{
    return view->id.len && same_package(view->id, interface) ? view_word(view, label_of(interface))
                                                             : view_path(view, interface);
}

static bool put_uses(struct view *view, struct buf *out)
{
    view->out = out;
    for (uint32_t i = 0; i < view->uses.count; i++) {
        const struct use *use = &view->uses.items[i], *before = i ? use - 1 : NULL;
        bool same = before && before->place->interface == use->place->interface;
        if (same && !view_put(view, ", "))
            return false;
        if (!same && (!(i == 0 || view_put(view, "};")) || !view_line(view) || !view_put(view, "use ") ||
                      !put_user(view, world_interface(use->place->interface)) || !view_put(view, ".{")))
            return false;
        bool renamed = !str_eq(use->local, use->place->name);
        if (!view_word(view, use->place->name) || (renamed && !(view_put(view, " as ") && view_word(view, use->local))))
            return false;
    }
    return view->uses.count == 0 || view_put(view, "};");
}

/* --- interfaces --- */

static bool put_free_functions(struct view *view, const struct part *part)
{
    for (uint32_t i = 0; i < part->externs->count; i++) {
        const struct extern_decl *decl = &part->externs->items[i];
        struct str resource;
        if (decl->type.sort == SORT_TYPE || is_member(decl, &resource) || is_repeated(view, part, decl->name))
            continue;
        if (decl->type.sort != SORT_FUNC)
            return unsupported(view, decl);
        if (!view_line(view) || !view_function(view, decl->name, "", decl->type.func, 0))
            return false;
    }
    return true;
}

static uint32_t count_parts(const struct view *view)
{
    uint32_t count = 0;
    for (const struct part *part = view->parts; part; part = part->next)
        count++;
    return count;
}

static struct members *all_members(struct view *view)
{
    struct members *members = ARENA_ARRAY(view->world->check.arena, struct members, count_parts(view));
    if (!members)
        checker_memory(&view->world->check);
    uint32_t i = 0;
    for (const struct part *part = view->parts; members && part; part = part->next)
        if (!find_members(view, part, &members[i++]))
            return NULL;
    return members;
}

/* A function of a resource that is only used here has no place in WIT. */
static bool all_printed(struct view *view, const struct members *members)
{
    for (uint32_t i = 0; i < count_parts(view); i++)
        if (members[i].printed != members[i].count)
            return err_set(view->world->check.err, ERR_UNSUPPORTED,
                           "functions of another interface's resource, which WIT has no words for");
    return view->world->check.work > 0 || checker_limit(&view->world->check, COMPONENT_LIMIT_WORK);
}

bool view_body(struct view *view, bool (*write)(struct view *view, struct members *members))
{
    struct buf body, *out = view->out;
    struct members *members = view_enter(view) ? all_members(view) : NULL;
    buf_init(&body, out->max);
    view->out = &body;
    view->indent += VIEW_INDENT;
    bool done = members && write(view, members) && all_printed(view, members) && put_uses(view, out) &&
                buf_append(out, body.data, body.size);
    out->failed |= body.failed;
    view->indent -= VIEW_INDENT;
    view->out = out;
    buf_free(&body);
    return done;
}

static bool write_interface(struct view *view, struct members *members)
{
    bool done = view_types(view, members);
    for (const struct part *part = view->parts; done && part; part = part->next)
        done = put_free_functions(view, part);
    return done;
}

bool view_interface(struct view *view)
{
    return view_put(view, " {") && view_body(view, write_interface) && view_line(view) && view_put(view, "}");
}

struct view interface_view(const struct interface *interface, struct buf *out)
{
    return (struct view){.world = interface->world,
                         .out = out,
                         .home = interface->home,
                         .id = interface->id,
                         .parts = interface->parts,
                         .document = true};
}

/* --- the world --- */

static bool put_instance(struct view *view, const struct extern_decl *decl)
{
    struct str interface = world_interface(decl);
    bool plain = interface.len == 0 || decl->implements.len;
    if (plain && !(view_word(view, decl->name) && view_put(view, ": ")))
        return false;
    if (interface.len)
        return view_path(view, interface) && view_put(view, ";");
    struct part part = {&decl->type.instance->exports, NULL};
    struct view inner = {.world = view->world,
                         .out = view->out,
                         .home = decl,
                         .id = STR(""),
                         .parts = &part,
                         .document = true,
                         .indent = view->indent};
    return view_put(view, "interface") && view_interface(&inner);
}

static bool put_externs(struct view *view, const struct externs *externs, const char *word)
{
    for (uint32_t i = 0; i < externs->count; i++) {
        const struct extern_decl *decl = &externs->items[i];
        struct str resource;
        if (decl->type.sort == SORT_TYPE || is_member(decl, &resource))
            continue;
        if (decl->type.sort != SORT_FUNC && decl->type.sort != SORT_INSTANCE)
            return unsupported(view, decl);
        if (!view_line(view) || !view_put(view, word))
            return false;
        if (decl->type.sort == SORT_FUNC ? !view_function(view, decl->name, "", decl->type.func, 0)
                                         : !put_instance(view, decl))
            return false;
    }
    return true;
}

/* A world has types of its own by importing them. */
static bool exports_no_resource(struct view *view, const struct component_type *type)
{
    for (uint32_t i = 0; i < type->exports.count; i++) {
        const struct extern_decl *decl = &type->exports.items[i];
        const struct str *alias;
        const struct naming *place;
        if (!is_type(decl, DEF_RESOURCE) || externs_find(&type->imports, decl->name))
            continue;
        view_origin(view, decl, &alias, &place);
        if (!alias && !place)
            return unsupported(view, decl);
    }
    return true;
}

static bool write_world(struct view *view, struct members *members)
{
    const struct component_type *type = &view->world->component->type;
    return exports_no_resource(view, type) && view_types(view, members) &&
           put_externs(view, &type->imports, "import ") && put_externs(view, &type->exports, "export ");
}

/* --- packages --- */

struct named {
    struct str id;
    const struct extern_decl *decl;
};

static struct str named_id(const void *items, uint32_t index)
{
    return ((const struct named *)items)[index].id;
}

static uint32_t collect(const struct externs *externs, struct named *named, uint32_t count)
{
    for (uint32_t i = 0; i < externs->count; i++) {
        struct str id = world_interface(&externs->items[i]);
        if (externs->items[i].type.sort == SORT_INSTANCE && id.len)
            named[count++] = (struct named){id, &externs->items[i]};
    }
    return count;
}

/* The interfaces, each with its parts. */
static bool collect_interfaces(struct world *world, struct interface **ret_interfaces, uint32_t *ret_count)
{
    const struct component_type *type = &world->component->type;
    struct checker *c = &world->check;
    uint32_t most = type->imports.count + type->exports.count, count = 0;
    struct named *named = ARENA_ARRAY(c->arena, struct named, most);
    struct interface *interfaces = ARENA_ARRAY(c->arena, struct interface, most);
    struct part *parts = ARENA_ARRAY(c->arena, struct part, most);
    if (!named || !interfaces || !parts)
        return checker_memory(c);
    uint32_t found = collect(&type->exports, named, collect(&type->imports, named, 0));
    uint32_t *order = names_sort(c, named, found, named_id);
    for (uint32_t i = 0; order && i < found; i++) {
        const struct named *one = &named[order[i]];
        struct interface *last = count ? &interfaces[count - 1] : NULL;
        parts[i].externs = &one->decl->type.instance->exports;
        if (last && str_eq(last->id, one->id)) {
            last->last->next = &parts[i];
            last->last = &parts[i];
        } else {
            interfaces[count++] = (struct interface){world, one->id, one->decl, &parts[i], &parts[i]};
        }
    }
    *ret_interfaces = interfaces;
    *ret_count = count;
    return order != NULL;
}

int interface_order(const void *a, const void *b)
{
    const struct interface *left = a, *right = b;
    int order = str_order(package_of(left->id), package_of(right->id));
    order = order ? order : str_order(version_of(left->id), version_of(right->id));
    return order ? order : str_order(left->id, right->id);
}

static bool put_package_head(struct view *view, struct str id)
{
    struct str version = version_of(id);
    view->indent = VIEW_INDENT;
    return view_put(view, "\n\npackage ") && view_path(view, package_of(id)) &&
           buf_append(view->out, version.ptr, version.len) && view_put(view, " {");
}

static bool put_one(struct view *view, const struct interface *interface)
{
    struct view inner = interface_view(interface, view->out);
    inner.indent = view->indent;
    return view_line(view) && view_put(view, "interface ") && view_word(view, label_of(interface->id)) &&
           view_interface(&inner);
}

bool view_packages(struct view *view, const struct interface *all, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        bool first = i == 0 || !same_package(all[i - 1].id, all[i].id);
        bool last = i + 1 == count || !same_package(all[i].id, all[i + 1].id);
        if ((first && !put_package_head(view, all[i].id)) || !put_one(view, &all[i]) ||
            (last && !view_put(view, "\n}")))
            return false;
    }
    return true;
}

static bool put_document(struct world *world, struct view *view)
{
    struct interface *interfaces = NULL;
    uint32_t count = 0;
    if (!collect_interfaces(world, &interfaces, &count))
        return false;
    if (count)
        qsort(interfaces, count, sizeof *interfaces, interface_order);
    return view_put(view, "package root:component;\n\nworld root {") && view_body(view, write_world) &&
           view_put(view, "\n}") && view_packages(view, interfaces, count) && view_put(view, "\n");
}

bool world_put_wit(struct world *world, struct buf *out)
{
    const struct component_type *type = &world->component->type;
    struct part exports = {&type->exports, NULL}, imports = {&type->imports, &exports};
    struct view view = {.world = world, .out = out, .id = STR(""), .parts = &imports, .document = true};
    if (put_document(world, &view))
        return true;
    return out->failed ? err_set(world->check.err, ERR_LIMIT, "more than %zu bytes of text", out->max) : false;
}
