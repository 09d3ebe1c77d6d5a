/* See types.h. Types share parts; memory and time of what is written here go by the number of distinct
 * parts, except matching, which the weight of types and the budget of steps bound. */
#include "component/types.h"

static const char *const kind_words[] = {
    [TYPE_BOOL] = "bool",
    [TYPE_S8] = "s8",
    [TYPE_U8] = "u8",
    [TYPE_S16] = "s16",
    [TYPE_U16] = "u16",
    [TYPE_S32] = "s32",
    [TYPE_U32] = "u32",
    [TYPE_S64] = "s64",
    [TYPE_U64] = "u64",
    [TYPE_F32] = "f32",
    [TYPE_F64] = "f64",
    [TYPE_CHAR] = "char",
    [TYPE_STRING] = "string",
    [TYPE_LIST] = "list",
    [TYPE_FIXED_LIST] = "fixed-length list",
    [TYPE_MAP] = "map",
    [TYPE_RECORD] = "record",
    [TYPE_TUPLE] = "tuple",
    [TYPE_VARIANT] = "variant",
    [TYPE_ENUM] = "enum",
    [TYPE_OPTION] = "option",
    [TYPE_RESULT] = "result",
    [TYPE_FLAGS] = "flags",
    [TYPE_OWN] = "own",
    [TYPE_BORROW] = "borrow",
    [TYPE_STREAM] = "stream",
    [TYPE_FUTURE] = "future",
    [TYPE_ERROR_CONTEXT] = "error-context",
};

const char *types_words(enum type_kind kind)
{
    return kind_words[kind];
}

bool types_blame(struct checker *c, const char *what, struct str name)
{
    char message[sizeof c->err->message];
    if (c->err->kind != ERR_INVALID && c->err->kind != ERR_LINK)
        return false;
    memcpy(message, c->err->message, sizeof message);
    int shown = name.len > 80 ? 80 : (int)name.len;
    return err_at(c->err, c->err->kind, c->err->offset, "%s `%.*s`: %.200s", what, shown, name.ptr, message);
}

static const struct node *make_prim(struct checker *c, enum type_kind kind)
{
    struct node *node = types_node(c, kind);
    return node && types_finish(c, node) ? node : NULL;
}

bool types_init(struct checker *c)
{
    for (int kind = TYPE_BOOL; kind <= TYPE_STRING; kind++) {
        c->prims[kind] = make_prim(c, kind);
        if (!c->prims[kind])
            return false;
    }
    c->error_context = make_prim(c, TYPE_ERROR_CONTEXT);
    return c->error_context != NULL;
}

static struct shape new_shape(struct checker *c)
{
    return (struct shape){.number = ++c->next_number, .weight = 1, .depth = 1};
}

struct node *types_node(struct checker *c, enum type_kind kind)
{
    struct node *node = ARENA_NEW(c->arena, struct node);
    if (!node) {
        checker_memory(c);
        return NULL;
    }
    node->type.kind = kind;
    node->shape = new_shape(c);
    return node;
}

bool types_shape_add(struct checker *c, struct shape *shape, const struct shape *part)
{
    if (!part)
        return true;
    if (shape->weight + part->weight > COMPONENT_MAX_TYPE_WEIGHT)
        return checker_limit(c, COMPONENT_LIMIT_TYPE_WEIGHT);
    if (part->depth >= COMPONENT_MAX_TYPE_DEPTH)
        return checker_limit(c, COMPONENT_LIMIT_TYPE_DEPTH);
    shape->weight += part->weight;
    if (shape->depth <= part->depth)
        shape->depth = part->depth + 1;
    shape->resources |= part->resources;
    shape->borrows |= part->borrows;
    shape->strings |= part->strings;
    shape->open |= part->open;
    return true;
}

const struct shape *types_shape(const struct entity *entity)
{
    switch (entity->sort) {
    case SORT_FUNC: return &entity->func->shape;
    case SORT_COMPONENT: return &entity->component->shape;
    case SORT_INSTANCE: return &entity->instance->shape;
    case SORT_TYPE:
        switch (entity->def) {
        case DEF_VALUE: return &entity->value->shape;
        case DEF_FUNC: return &entity->func->shape;
        case DEF_COMPONENT: return &entity->component->shape;
        case DEF_INSTANCE: return &entity->instance->shape;
        case DEF_RESOURCE: return &entity->resource->shape;
        }
        return NULL;
    default: return NULL;
    }
}

