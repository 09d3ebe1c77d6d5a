/* The bytes of the outer component (Binary.md): each definition is a section of its own. */
#include "compose/inner.h"

void emit_byte(struct buf *out, uint8_t byte)
{
    buf_append(out, &byte, 1);
}

void emit_number(struct buf *out, uint64_t number)
{
    do {
        emit_byte(out, (uint8_t)((number & 0x7f) | (number > 0x7f ? 0x80 : 0)));
        number >>= 7;
    } while (number);
}

/* Signed: one bit more, which is 0. */
void emit_type_index(struct buf *out, uint32_t index)
{
    uint64_t number = index;
    while (number > 0x3f) {
        emit_byte(out, (uint8_t)((number & 0x7f) | 0x80));
        number >>= 7;
    }
    emit_byte(out, (uint8_t)number);
}

void emit_text(struct buf *out, struct str text)
{
    emit_number(out, text.len);
    if (text.len)
        buf_append(out, text.ptr, text.len);
}

static bool too_large(struct compose *c)
{
    if (!c->out->full)
        return checker_memory(&c->check);
    return checker_fail(&c->check, ERR_LIMIT, "together they are larger than %zu bytes", COMPOSE_BYTES_MAX);
}

bool emit_section(struct compose *c, uint8_t id, struct buf *body)
{
    emit_byte(c->out, id);
    emit_number(c->out, body->size);
    bool done = !body->failed && (body->size == 0 || buf_append(c->out, body->data, body->size)) && !c->out->failed;
    bool memory = body->failed;
    buf_free(body);
    return done || (memory ? checker_memory(&c->check) : too_large(c));
}

/* The part itself, without another copy. */
static bool emit_part(struct compose *c, const struct part *part)
{
    emit_byte(c->out, EMIT_COMPONENT);
    emit_number(c->out, part->size);
    return (buf_append(c->out, part->bytes, part->size) && !c->out->failed) || too_large(c);
}

/* ---- instances ---- */

static uint8_t sort_code(const struct extern_decl *decl)
{
    switch (decl->type.sort) {
    case SORT_FUNC: return EMIT_SORT_FUNC;
    case SORT_TYPE: return EMIT_SORT_TYPE;
    case SORT_COMPONENT: return EMIT_SORT_COMPONENT;
    case SORT_INSTANCE: return EMIT_SORT_INSTANCE;
    default: return 0;
    }
}

static uint32_t *space_of(struct compose *c, uint8_t sort)
{
    switch (sort) {
    case EMIT_SORT_FUNC: return &c->funcs;
    case EMIT_SORT_TYPE: return &c->types;
    case EMIT_SORT_COMPONENT: return &c->components;
    default: return &c->instances;
    }
}

/* An export of a part, in the outer component. */
static bool alias_export(struct compose *c, const struct part *part, const struct extern_decl *export, uint32_t *ret)
{
    struct buf body;
    uint8_t sort = sort_code(export);
    if (!sort)
        return checker_fail(&c->check, ERR_UNSUPPORTED, "%s exports `%.*s`, a core module", part->path,
                            STR_ARG(export->name));
    buf_init(&body, 4096);
    emit_number(&body, 1);
    emit_byte(&body, sort);
    emit_byte(&body, 0);
    emit_number(&body, part->instance);
    emit_text(&body, export->name);
    *ret = (*space_of(c, sort))++;
    return emit_section(c, EMIT_ALIAS, &body);
}

/* A type that is imported by itself is one of an interface. */
static bool type_argument(struct compose *c, const struct part *part, const struct extern_decl *import, uint32_t *ret)
{
    const struct node *node = import->type.def == DEF_VALUE ? import->type.value : NULL;
    uint32_t number = import->type.def == DEF_RESOURCE ? import->type.resource->abstract->number : 0;
    const void **found = number ? remap_get(&part->names, number) : NULL;
    for (node = node ? node->origin : NULL; node && !found; node = node->origin)
        found = remap_get(&part->names, node->shape.number);
    if (!found || !((const struct naming *)*found)->group)
        return checker_fail(&c->check, ERR_UNSUPPORTED, "%s imports `%.*s`, a type of no interface", part->path,
                            STR_ARG(import->name));
    return group_type(c, *found, ret);
}

static bool find_argument(struct compose *c, const struct part *part, uint32_t i, uint32_t *ret)
{
    const struct extern_decl *import = &part->component->type.imports.items[i];
    const struct link *link = &part->links[i];
    if (link->from)
        return alias_export(c, link->from, link->export, ret);
    if (!link->group)
        return type_argument(c, part, import, ret);
    *ret = link->group->instance;
    return true;
}

static bool instantiate(struct compose *c, struct part *part)
{
    const struct externs *imports = &part->component->type.imports;
    uint32_t *indices = ARENA_ARRAY(c->check.arena, uint32_t, imports->count);
    struct buf body;
    if (!indices)
        return checker_memory(&c->check);
    for (uint32_t i = 0; i < imports->count; i++)
        if (!find_argument(c, part, i, &indices[i]))
            return false;
    buf_init(&body, COMPOSE_BYTES_MAX);
    emit_number(&body, 1);
    emit_byte(&body, 0);
    emit_number(&body, part->number); /* components are there in the order of the parts */
    emit_number(&body, imports->count);
    for (uint32_t i = 0; i < imports->count; i++) {
        emit_text(&body, imports->items[i].name);
        emit_byte(&body, sort_code(&imports->items[i]));
        emit_number(&body, indices[i]);
    }
    part->instance = c->instances++;
    return emit_section(c, EMIT_INSTANCE, &body);
}

static bool emit_export(struct compose *c, const struct part *part, const struct extern_decl *export)
{
    struct buf body;
    uint32_t index;
    uint8_t sort = sort_code(export);
    if (!alias_export(c, part, export, &index))
        return false;
    buf_init(&body, 4096);
    emit_number(&body, 1);
    emit_byte(&body, 0);
    emit_text(&body, export->name);
    emit_byte(&body, sort);
    emit_number(&body, index);
    emit_byte(&body, 0);
    ++*space_of(c, sort);
    return emit_section(c, EMIT_EXPORT, &body);
}

bool emit(struct compose *c)
{
    static const uint8_t preamble[] = {0, 'a', 's', 'm', 0x0d, 0, 1, 0};
    const struct part *main = &c->parts[c->part_count - 1];
    bool done = buf_append(c->out, preamble, sizeof preamble) || too_large(c);
    for (struct group *group = c->groups; done && group; group = group->next)
        done = group_write(c, group);
    for (uint32_t i = 0; done && i < c->part_count; i++, c->components++)
        done = emit_part(c, &c->parts[i]);
    for (uint32_t i = 0; done && i < c->part_count; i++)
        done = instantiate(c, &c->parts[i]);
    for (uint32_t i = 0; done && i < main->component->type.exports.count; i++)
        done = emit_export(c, main, &main->component->type.exports.items[i]);
    return done;
}
