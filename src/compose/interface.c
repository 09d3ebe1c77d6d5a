/* The types of imported interfaces, written anew from what was decoded of the parts.
 *
 * Value types are written out, because they are what they look like. A resource type is somebody's: the interface that
 * has it declares it, and others name it there; so parts that get the same interface can hand each other its resources.
 *
 * What several parts need of an interface is joined: what the first one declares is taken, and what others have beyond
 * that follows. Whether it fits all of them is found when the whole is validated. */
#include "compose/inner.h"

#define BODY_MAX ((size_t)64 << 20) /* of one interface's type */

/* A resource, or another type of another interface, by its index in the type that is written. */
struct known {
    struct known *next;
    const struct group *group;
    struct str name;
    uint32_t index;
};

/* The type of an interface while it is written. */
struct writing {
    struct compose *c;
    struct group *group;
    struct buf body;
    uint32_t declared, types;
    struct known *known;
    struct remap *numbers; /* of each part: the index of a value type, plus 1, by its number */
};

static bool write_type(struct writing *w, const struct part *part, const struct type *type, struct buf *to);

static const struct naming *find_naming(const struct part *part, uint32_t number)
{
    const void **found = remap_get(&part->names, number);
    return found ? *found : NULL;
}

static bool remember(struct writing *w, const struct part *part, uint32_t number, uint32_t index)
{
    return remap_put(&w->c->check, &w->numbers[part->number], number, (const void *)(uintptr_t)(index + 1));
}

static bool add_known(struct writing *w, const struct group *group, struct str name, uint32_t index)
{
    struct known *known = ARENA_NEW(w->c->check.arena, struct known);
    if (!known)
        return checker_memory(&w->c->check);
    *known = (struct known){w->known, group, name, index};
    w->known = known;
    return true;
}

/* A type of another interface. */
static bool take_outer(struct writing *w, const struct naming *naming, uint32_t *ret)
{
    uint32_t outer;
    if (!group_type(w->c, naming, &outer))
        return false;
    emit_byte(&w->body, 2);
    emit_byte(&w->body, EMIT_SORT_TYPE);
    emit_byte(&w->body, 2);
    emit_number(&w->body, 1);
    emit_number(&w->body, outer);
    w->declared++;
    *ret = w->types++;
    return add_known(w, naming->group, naming->name, *ret);
}

static bool find_named(struct writing *w, const struct part *part, const struct naming *naming, uint32_t *ret)
{
    if (!naming || !naming->group)
        return checker_fail(&w->c->check, ERR_UNSUPPORTED,
                            "%s: interface `%.*s` has a type of no interface of the host", part->path,
                            STR_ARG(w->group->name));
    for (const struct known *known = w->known; known; known = known->next)
        if (known->group == naming->group && str_eq(known->name, naming->name)) {
            *ret = known->index;
            return true;
        }
    if (naming->group == w->group)
        return checker_fail(&w->c->check, ERR_UNSUPPORTED, "%s: interface `%.*s` uses `%.*s` before it has it",
                            part->path, STR_ARG(w->group->name), STR_ARG(naming->name));
    return take_outer(w, naming, ret);
}

/* ---- value types ---- */

static bool write_optional(struct writing *w, const struct part *part, const struct type *type, struct buf *to)
{
    emit_byte(to, type != NULL);
    return !type || write_type(w, part, type, to);
}

static bool write_items(struct writing *w, const struct part *part, const struct type *type, struct buf *to)
{
    bool labels = type->kind != TYPE_TUPLE, payloads = type->kind == TYPE_RECORD || type->kind == TYPE_TUPLE;
    emit_number(to, type->count);
    for (uint32_t i = 0; i < type->count; i++) {
        if (labels)
            emit_text(to, type->items[i].name);
        if (payloads && !write_type(w, part, type->items[i].type, to))
            return false;
        if (type->kind == TYPE_VARIANT && !write_optional(w, part, type->items[i].type, to))
            return false;
        if (type->kind == TYPE_VARIANT)
            emit_byte(to, 0);
    }
    return true;
}

static bool write_handle(struct writing *w, const struct part *part, const struct type *type, struct buf *to)
{
    uint32_t index;
    if (!find_named(w, part, find_naming(part, node_of(type)->def->abstract->number), &index))
        return false;
    emit_number(to, index);
    return true;
}

static bool write_result(struct writing *w, const struct part *part, const struct type *type, struct buf *to)
{
    return write_optional(w, part, type->items[0].type, to) && write_optional(w, part, type->items[1].type, to);
}

static bool write_map(struct writing *w, const struct part *part, const struct type *type, struct buf *to)
{
    const struct type_item *entry = type->element->items;
    return write_type(w, part, entry[0].type, to) && write_type(w, part, entry[1].type, to);
}

static bool write_fixed(struct writing *w, const struct part *part, const struct type *type, struct buf *to)
{
    bool done = write_type(w, part, type->element, to);
    emit_number(to, type->count);
    return done;
}

static bool write_element(struct writing *w, const struct part *part, const struct type *type, struct buf *to)
{
    return write_type(w, part, type->element, to);
}