/* Element size with 64-bit pointers (CanonicalABI.md, "Element Size"), which bounds every type. */
struct extent {
    uint64_t size;
    uint32_t align;
};

static struct extent extent_of(const struct type *type)
{
    return type ? (struct extent){node_of(type)->size_64, node_of(type)->align_64} : (struct extent){0, 1};
}

static uint64_t align_to(uint64_t at, uint32_t align)
{
    return (at + align - 1) & ~(uint64_t)(align - 1);
}

static struct extent extent_sequence(const struct type *type)
{
    struct extent all = {0, 1};
    for (uint32_t i = 0; i < type->count; i++) {
        struct extent part = extent_of(type->items[i].type);
        all.size = align_to(all.size, part.align) + part.size;
        all.align = part.align > all.align ? part.align : all.align;
    }
    return all;
}

static struct extent extent_cases(const struct type *type)
{
    struct extent payload = {0, 1};
    for (uint32_t i = 0; i < type->count; i++) {
        struct extent part = extent_of(type->items[i].type);
        payload.size = part.size > payload.size ? part.size : payload.size;
        payload.align = part.align > payload.align ? part.align : payload.align;
    }
    uint32_t tag = type->count <= 256 ? 1 : type->count <= 65536 ? 2 : 4;
    return (struct extent){align_to(tag, payload.align) + payload.size, payload.align > tag ? payload.align : tag};
}

static struct extent extent_64(const struct type *type)
{
    switch (type->kind) {
    case TYPE_STRING:
    case TYPE_LIST:
    case TYPE_MAP: return (struct extent){16, 8};
    case TYPE_FIXED_LIST:
        return (struct extent){extent_of(type->element).size * type->count, extent_of(type->element).align};
    case TYPE_RECORD:
    case TYPE_TUPLE: return extent_sequence(type);
    case TYPE_VARIANT:
    case TYPE_ENUM:
    case TYPE_OPTION:
    case TYPE_RESULT: return extent_cases(type);
    default: return (struct extent){type->size, type->align};
    }
}

static bool set_extent(struct checker *c, struct node *node)
{
    struct extent extent = extent_64(&node->type);
    uint64_t size = align_to(extent.size, extent.align);
    if (size > COMPONENT_MAX_VALUE_SIZE)
        return checker_fail(c, ERR_INVALID, "%s exceeds the maximum size of a value, %u bytes",
                            types_words(node->type.kind), COMPONENT_MAX_VALUE_SIZE);
    node->size_64 = size;
    node->align_64 = extent.align;
    return true;
}

static bool points_to_memory(enum type_kind kind)
{
    return kind == TYPE_STRING || kind == TYPE_LIST || kind == TYPE_MAP;
}

static bool add_parts(struct checker *c, struct node *node)
{
    struct type *type = &node->type;
    bool items = type->items && type->kind != TYPE_MAP && type->kind != TYPE_FIXED_LIST;
    if (type->element && !types_shape_add(c, &node->shape, &node_of(type->element)->shape))
        return false;
    for (uint32_t i = 0; items && i < type->count; i++)
        if (type->items[i].type && type->items[i].type != type->element &&
            !types_shape_add(c, &node->shape, &node_of(type->items[i].type)->shape))
            return false;
    return !node->def || types_shape_add(c, &node->shape, &node->def->shape);
}

bool types_finish(struct checker *c, struct node *node)
{
    struct type *type = &node->type;
    if (!add_parts(c, node))
        return false;
    if (node->def)
        type->resource = &node->def->abstract->resource;
    node->shape.borrows |= type->kind == TYPE_BORROW;
    node->shape.strings |= points_to_memory(type->kind);
    if (type->kind == TYPE_STREAM || type->kind == TYPE_FUTURE)
        node->shape.strings = false;
    /* The layout of scalars is known before the cap is checked; that of composites must not overflow. */
    bool scalar = type->kind <= TYPE_STRING || type->kind >= TYPE_OWN;
    if (!scalar && type->kind != TYPE_FLAGS && !set_extent(c, node))
        return false;
    if (!type_finish(type, c->err)) {
        c->err->offset = c->offset;
        return false;
    }
    return set_extent(c, node);
}

/* The cap on values is one on types that are written: the pairs of a map have no type of their own, and
 * only their layout in a list matters. */
