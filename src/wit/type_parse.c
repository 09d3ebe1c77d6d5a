/* Canonical text back to types: what type_func_text writes (type.h). A recursive descent whose depth is bounded; the
 * text is of an image, so it is well-formed unless something is broken. */
#include "wit/type.h"

#define DEPTH_MAX 200u
#define ITEMS_MAX 10000u

struct text {
    struct str rest;
    struct arena *arena;
    struct err *err;
    uint32_t depth;
    type_resource_fn *find;
    void *arg;
};

static bool broken(struct text *t)
{
    int shown = t->rest.len < 40 ? (int)t->rest.len : 40;
    return err_set(t->err, ERR_MALFORMED, "not the text of a type: `%.*s`", shown, t->rest.ptr);
}

/* Takes it off when the text goes on with it. */
static bool takes(struct text *t, const char *what)
{
    struct str prefix = str_of(what);
    if (!str_starts(t->rest, prefix))
        return false;
    t->rest = str_slice(t->rest, prefix.len, t->rest.len);
    return true;
}

static bool expect(struct text *t, const char *what)
{
    return takes(t, what) || broken(t);
}

/* Up to one of the characters in `ends`. */
static struct str word(struct text *t, const char *ends)
{
    size_t n = 0;
    while (n < t->rest.len && !strchr(ends, t->rest.ptr[n]))
        n++;
    struct str found = str_slice(t->rest, 0, n);
    t->rest = str_slice(t->rest, n, t->rest.len);
    return found;
}

static bool parse(struct text *t, const struct type **ret_type);

struct items {
    struct type_item *items;
    uint32_t count, capacity;
};

static bool add_item(struct text *t, struct items *list, struct type_item item)
{
    if (list->count == list->capacity) {
        uint32_t capacity = list->capacity ? 2 * list->capacity : 8;
        struct type_item *items = ARENA_ARRAY(t->arena, struct type_item, capacity);
        if (!items || capacity > ITEMS_MAX * 2)
            return err_memory(t->err);
        if (list->count)
            memcpy(items, list->items, list->count * sizeof *items);
        *list = (struct items){items, list->count, capacity};
    }
    list->items[list->count++] = item;
    return true;
}

/* {name: type, ...}, {name(type), ...}, {name, ...} */
static bool named_items(struct text *t, struct type *type, struct items *list)
{
    bool more = true;
    if (!expect(t, "{"))
        return false;
    while (more) {
        struct type_item item = {.name = word(t, ":(,}")};
        bool record = type->kind == TYPE_RECORD;
        bool typed = record ? expect(t, ": ") : takes(t, "(");
        if (record && !typed)
            return false;
        if (typed && (!parse(t, &item.type) || (!record && !expect(t, ")"))))
            return false;
        if (!add_item(t, list, item))
            return false;
        more = takes(t, ", ");
    }
    return expect(t, "}");
}

/* <type, ...>; `_` is none. */
static bool positional_items(struct text *t, struct items *list)
{
    bool more = true;
    if (!expect(t, "<"))
        return false;
    while (more) {
        struct type_item item = {0};
        if (!takes(t, "_") && !parse(t, &item.type))
            return false;
        if (!add_item(t, list, item))
            return false;
        more = takes(t, ", ");
    }
    return expect(t, ">");
}

static bool is_composite(enum type_kind kind)
{
    return kind == TYPE_RECORD || kind == TYPE_VARIANT || kind == TYPE_ENUM || kind == TYPE_FLAGS;
}

static bool parse_result(struct text *t, struct items *list)
{
    if (str_starts(t->rest, STR("<")) && !positional_items(t, list))
        return false;
    while (list->count < 2)
        if (!add_item(t, list, (struct type_item){0}))
            return false;
    list->items[0].name = STR("ok");
    list->items[1].name = STR("err");
    return true;
}

/* The pair of a map as the element, and a tuple as itself. */
static bool parse_tuple(struct text *t, struct type *type, struct items *list)
{
    if (!positional_items(t, list))
        return false;
    if (type->kind != TYPE_MAP)
        return true;
    struct type *pair = ARENA_NEW(t->arena, struct type);
    if (!pair)
        return err_memory(t->err);
    *pair = (struct type){.kind = TYPE_TUPLE, .items = list->items, .count = list->count};
    *list = (struct items){0};
    type->element = pair;
    return type_finish(pair, t->err);
}

/* "#65536" */
static uint32_t parse_number(struct str name)
{
    uint32_t number = 0;
    for (size_t i = 1; i < name.len; i++)
        number = number * 10 + (uint32_t)(name.ptr[i] - '0');
    return number;
}