static bool write_passed(struct writing *w, const struct part *part, const struct type *type, struct buf *to)
{
    return write_optional(w, part, type->element, to);
}

static const struct {
    uint8_t code;
    bool (*write)(struct writing *w, const struct part *part, const struct type *type, struct buf *to);
} forms[] = {
    [TYPE_LIST] = {0x70, write_element},   [TYPE_FIXED_LIST] = {0x67, write_fixed},
    [TYPE_MAP] = {0x63, write_map},        [TYPE_RECORD] = {0x72, write_items},
    [TYPE_TUPLE] = {0x6f, write_items},    [TYPE_VARIANT] = {0x71, write_items},
    [TYPE_ENUM] = {0x6d, write_items},     [TYPE_FLAGS] = {0x6e, write_items},
    [TYPE_OPTION] = {0x6b, write_element}, [TYPE_RESULT] = {0x6a, write_result},
    [TYPE_OWN] = {0x69, write_handle},     [TYPE_BORROW] = {0x68, write_handle},
    [TYPE_STREAM] = {0x66, write_passed},  [TYPE_FUTURE] = {0x65, write_passed},
};

static bool is_plain(const struct type *type)
{
    return type->kind <= TYPE_STRING || type->kind == TYPE_ERROR_CONTEXT;
}

static uint8_t plain_code(const struct type *type)
{
    return type->kind == TYPE_ERROR_CONTEXT ? 0x64 : (uint8_t)(0x7f - type->kind);
}

/* A definition of its own, with this as the rest of it; takes the buffer over. */
static bool define(struct writing *w, struct buf *rest, uint32_t *ret)
{
    emit_byte(&w->body, 1);
    buf_append(&w->body, rest->data, rest->size);
    bool done = !rest->failed && !w->body.failed;
    buf_free(rest);
    w->declared++;
    *ret = w->types++;
    return done || checker_memory(&w->c->check);
}

/* As it is built, whatever its name is. */
static bool write_structure(struct writing *w, const struct part *part, const struct type *type, uint32_t *ret)
{
    struct buf rest;
    buf_init(&rest, BODY_MAX);
    bool plain = is_plain(type);
    emit_byte(&rest, plain ? plain_code(type) : forms[type->kind].code);
    if (plain || forms[type->kind].write(w, part, type, &rest))
        return define(w, &rest, ret);
    buf_free(&rest);
    return false;
}

static bool type_index(struct writing *w, const struct part *part, const struct type *type, uint32_t *ret)
{
    uint32_t number = node_of(type)->shape.number;
    const void **found = remap_get(&w->numbers[part->number], number);
    const struct naming *naming = find_naming(part, number);
    if (found) {
        *ret = (uint32_t)((uintptr_t)*found - 1);
        return true;
    }
    bool elsewhere = naming && naming->group && naming->group != w->group;
    return (elsewhere ? take_outer(w, naming, ret) : write_structure(w, part, type, ret)) &&
           remember(w, part, number, *ret);
}

static bool write_type(struct writing *w, const struct part *part, const struct type *type, struct buf *to)
{
    uint32_t index;
    if (!checker_step(&w->c->check))
        return false;
    if (is_plain(type)) {
        emit_byte(to, plain_code(type));
        return true;
    }
    if (!type_index(w, part, type, &index))
        return false;
    emit_type_index(to, index);
    return true;
}

/* ---- what an interface has ---- */

static void declare(struct writing *w, struct str name)
{
    emit_byte(&w->body, 4);
    emit_byte(&w->body, 0);
    emit_text(&w->body, name);
    w->declared++;
}

/* An export that is another type's name. */
static uint32_t declare_type(struct writing *w, struct str name, uint32_t index)
{
    declare(w, name);
    emit_byte(&w->body, EMIT_SORT_TYPE);
    emit_byte(&w->body, 0);
    emit_number(&w->body, index);
    return w->types++;
}

static bool write_resource(struct writing *w, const struct part *part, const struct extern_decl *decl)
{
    const struct naming *naming = find_naming(part, decl->type.resource->abstract->number);
    uint32_t index;
    if (naming && naming->group == w->group && str_eq(naming->name, decl->name)) {
        declare(w, decl->name);
        emit_byte(&w->body, EMIT_SORT_TYPE);
        emit_byte(&w->body, 1);
        return add_known(w, w->group, decl->name, w->types++);
    }
    if (!find_named(w, part, naming, &index))
        return false;
    index = declare_type(w, decl->name, index);
    return naming->group == w->group || add_known(w, naming->group, naming->name, index); /* a method wants its own's */
}

static bool write_value(struct writing *w, const struct part *part, const struct extern_decl *decl)
{
    const struct node *node = decl->type.value;
    uint32_t index;
    return write_structure(w, part, &node->type, &index) &&
           remember(w, part, node->shape.number, declare_type(w, decl->name, index)) &&
           add_known(w, w->group, decl->name, w->types - 1);
}