bool types_finish_entry(struct checker *c, struct node *entry)
{
    const struct type *key = entry->type.items[0].type, *value = entry->type.items[1].type;
    struct extent extent = extent_64(&entry->type);
    if (!add_parts(c, entry))
        return false;
    entry->size_64 = align_to(extent.size, extent.align);
    entry->align_64 = extent.align;
    entry->type.align = key->align > value->align ? key->align : value->align;
    entry->type.size = (uint32_t)align_to(align_to(key->size, value->align) + value->size, entry->type.align);
    entry->type.flat_count = UINT32_MAX;
    entry->type.has_borrow = key->has_borrow || value->has_borrow;
    return true;
}

bool types_finish_func(struct checker *c, struct func *func)
{
    func->shape = new_shape(c);
    for (uint32_t i = 0; i < func->type.param_count; i++)
        if (!types_shape_add(c, &func->shape, &node_of(func->type.params[i].type)->shape))
            return false;
    const struct type *result = func->type.result;
    if (!result)
        return true;
    if (node_of(result)->shape.borrows)
        return checker_fail(c, ERR_INVALID, "function result cannot contain a `borrow` type");
    return types_shape_add(c, &func->shape, &node_of(result)->shape);
}

struct abstract *types_abstract(struct checker *c, struct abstracts *fresh)
{
    struct abstract *abstract = ARENA_NEW(c->arena, struct abstract);
    if (!abstract) {
        checker_memory(c);
        return NULL;
    }
    abstract->number = ++c->next_number;
    abstract->resource.id = abstract->dtor = WASM_NO_INDEX;
    abstract->rep = WASM_I32;
    struct abstract **slot = LIST_PUSH(c, fresh, SPACE);
    if (!slot)
        return NULL;
    *slot = abstract;
    return abstract;
}

const struct resource_def *types_resource(struct checker *c, struct abstract *abstract)
{
    struct resource_def *def = abstract ? ARENA_NEW(c->arena, struct resource_def) : NULL;
    if (!def) {
        if (abstract)
            checker_memory(c);
        return NULL;
    }
    def->shape = new_shape(c);
    def->shape.resources = def->shape.open = true;
    def->abstract = abstract;
    return def;
}

static const struct node *name_type(struct checker *c, const struct node *node)
{
    struct node *copy = types_node(c, node->type.kind);
    if (!copy)
        return NULL;
    uint32_t number = copy->shape.number;
    *copy = *node;
    copy->shape.number = number;
    copy->shape.open = true;
    copy->origin = node;
    return copy;
}

/* Fresh copies of the bound resource types, entered into the map. */
static bool freshen(struct checker *c, const struct abstracts *bound, struct abstracts *fresh, struct remap *map)
{
    for (uint32_t i = 0; i < bound->count; i++) {
        struct abstract *copy = types_abstract(c, fresh);
        if (!copy || !checker_step(c) || !remap_put(c, map, bound->items[i]->number, copy))
            return false;
    }
    return true;
}

static bool substitute_externs(struct checker *c, struct remap *map, const struct externs *from, struct externs *ret)
{
    struct externs copy = *from;
    copy.capacity = copy.count;
    copy.items = arena_copy(c->arena, from->items, from->count * sizeof *from->items);
    if (!copy.items)
        return checker_memory(c);
    for (uint32_t i = 0; i < copy.count; i++)
        if (!types_substitute(c, map, &copy.items[i].type))
            return false;
    *ret = copy;
    return true;
}

static struct instance_type *copy_instance(struct checker *c, const struct instance_type *from)
{
    struct instance_type *copy = arena_copy(c->arena, from, sizeof *from);
    if (!copy) {
        checker_memory(c);
        return NULL;
    }
    copy->shape.number = ++c->next_number;
    return copy;
}

static bool open_instance(struct checker *c, struct entity *entity, struct abstracts *fresh)
{
    struct remap map = {0};
    if (entity->instance->bound.count == 0)
        return true;
    struct instance_type *copy = copy_instance(c, entity->instance);
    if (!copy || !freshen(c, &copy->bound, fresh, &map) || !substitute_externs(c, &map, &copy->exports, &copy->exports))
        return false;
    copy->bound = (struct abstracts){0};
    entity->instance = copy;
    return true;
}

bool types_declare(struct checker *c, struct entity *entity, struct abstracts *fresh)
{
    if (entity->sort == SORT_INSTANCE)
        return open_instance(c, entity, fresh);
    if (entity->sort != SORT_TYPE)
        return true;
    if (entity->def == DEF_VALUE)
        return (entity->value = name_type(c, entity->value)) != NULL;
    if (entity->def == DEF_RESOURCE)
        return (entity->resource = types_resource(c, entity->resource->abstract)) != NULL;
    return true;
}