static bool parse_resource(struct text *t, struct type *type)
{
    struct resource *resource = ARENA_NEW(t->arena, struct resource);
    if (!resource)
        return err_memory(t->err);
    if (!expect(t, "<"))
        return false;
    struct str name = word(t, ">");
    size_t dot = str_find(name, '.');
    resource->interface = str_slice(name, 0, dot < name.len ? dot : 0);
    resource->name = str_slice(name, dot < name.len ? dot + 1 : 0, name.len);
    resource->id =
        name.len && name.ptr[0] == '#' ? parse_number(name) : t->find(t->arg, resource->interface, resource->name);
    type->resource = resource;
    return expect(t, ">");
}

static bool parse_length(struct text *t, struct type *type)
{
    struct str digits = word(t, ">");
    type->kind = TYPE_FIXED_LIST;
    for (size_t i = 0; i < digits.len; i++) {
        if (digits.ptr[i] < '0' || digits.ptr[i] > '9' || type->count > TYPE_MAX_SIZE)
            return broken(t);
        type->count = type->count * 10 + (uint32_t)(digits.ptr[i] - '0');
    }
    return digits.len > 0 || broken(t);
}

static bool parse_element(struct text *t, struct type *type, struct items *list)
{
    bool optional = type->kind == TYPE_STREAM || type->kind == TYPE_FUTURE;
    if (optional && !str_starts(t->rest, STR("<")))
        return true;
    if (!expect(t, "<") || !parse(t, &type->element))
        return false;
    if (type->kind == TYPE_LIST && takes(t, ", ") && !parse_length(t, type))
        return false;
    if (type->kind == TYPE_OPTION && (!add_item(t, list, (struct type_item){.name = STR("none")}) ||
                                      !add_item(t, list, (struct type_item){STR("some"), type->element})))
        return false;
    return expect(t, ">");
}

static bool parse_parts(struct text *t, struct type *type, struct items *list)
{
    switch (type->kind) {
    case TYPE_LIST:
    case TYPE_OPTION:
    case TYPE_STREAM:
    case TYPE_FUTURE: return parse_element(t, type, list);
    case TYPE_TUPLE:
    case TYPE_MAP: return parse_tuple(t, type, list);
    case TYPE_RESULT: return parse_result(t, list);
    case TYPE_OWN:
    case TYPE_BORROW: return parse_resource(t, type);
    default: return !is_composite(type->kind) || named_items(t, type, list);
    }
}

static bool parse(struct text *t, const struct type **ret_type)
{
    struct str name = word(t, "<{,>})(:");
    struct type *type = ARENA_NEW(t->arena, struct type);
    struct items list = {0};
    if (!type)
        return err_memory(t->err);
    if (!type_kind_of(name, &type->kind) || ++t->depth > DEPTH_MAX)
        return broken(t);
    if (!parse_parts(t, type, &list))
        return false;
    t->depth--;
    type->items = list.items;
    if (list.count)
        type->count = list.count;
    *ret_type = type;
    return type_finish(type, t->err);
}

bool type_parse(struct str text, struct arena *arena, type_resource_fn *find, void *arg, const struct type **ret_type,
                struct err *err)
{
    struct text t = {.rest = text, .arena = arena, .err = err, .find = find, .arg = arg};
    const struct type *type;
    if (!parse(&t, &type))
        return false;
    if (t.rest.len)
        return broken(&t);
    *ret_type = type;
    return true;
}

bool type_func_parse(struct str text, struct arena *arena, type_resource_fn *find, void *arg,
                     struct func_type *ret_func, struct err *err)
{
    struct text t = {.rest = text, .arena = arena, .err = err, .find = find, .arg = arg};
    struct func_type func = {.async_ = takes(&t, "async ")};
    struct items params = {0};
    if (!expect(&t, "func("))
        return false;
    while (!takes(&t, ")")) {
        struct type_item item = {0};
        if ((params.count && !expect(&t, ", ")) || !parse(&t, &item.type) || !add_item(&t, &params, item))
            return false;
    }
    struct func_param *list = ARENA_ARRAY(arena, struct func_param, params.count);
    if (!list)
        return err_memory(err);
    for (uint32_t i = 0; i < params.count; i++)
        list[i].type = params.items[i].type;
    func.params = list;
    func.param_count = params.count;
    if (takes(&t, " -> ") && !parse(&t, &func.result))
        return false;
    if (t.rest.len)
        return broken(&t);
    *ret_func = func;
    return true;
}
