/* See names.h. Names are views into input: nothing here keeps more than a lower-case copy of them. */
#include "component/names.h"

static bool is_digit(char ch)
{
    return ch >= '0' && ch <= '9';
}

static bool is_lower(char ch)
{
    return ch >= 'a' && ch <= 'z';
}

static bool is_upper(char ch)
{
    return ch >= 'A' && ch <= 'Z';
}

/* A word or an acronym: letters of one case, and digits. */
static bool is_fragment(struct str word)
{
    bool lower = false, upper = false;
    for (size_t i = 0; i < word.len; i++) {
        lower |= is_lower(word.ptr[i]);
        upper |= is_upper(word.ptr[i]);
        if (!is_lower(word.ptr[i]) && !is_upper(word.ptr[i]) && !is_digit(word.ptr[i]))
            return false;
    }
    return word.len > 0 && !(lower && upper);
}

bool name_is_label(struct str name)
{
    if (name.len == 0 || is_digit(name.ptr[0]))
        return false;
    for (;;) {
        size_t dash = str_find(name, '-');
        if (!is_fragment(str_slice(name, 0, dash)))
            return false;
        if (dash == name.len)
            return true;
        name = str_slice(name, dash + 1, name.len);
    }
}

/* Namespaces and packages are in lower case. */
static bool is_words(struct str name)
{
    for (size_t i = 0; i < name.len; i++)
        if (is_upper(name.ptr[i]))
            return false;
    return name_is_label(name);
}

/* Semantic Versioning 2.0.0. */

static bool is_number(struct str text)
{
    for (size_t i = 0; i < text.len; i++)
        if (!is_digit(text.ptr[i]))
            return false;
    return text.len == 1 || (text.len > 1 && text.ptr[0] != '0');
}

static bool is_identifier(struct str text, bool numbers_strict)
{
    bool digits = true;
    for (size_t i = 0; i < text.len; i++) {
        char ch = text.ptr[i];
        digits &= is_digit(ch);
        if (!is_digit(ch) && !is_lower(ch) && !is_upper(ch) && ch != '-')
            return false;
    }
    return text.len > 0 && !(digits && numbers_strict && !is_number(text));
}

static bool is_identifiers(struct str text, bool numbers_strict)
{
    for (;;) {
        size_t dot = str_find(text, '.');
        if (!is_identifier(str_slice(text, 0, dot), numbers_strict))
            return false;
        if (dot == text.len)
            return true;
        text = str_slice(text, dot + 1, text.len);
    }
}

static bool is_core_version(struct str text)
{
    for (int part = 0; part < 3; part++) {
        size_t end = part < 2 ? str_find(text, '.') : text.len;
        if (!is_number(str_slice(text, 0, end)) || (part < 2 && end == text.len))
            return false;
        if (part < 2)
            text = str_slice(text, end + 1, text.len);
    }
    return true;
}

static bool is_version(struct str text)
{
    size_t plus = str_find(text, '+');
    if (plus < text.len && !is_identifiers(str_slice(text, plus + 1, text.len), false))
        return false;
    text = str_slice(text, 0, plus);
    size_t dash = str_find(text, '-');
    if (dash < text.len && !is_identifiers(str_slice(text, dash + 1, text.len), true))
        return false;
    return is_core_version(str_slice(text, 0, dash));
}

struct str name_unversioned(struct str interface)
{
    return str_slice(interface, 0, str_find(interface, '@'));
}

bool name_is_interface(struct str name)
{
    size_t at = str_find(name, '@');
    if (at < name.len && !is_version(str_slice(name, at + 1, name.len)))
        return false;
    name = str_slice(name, 0, at);
    size_t colon = str_find(name, ':'), slash = str_find(name, '/');
    if (colon == name.len || slash == name.len || colon > slash)
        return false;
    return is_words(str_slice(name, 0, colon)) && is_words(str_slice(name, colon + 1, slash)) &&
           name_is_label(str_slice(name, slash + 1, name.len));
}