static bool add_externs(struct checker *c, struct shape *shape, const struct externs *externs)
{
    for (uint32_t i = 0; i < externs->count; i++)
        if (!types_shape_add(c, shape, types_shape(&externs->items[i].type)))
            return false;
    return true;
}

bool types_bundle(struct checker *c, struct externs *exports, struct abstracts bound,
                  const struct instance_type **ret_instance)
{
    struct instance_type *instance = ARENA_NEW(c->arena, struct instance_type);
    if (!instance)
        return checker_memory(c);
    instance->shape = new_shape(c);
    instance->bound = bound;
    if (!add_externs(c, &instance->shape, exports) || (!exports->by_name && !externs_sort(c, exports)))
        return false;
    instance->exports = *exports;
    *ret_instance = instance;
    return true;
}

bool types_component(struct checker *c, const struct scope *scope, struct component_type *ret_component)
{
    struct component_type type = {.shape = new_shape(c),
                                  .imports = scope->imports,
                                  .exports = scope->exports,
                                  .import_bound = scope->import_bound,
                                  .export_bound = scope->export_bound};
    if (!add_externs(c, &type.shape, &type.imports) || !add_externs(c, &type.shape, &type.exports))
        return false;
    *ret_component = type;
    return true;
}

/* Substitution. */

static bool substitute_resource(struct checker *c, struct remap *map, const struct resource_def **def)
{
    const void **done = remap_get(map, (*def)->shape.number);
    const void **to = remap_get(map, (*def)->abstract->number);
    if (done) {
        *def = *done;
        return true;
    }
    if (!to || !*to)
        return true;
    const struct resource_def *copy = types_resource(c, (struct abstract *)*to);
    if (!copy || !remap_put(c, map, (*def)->shape.number, copy))
        return false;
    *def = copy;
    return true;
}

static bool substitute_value(struct checker *c, struct remap *map, bool part, const struct node **node);

static bool substitute_part(struct checker *c, struct remap *map, const struct type **type)
{
    const struct node *node = *type ? node_of(*type) : NULL;
    if (!node || !node->shape.open)
        return true;
    if (!substitute_value(c, map, true, &node))
        return false;
    *type = &node->type;
    return true;
}

/* A list of its own only where a part changes. */
static bool substitute_items(struct checker *c, struct remap *map, struct type *type)
{
    struct type_item *items = NULL;
    if (!type->items || type->kind == TYPE_MAP)
        return true;
    for (uint32_t i = 0; i < type->count; i++) {
        const struct type *part = type->items[i].type;
        if (!substitute_part(c, map, &part))
            return false;
        if (part == type->items[i].type)
            continue;
        if (!items && !(items = arena_copy(c->arena, type->items, type->count * sizeof *items)))
            return checker_memory(c);
        items[i].type = part;
    }
    if (items)
        type->items = items;
    return true;
}

/* Nothing in the copy differs from what it was made of. */
static bool is_same_node(const struct node *a, const struct node *b)
{
    bool same = a->type.element == b->type.element && a->def == b->def && a->origin == b->origin;
    for (uint32_t i = 0; same && a->type.items != b->type.items && i < a->type.count; i++)
        same = a->type.items[i].type == b->type.items[i].type;
    return same;
}

/* A type of its own gets a new identity. One that is only a part keeps the one that it has, and with it its name, when
 * nothing in it is replaced: it was named elsewhere. */
static bool substitute_value(struct checker *c, struct remap *map, bool part, const struct node **node)
{
    const struct node *from = *node;
    const void **done = remap_get(map, from->shape.number);
    if (done)
        return *node = *done, true;
    if (!from->shape.open)
        return true;
    struct node *copy = types_node(c, from->type.kind);
    if (!copy || !checker_step(c))
        return false;
    uint32_t number = copy->shape.number;
    *copy = *from;
    copy->shape.number = number;
    const void **origin = copy->origin ? remap_get(map, copy->origin->shape.number) : NULL;
    if (origin)
        copy->origin = *origin;
    if (!substitute_part(c, map, &copy->type.element) || !substitute_items(c, map, &copy->type) ||
        (copy->def && !substitute_resource(c, map, &copy->def)))
        return false;
    if (copy->def)
        copy->type.resource = &copy->def->abstract->resource;
    if (part && is_same_node(copy, from))
        copy = (struct node *)from;
    *node = copy;
    return remap_put(c, map, from->shape.number, copy);
}