static bool write_func(struct writing *w, const struct part *part, const struct extern_decl *decl)
{
    const struct func_type *func = &decl->type.func->type;
    struct buf rest;
    uint32_t index;
    buf_init(&rest, BODY_MAX);
    emit_byte(&rest, func->async_ ? 0x43 : 0x40);
    emit_number(&rest, func->param_count);
    bool done = true;
    for (uint32_t i = 0; done && i < func->param_count; i++) {
        emit_text(&rest, func->params[i].name);
        done = write_type(w, part, func->params[i].type, &rest);
    }
    emit_byte(&rest, func->result ? 0 : 1);
    if (done && func->result)
        done = write_type(w, part, func->result, &rest);
    else
        emit_byte(&rest, 0);
    if (!done) {
        buf_free(&rest);
        return false;
    }
    if (!define(w, &rest, &index))
        return false;
    declare(w, decl->name);
    emit_byte(&w->body, EMIT_SORT_FUNC);
    emit_number(&w->body, index);
    return true;
}

static bool write_decl(struct writing *w, const struct part *part, const struct extern_decl *decl)
{
    if (decl->type.sort == SORT_FUNC)
        return write_func(w, part, decl);
    if (decl->type.sort == SORT_TYPE && decl->type.def == DEF_RESOURCE)
        return write_resource(w, part, decl);
    if (decl->type.sort == SORT_TYPE && decl->type.def == DEF_VALUE)
        return write_value(w, part, decl);
    return checker_fail(&w->c->check, ERR_UNSUPPORTED, "%s: interface `%.*s` has `%.*s`, which no host can give",
                        part->path, STR_ARG(w->group->name), STR_ARG(decl->name));
}

/* Already declared for another part: a value type is the same one under this part's number. */
static bool is_declared(struct writing *w, const struct use *use, const struct extern_decl *decl, bool *ret)
{
    *ret = false;
    for (const struct use *before = w->group->uses; before != use && !*ret; before = before->next)
        *ret = externs_find(&before->decl->type.instance->exports, decl->name) != NULL;
    if (!*ret || decl->type.sort != SORT_TYPE || decl->type.def != DEF_VALUE)
        return true;
    for (const struct known *known = w->known; known; known = known->next)
        if (known->group == w->group && str_eq(known->name, decl->name))
            return remember(w, use->part, decl->type.value->shape.number, known->index);
    return true;
}

static bool write_use(struct writing *w, const struct use *use)
{
    const struct externs *exports = &use->decl->type.instance->exports;
    bool declared;
    for (uint32_t i = 0; i < exports->count; i++)
        if (!is_declared(w, use, &exports->items[i], &declared) ||
            (!declared && !write_decl(w, use->part, &exports->items[i])))
            return false;
    return true;
}

static bool write_import(struct compose *c, struct group *group, struct writing *w)
{
    struct buf type, import;
    buf_init(&type, BODY_MAX + 64);
    emit_number(&type, 1);
    emit_byte(&type, 0x42);
    emit_number(&type, w->declared);
    buf_append(&type, w->body.data, w->body.size);
    if (!emit_section(c, EMIT_TYPE, &type))
        return false;
    buf_init(&import, 4096);
    emit_number(&import, 1);
    emit_byte(&import, 0);
    emit_text(&import, group->name);
    emit_byte(&import, EMIT_SORT_INSTANCE);
    emit_number(&import, c->types++);
    group->instance = c->instances++;
    group->state = GROUP_WRITTEN;
    return emit_section(c, EMIT_IMPORT, &import);
}

bool group_write(struct compose *c, struct group *group)
{
    struct writing w = {.c = c, .group = group};
    if (group->state == GROUP_WRITTEN)
        return true;
    if (group->state == GROUP_OPEN)
        return checker_fail(&c->check, ERR_UNSUPPORTED, "interface `%.*s` has types of one that has types of it",
                            STR_ARG(group->name));
    group->state = GROUP_OPEN;
    w.numbers = ARENA_ARRAY(c->check.arena, struct remap, c->part_count);
    if (!w.numbers)
        return checker_memory(&c->check);
    buf_init(&w.body, BODY_MAX);
    bool done = true;
    for (const struct use *use = group->uses; done && use; use = use->next)
        done = write_use(&w, use);
    done = done && (!w.body.failed || checker_memory(&c->check)) && write_import(c, group, &w);
    buf_free(&w.body);
    return done;
}

bool group_type(struct compose *c, const struct naming *naming, uint32_t *ret_index)
{
    struct buf body;
    if (!group_write(c, naming->group))
        return false;
    for (const struct outer_type *at = c->outer_types; at; at = at->next)
        if (at->group == naming->group && str_eq(at->name, naming->name)) {
            *ret_index = at->index;
            return true;
        }
    struct outer_type *type = ARENA_NEW(c->check.arena, struct outer_type);
    if (!type)
        return checker_memory(&c->check);
    *type = (struct outer_type){c->outer_types, naming->group, naming->name, c->types++};
    c->outer_types = type;
    buf_init(&body, 4096);
    emit_number(&body, 1);
    emit_byte(&body, EMIT_SORT_TYPE);
    emit_byte(&body, 0);
    emit_number(&body, naming->group->instance);
    emit_text(&body, naming->name);
    *ret_index = type->index;
    return emit_section(c, EMIT_ALIAS, &body);
}