/* "resource.label" behind an annotation. */
static bool parse_member(struct str rest, struct extern_name *ret)
{
    size_t dot = str_find(rest, '.');
    if (dot == rest.len)
        return false;
    ret->resource = str_slice(rest, 0, dot);
    ret->label = str_slice(rest, dot + 1, rest.len);
    return name_is_label(ret->resource) && name_is_label(ret->label);
}

bool name_parse(struct str name, struct extern_name *ret)
{
    static const struct {
        struct str prefix;
        enum name_kind kind;
    } annotations[] = {
        {{"[constructor]", 13}, NAME_CONSTRUCTOR}, {{"[method]", 8}, NAME_METHOD}, {{"[static]", 8}, NAME_STATIC}};
    struct extern_name parsed = {.kind = NAME_PLAIN, .label = name};
    bool valid = false;
    for (size_t i = 0; i < sizeof annotations / sizeof *annotations; i++)
        if (str_starts(name, annotations[i].prefix)) {
            struct str rest = str_slice(name, annotations[i].prefix.len, name.len);
            parsed = (struct extern_name){.kind = annotations[i].kind, .resource = rest};
            valid = parsed.kind == NAME_CONSTRUCTOR ? name_is_label(rest) : parse_member(rest, &parsed);
        }
    if (parsed.kind == NAME_PLAIN) {
        parsed.kind = str_find(name, ':') < name.len ? NAME_INTERFACE : NAME_PLAIN;
        valid = parsed.kind == NAME_INTERFACE ? name_is_interface(name) : name_is_label(name);
    }
    if (valid)
        *ret = parsed;
    return valid;
}

static char lower(char ch)
{
    return is_upper(ch) ? (char)(ch - 'A' + 'a') : ch;
}

bool name_same_label(struct str a, struct str b)
{
    for (size_t i = 0; i < a.len && i < b.len; i++)
        if (lower(a.ptr[i]) != lower(b.ptr[i]))
            return false;
    return a.len == b.len;
}

/* Uniqueness: sort canonical copies and compare neighbours. */

static bool lower_copy(struct checker *c, struct str from, struct str *ret)
{
    char *copy = arena_copy(c->arena, from.ptr, from.len);
    if (!copy)
        return checker_memory(c);
    for (size_t i = 0; i < from.len; i++)
        copy[i] = lower(copy[i]);
    *ret = (struct str){copy, from.len};
    return true;
}

static struct str plain_name(const void *items, uint32_t index)
{
    return ((const struct str *)items)[index];
}

/* Index of a name that repeats an earlier one in *ret_repeat, or WASM_NO_INDEX. */
static bool find_repeat(struct checker *c, const struct str *names, uint32_t count, uint32_t *ret_repeat)
{
    uint32_t *order = names_sort(c, names, count, plain_name);
    if (!order)
        return false;
    *ret_repeat = WASM_NO_INDEX;
    for (uint32_t i = 1; i < count && *ret_repeat == WASM_NO_INDEX; i++)
        if (str_eq(names[order[i - 1]], names[order[i]]))
            *ret_repeat = order[i];
    return true;
}

bool names_unique_labels(struct checker *c, const struct type_item *items, uint32_t count, const char *what)
{
    struct str *names = ARENA_ARRAY(c->arena, struct str, count);
    uint32_t repeat;
    if (!names)
        return checker_memory(c);
    for (uint32_t i = 0; i < count; i++)
        if (!lower_copy(c, items[i].name, &names[i]))
            return false;
    if (!find_repeat(c, names, count, &repeat))
        return false;
    return repeat == WASM_NO_INDEX ||
           checker_fail(c, ERR_INVALID, "%s `%.*s` conflicts with another one", what, STR_ARG(items[repeat].name));
}