static bool substitute_func(struct checker *c, struct remap *map, const struct func **func)
{
    if (!(*func)->shape.open)
        return true;
    struct func *copy = arena_copy(c->arena, *func, sizeof *copy);
    if (!copy)
        return checker_memory(c);
    struct func_param *params = arena_copy(c->arena, copy->type.params, copy->type.param_count * sizeof *params);
    if (!params)
        return checker_memory(c);
    for (uint32_t i = 0; i < copy->type.param_count; i++)
        if (!substitute_part(c, map, &params[i].type))
            return false;
    copy->type.params = params;
    copy->shape.number = ++c->next_number;
    *func = copy;
    return substitute_part(c, map, &copy->type.result);
}

static bool substitute_instance(struct checker *c, struct remap *map, const struct instance_type **instance)
{
    if (!(*instance)->shape.open)
        return true;
    struct instance_type *copy = copy_instance(c, *instance);
    if (!copy || !substitute_externs(c, map, &copy->exports, &copy->exports))
        return false;
    *instance = copy;
    return true;
}

static bool substitute_component(struct checker *c, struct remap *map, const struct component_type **component)
{
    if (!(*component)->shape.open)
        return true;
    struct component_type *copy = arena_copy(c->arena, *component, sizeof *copy);
    if (!copy)
        return checker_memory(c);
    if (!substitute_externs(c, map, &copy->imports, &copy->imports) ||
        !substitute_externs(c, map, &copy->exports, &copy->exports))
        return false;
    copy->shape.number = ++c->next_number;
    *component = copy;
    return true;
}

bool types_substitute(struct checker *c, struct remap *map, struct entity *entity)
{
    enum def_type_kind kind = entity->def;
    if (!checker_step(c))
        return false;
    if (entity->sort == SORT_FUNC || (entity->sort == SORT_TYPE && kind == DEF_FUNC))
        return substitute_func(c, map, &entity->func);
    if (entity->sort == SORT_INSTANCE || (entity->sort == SORT_TYPE && kind == DEF_INSTANCE))
        return substitute_instance(c, map, &entity->instance);
    if (entity->sort == SORT_COMPONENT || (entity->sort == SORT_TYPE && kind == DEF_COMPONENT))
        return substitute_component(c, map, &entity->component);
    if (entity->sort == SORT_TYPE && kind == DEF_VALUE)
        return substitute_value(c, map, false, &entity->value);
    if (entity->sort == SORT_TYPE && kind == DEF_RESOURCE)
        return substitute_resource(c, map, &entity->resource);
    return true;
}

/* Instantiation. */

/* The names that the instantiating component knows the supplied types by replace those of the imports. */
static bool adopt_names(struct checker *c, const struct entity *import, const struct entity *arg, struct remap *map)
{
    if (!checker_step(c))
        return false;
    if (import->sort == SORT_TYPE && import->def == DEF_RESOURCE)
        return remap_put(c, map, import->resource->shape.number, arg->resource);
    if (import->sort == SORT_TYPE && import->def == DEF_VALUE)
        return !import->value->shape.open || remap_put(c, map, import->value->shape.number, arg->value);
    if (import->sort != SORT_INSTANCE)
        return true;
    const struct externs *exports = &import->instance->exports;
    for (uint32_t i = 0; i < exports->count; i++) {
        const struct extern_decl *found = externs_find(&arg->instance->exports, exports->items[i].name);
        if (found && !adopt_names(c, &exports->items[i].type, &found->type, map))
            return false;
    }
    return true;
}

static bool supply(struct checker *c, const struct extern_decl *import, const struct externs *args, struct remap *map)
{
    const struct extern_decl *arg = externs_find(args, import->name);
    if (!arg) {
        checker_fail(c, ERR_INVALID, "missing");
        return types_blame(c, "import", import->name);
    }
    if (!types_match(c, &arg->type, &import->type, map))
        return types_blame(c, "import", import->name);
    return adopt_names(c, &import->type, &arg->type, map);
}

bool types_instantiate(struct checker *c, const struct component_type *component, const struct externs *args,
                       struct abstracts *fresh, const struct instance_type **ret_instance)
{
    struct remap map = {0};
    struct externs exports;
    if (!types_unbind(c, &component->import_bound, &map))
        return false;
    for (uint32_t i = 0; i < component->imports.count; i++)
        if (!supply(c, &component->imports.items[i], args, &map))
            return false;
    return freshen(c, &component->export_bound, fresh, &map) &&
           substitute_externs(c, &map, &component->exports, &exports) &&
           types_bundle(c, &exports, (struct abstracts){0}, ret_instance);
}