/* What strong uniqueness goes by: without the annotations of methods and static functions, and such a
 * function that is named like its resource counts as the resource's name. */
static struct str essential_name(struct str name)
{
    struct extern_name parsed;
    if (!name_parse(name, &parsed) || (parsed.kind != NAME_METHOD && parsed.kind != NAME_STATIC))
        return name;
    if (name_same_label(parsed.resource, parsed.label))
        return parsed.label;
    return (struct str){parsed.resource.ptr, parsed.resource.len + 1 + parsed.label.len};
}

bool names_unique_externs(struct checker *c, const struct externs *externs, const char *what)
{
    struct str *names = ARENA_ARRAY(c->arena, struct str, externs->count);
    uint32_t repeat;
    if (!names)
        return checker_memory(c);
    for (uint32_t i = 0; i < externs->count; i++)
        if (!lower_copy(c, essential_name(externs->items[i].name), &names[i]))
            return false;
    if (!find_repeat(c, names, externs->count, &repeat))
        return false;
    if (repeat == WASM_NO_INDEX)
        return true;
    c->offset = externs->items[repeat].offset;
    return checker_fail(c, ERR_INVALID, "%s name `%.*s` conflicts with a previous name", what,
                        STR_ARG(externs->items[repeat].name));
}

/* Annotated names. */

/* The resource type that an earlier declaration of this list calls `label`. */
static const struct resource_def *named_resource(const struct externs *externs, struct str label, uint32_t before)
{
    const struct extern_decl *found = externs_find(externs, label);
    bool resource =
        found && found < externs->items + before && found->type.sort == SORT_TYPE && found->type.def == DEF_RESOURCE;
    return resource ? found->type.resource : NULL;
}

static bool handle_of(const struct type *type, enum type_kind kind, const struct resource_def *resource)
{
    return type && type->kind == kind && node_of(type)->def->abstract == resource->abstract;
}

static bool fits_constructor(struct checker *c, const struct func_type *func, const struct resource_def *resource)
{
    const struct type *result = func->result;
    if (result && result->kind == TYPE_RESULT)
        result = result->items[0].type;
    return handle_of(result, TYPE_OWN, resource) ||
           checker_fail(c, ERR_INVALID, "function should return `(own $T)` or `(result (own $T))` of its resource");
}

static bool fits_method(struct checker *c, const struct func_type *func, const struct resource_def *resource)
{
    bool self = func->param_count > 0 && str_eq(func->params[0].name, STR("self"));
    if (!self)
        return checker_fail(c, ERR_INVALID, "function should have a first argument called `self`");
    return handle_of(func->params[0].type, TYPE_BORROW, resource) ||
           checker_fail(c, ERR_INVALID, "function should take a first argument of `(borrow $T)` of its resource");
}

static bool fits(struct checker *c, const struct externs *externs, uint32_t index)
{
    const struct extern_decl *decl = &externs->items[index];
    struct extern_name name;
    if (!name_parse(decl->name, &name) || name.kind == NAME_PLAIN || name.kind == NAME_INTERFACE)
        return true;
    c->offset = decl->offset;
    if (decl->type.sort != SORT_FUNC)
        return checker_fail(c, ERR_INVALID, "`%.*s` is not a function", STR_ARG(decl->name));
    const struct resource_def *resource = named_resource(externs, name.resource, index);
    if (!resource)
        return checker_fail(c, ERR_INVALID, "`%.*s` names a resource that is not known in this context",
                            STR_ARG(decl->name));
    if (name.kind == NAME_STATIC)
        return true;
    return name.kind == NAME_CONSTRUCTOR ? fits_constructor(c, &decl->type.func->type, resource)
                                         : fits_method(c, &decl->type.func->type, resource);
}

bool names_fit_types(struct checker *c, const struct externs *externs)
{
    for (uint32_t i = 0; i < externs->count; i++)
        if (!fits(c, externs, i))
            return false;
    return true;
}
