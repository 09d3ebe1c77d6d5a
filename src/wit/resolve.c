/* Names become pointers: the tree of ast.h becomes the packages of wit.h.
 *
 * Definitions are resolved on demand, so that order in the text does not matter; a definition or interface that
 * is met again while being resolved is part of a cycle. Look-ups are linear scans over lists of at most
 * WIT_MAX_ITEMS; recursion is bounded by WIT_MAX_CHAIN times WIT_MAX_DEPTH.
 */
#include "wit/ast.h"

struct resolver {
    struct wit *wit;
    struct arena *arena;
    struct err *err;
    uint32_t chain;
    struct type *scalars[TYPE_STRING + 1];
};

/* Where names are looked up. */
struct scope {
    struct ast_interface *interface;
    struct str id; /* of the resources defined here */
};

#define LIST_COUNT(list, ret_count)                                                                                    \
    do {                                                                                                               \
        *(ret_count) = 0;                                                                                              \
        for (const __typeof__(*(list)) *node_ = (list); node_; node_ = node_->next)                                    \
            ++*(ret_count);                                                                                            \
    } while (0)

static bool out_of_memory(struct resolver *r)
{
    return err_memory(r->err);
}

static bool check_count(struct resolver *r, const struct ast_file *file, uint32_t line, uint32_t count)
{
    return count <= WIT_MAX_ITEMS ? true : ast_error(r->err, file, line, "more than %u items", WIT_MAX_ITEMS);
}

static struct str join(struct resolver *r, struct str a, const char *between, struct str b)
{
    size_t middle = strlen(between);
    char *text = arena_alloc(r->arena, a.len + middle + b.len + 1);
    if (!text)
        return (struct str){NULL, 0};
    memcpy(text, a.ptr, a.len);
    memcpy(text + a.len, between, middle);
    memcpy(text + a.len + middle, b.ptr, b.len);
    return (struct str){text, a.len + middle + b.len};
}

/* --- types --- */

static const struct wit_def *resolve_name(struct resolver *r, const struct scope *scope, struct str name,
                                          uint32_t line);
static const struct type *resolve_type(struct resolver *r, const struct scope *scope, const struct ast_type *ast);

static struct type *new_type(struct resolver *r, enum type_kind kind)
{
    struct type *type = ARENA_NEW(r->arena, struct type);
    if (!type)
        out_of_memory(r);
    else
        type->kind = kind;
    return type;
}

static const struct type *finish(struct resolver *r, const struct scope *scope, uint32_t line, struct type *type)
{
    struct err why = {0};
    if (type_finish(type, &why))
        return type;
    ast_error(r->err, scope->interface->file, line, "%s", why.message);
    return NULL;
}

static const struct type *scalar_type(struct resolver *r, const struct scope *scope, enum type_kind kind)
{
    if (r->scalars[kind])
        return r->scalars[kind];
    struct type *type = new_type(r, kind);
    if (type && finish(r, scope, 0, type))
        r->scalars[kind] = type;
    return r->scalars[kind];
}

static const struct type *handle_type(struct resolver *r, const struct scope *scope, uint32_t line, enum type_kind kind,
                                      const struct resource *resource)
{
    struct type *type = new_type(r, kind);
    if (!type)
        return NULL;
    type->resource = resource;
    return finish(r, scope, line, type);
}

static const struct type *resolve_named(struct resolver *r, const struct scope *scope, const struct ast_type *ast)
{
    const struct wit_def *def = resolve_name(r, scope, ast->name, ast->line);
    if (!def)
        return NULL;
    return def->resource ? handle_type(r, scope, ast->line, TYPE_OWN, def->resource) : def->type;
}

static const struct type *resolve_handle(struct resolver *r, const struct scope *scope, const struct ast_type *ast)
{
    const struct wit_def *def = resolve_name(r, scope, ast->name, ast->line);
    if (!def)
        return NULL;
    if (!def->resource) {
        ast_error(r->err, scope->interface->file, ast->line, "`%.*s` is not a resource", STR_ARG(ast->name));
        return NULL;
    }
    return handle_type(r, scope, ast->line, (enum type_kind)ast->kind, def->resource);
}

/* The type arguments become unnamed items; absent ones stay without a type. */
static bool resolve_args(struct resolver *r, const struct scope *scope, const struct ast_type *args,
                         struct type_item *items)
{
    uint32_t i = 0;
    for (const struct ast_type *arg = args; arg; arg = arg->next, i++)
        if (!arg->absent && !(items[i].type = resolve_type(r, scope, arg)))
            return false;
    return true;
}

static bool map_key_ok(const struct type *key)
{
    return key->kind <= TYPE_STRING && key->kind != TYPE_F32 && key->kind != TYPE_F64;
}

/* The pair that a map is a list of. */
static bool make_map(struct resolver *r, const struct scope *scope, uint32_t line, struct type *type,
                     const struct type_item *pair)
{
    struct type *tuple = new_type(r, TYPE_TUPLE);
    if (!tuple)
        return false;
    if (!map_key_ok(pair[0].type))
        return ast_error(r->err, scope->interface->file, line, "type cannot be the key of a map");
    tuple->items = pair;
    tuple->count = 2;
    return (type->element = finish(r, scope, line, tuple)) != NULL;
}

/* Put resolved arguments where the kind wants them. */
static bool place_args(struct resolver *r, const struct scope *scope, const struct ast_type *ast, struct type *type,
                       struct type_item *items, uint32_t count)
{
    switch (type->kind) {
    case TYPE_TUPLE:
        type->items = items;
        type->count = count;
        return true;
    case TYPE_RESULT:
        items[0].name = STR("ok");
        items[1].name = STR("error");
        type->items = items;
        type->count = 2;
        return true;
    case TYPE_OPTION:
        items[1] = (struct type_item){STR("some"), items[0].type};
        items[0] = (struct type_item){STR("none"), NULL};
        type->items = items;
        type->count = 2;
        type->element = items[1].type;
        return true;
    case TYPE_MAP: return make_map(r, scope, ast->line, type, items);
    default:
        type->count = ast->count;
        type->element = items[0].type;
        return true;
    }
}

static const struct type *resolve_composite(struct resolver *r, const struct scope *scope, const struct ast_type *ast)
{
    uint32_t count;
    LIST_COUNT(ast->args, &count);
    struct type *type = new_type(r, (enum type_kind)ast->kind);
    struct type_item *items = ARENA_ARRAY(r->arena, struct type_item, count + 2);
    if (!type || !items) {
        out_of_memory(r);
        return NULL;
    }
    if (!resolve_args(r, scope, ast->args, items) || !place_args(r, scope, ast, type, items, count))
        return NULL;
    return finish(r, scope, ast->line, type);
}

static const struct type *resolve_type(struct resolver *r, const struct scope *scope, const struct ast_type *ast)
{
    if (ast->kind == AST_NAMED)
        return resolve_named(r, scope, ast);
    if (ast->kind == TYPE_OWN || ast->kind == TYPE_BORROW)
        return resolve_handle(r, scope, ast);
    if (ast->kind <= TYPE_STRING)
        return scalar_type(r, scope, (enum type_kind)ast->kind);
    return resolve_composite(r, scope, ast);
}

/* --- definitions --- */

static bool check_unique(struct resolver *r, const struct scope *scope, const struct ast_item *items)
{
    for (const struct ast_item *a = items; a; a = a->next)
        for (const struct ast_item *b = items; b != a; b = b->next)
            if (str_eq(a->name, b->name))
                return ast_error(r->err, scope->interface->file, a->line, "`%.*s` stands twice", STR_ARG(a->name));
    return true;
}

static const struct type *resolve_items(struct resolver *r, const struct scope *scope, const struct ast_def *ast,
                                        enum type_kind kind)
{
    uint32_t count, i = 0;
    LIST_COUNT(ast->items, &count);
    struct type *type = new_type(r, kind);
    struct type_item *items = ARENA_ARRAY(r->arena, struct type_item, count);
    if (!type || !items) {
        out_of_memory(r);
        return NULL;
    }
    if (!check_unique(r, scope, ast->items))
        return NULL;
    for (const struct ast_item *item = ast->items; item; item = item->next, i++) {
        items[i].name = item->name;
        if (item->type && !(items[i].type = resolve_type(r, scope, item->type)))
            return NULL;
    }
    type->name = ast->name;
    type->items = items;
    type->count = count;
    return finish(r, scope, ast->line, type);
}

static bool define_resource(struct resolver *r, const struct scope *scope, struct wit_def *def)
{
    struct resource *resource = ARENA_NEW(r->arena, struct resource);
    if (!resource)
        return out_of_memory(r);
    *resource = (struct resource){scope->id, def->name, WASM_NO_INDEX};
    def->resource = resource;
    return true;
}

static bool define_alias(struct resolver *r, const struct scope *scope, const struct ast_def *ast, struct wit_def *def)
{
    def->alias = true;
    if (ast->type->kind == AST_NAMED) {
        const struct wit_def *target = resolve_name(r, scope, ast->type->name, ast->type->line);
        if (!target)
            return false;
        def->type = target->type;
        def->resource = target->resource;
        return true;
    }
    struct type *type = (struct type *)resolve_type(r, scope, ast->type);
    if (!type)
        return false;
    if (type->kind > TYPE_STRING) /* made for this alias: it bears its name */
        type->name = def->name;
    def->type = type;
    return true;
}

static struct ast_interface *find_interface(struct resolver *r, const struct ast_file *from,
                                            const struct ast_path *path);
static bool resolve_interface(struct resolver *r, struct ast_interface *ast);

static bool define_use(struct resolver *r, const struct scope *scope, const struct ast_def *ast, struct wit_def *def)
{
    struct ast_interface *from = find_interface(r, scope->interface->file, &ast->path);
    if (!from || !resolve_interface(r, from))
        return false;
    def->foreign = true;
    for (const struct ast_def *other = from->defs; other; other = other->next)
        if (str_eq(other->name, ast->source)) {
            def->type = other->resolved->type;
            def->resource = other->resolved->resource;
            return true;
        }
    return ast_error(r->err, scope->interface->file, ast->line, "no type `%.*s` in `%.*s`", STR_ARG(ast->source),
                     STR_ARG(from->name));
}

static bool fill_def(struct resolver *r, const struct scope *scope, const struct ast_def *ast, struct wit_def *def)
{
    static const enum type_kind kinds[] = {
        [DEF_RECORD] = TYPE_RECORD, [DEF_VARIANT] = TYPE_VARIANT, [DEF_ENUM] = TYPE_ENUM, [DEF_FLAGS] = TYPE_FLAGS};
    def->name = ast->name;
    if (ast->kind == DEF_RESOURCE)
        return define_resource(r, scope, def);
    if (ast->kind == DEF_ALIAS)
        return define_alias(r, scope, ast, def);
    if (ast->kind == DEF_USE)
        return define_use(r, scope, ast, def);
    return (def->type = resolve_items(r, scope, ast, kinds[ast->kind])) != NULL;
}

static bool resolve_def(struct resolver *r, const struct scope *scope, struct ast_def *ast)
{
    const struct ast_file *file = scope->interface->file;
    if (ast->resolved->type || ast->resolved->resource)
        return true;
    if (ast->busy)
        return ast_error(r->err, file, ast->line, "`%.*s` is defined by itself", STR_ARG(ast->name));
    if (r->chain >= WIT_MAX_CHAIN)
        return ast_error(r->err, file, ast->line, "more than %u definitions lead to each other", WIT_MAX_CHAIN);
    ast->busy = true;
    r->chain++;
    bool ok = fill_def(r, scope, ast, ast->resolved);
    r->chain--;
    ast->busy = false;
    return ok;
}

static const struct wit_def *resolve_name(struct resolver *r, const struct scope *scope, struct str name, uint32_t line)
{
    for (struct ast_def *def = scope->interface->defs; def; def = def->next)
        if (str_eq(def->name, name))
            return resolve_def(r, scope, def) ? def->resolved : NULL;
    ast_error(r->err, scope->interface->file, line, "no type `%.*s`", STR_ARG(name));
    return NULL;
}

/* --- functions --- */

static struct str func_name(struct resolver *r, const struct ast_func *ast, const struct resource *resource)
{
    if (ast->kind == WIT_FREE)
        return ast->name;
    if (ast->kind == WIT_CONSTRUCTOR)
        return join(r, STR("[constructor]"), "", resource->name);
    struct str owner = join(r, ast->kind == WIT_STATIC ? STR("[static]") : STR("[method]"), "", resource->name);
    return owner.ptr ? join(r, owner, ".", ast->name) : owner;
}

static bool resolve_params(struct resolver *r, const struct scope *scope, const struct ast_func *ast,
                           struct wit_func *func)
{
    uint32_t count, i = 0;
    LIST_COUNT(ast->params, &count);
    struct func_param *params = ARENA_ARRAY(r->arena, struct func_param, count + 1);
    if (!params)
        return out_of_memory(r);
    if (!check_unique(r, scope, ast->params))
        return false;
    if (ast->kind == WIT_METHOD) {
        params[i].name = STR("self");
        if (!(params[i++].type = handle_type(r, scope, ast->line, TYPE_BORROW, func->resource)))
            return false;
    }
    for (const struct ast_item *param = ast->params; param; param = param->next, i++) {
        params[i].name = param->name;
        if (!(params[i].type = resolve_type(r, scope, param->type)))
            return false;
    }
    func->type.params = params;
    func->type.param_count = i;
    return true;
}

static bool constructor_result_ok(const struct type *result, const struct resource *resource)
{
    const struct type *made = result->kind == TYPE_RESULT ? result->items[0].type : result;
    return made && made->kind == TYPE_OWN && made->resource == resource;
}

static bool resolve_result(struct resolver *r, const struct scope *scope, const struct ast_func *ast,
                           struct wit_func *func)
{
    const struct ast_file *file = scope->interface->file;
    if (ast->result && !(func->type.result = resolve_type(r, scope, ast->result)))
        return false;
    if (ast->kind == WIT_CONSTRUCTOR && !ast->result)
        func->type.result = handle_type(r, scope, ast->line, TYPE_OWN, func->resource);
    if (ast->kind == WIT_CONSTRUCTOR && !func->type.result)
        return false;
    if (ast->kind == WIT_CONSTRUCTOR && !constructor_result_ok(func->type.result, func->resource))
        return ast_error(r->err, file, ast->line, "a constructor returns its resource, or a result with it");
    if (func->type.result && func->type.result->has_borrow)
        return ast_error(r->err, file, ast->line, "a result cannot contain a borrow");
    return true;
}

static bool resolve_func(struct resolver *r, const struct scope *scope, const struct ast_func *ast,
                         const struct resource *resource, struct wit_func *func)
{
    func->kind = ast->kind;
    func->resource = resource;
    func->short_name = ast->kind == WIT_CONSTRUCTOR ? resource->name : ast->name;
    func->name = func_name(r, ast, resource);
    func->type.async_ = ast->async_;
    if (!func->name.ptr)
        return out_of_memory(r);
    return resolve_params(r, scope, ast, func) && resolve_result(r, scope, ast, func);
}

/* --- interfaces --- */

static bool check_def_names(struct resolver *r, const struct ast_interface *ast)
{
    for (const struct ast_def *a = ast->defs; a; a = a->next)
        for (const struct ast_def *b = ast->defs; b != a; b = b->next)
            if (str_eq(a->name, b->name))
                return ast_error(r->err, ast->file, a->line, "`%.*s` is defined twice", STR_ARG(a->name));
    return true;
}

static bool check_func_names(struct resolver *r, const struct ast_interface *ast, const struct ast_func *funcs)
{
    for (const struct ast_func *a = funcs; a; a = a->next)
        for (const struct ast_func *b = funcs; b != a; b = b->next)
            if (str_eq(a->name, b->name))
                return ast_error(r->err, ast->file, a->line, "function `%.*s` is defined twice", STR_ARG(a->name));
    return true;
}

/* A type and a free function cannot share a name. */
static bool check_names(struct resolver *r, const struct ast_interface *ast)
{
    if (!check_def_names(r, ast) || !check_func_names(r, ast, ast->funcs))
        return false;
    for (const struct ast_func *func = ast->funcs; func; func = func->next)
        for (const struct ast_def *def = ast->defs; def; def = def->next)
            if (str_eq(func->name, def->name))
                return ast_error(r->err, ast->file, func->line, "`%.*s` is defined twice", STR_ARG(func->name));
    return true;
}

static bool resolve_defs(struct resolver *r, const struct scope *scope, struct wit_interface *interface)
{
    struct ast_interface *ast = scope->interface;
    uint32_t i = 0;
    LIST_COUNT(ast->defs, &interface->def_count);
    struct wit_def *defs = ARENA_ARRAY(r->arena, struct wit_def, interface->def_count);
    if (!defs)
        return out_of_memory(r);
    if (!check_count(r, ast->file, ast->line, interface->def_count))
        return false;
    interface->defs = defs;
    for (struct ast_def *def = ast->defs; def; def = def->next)
        def->resolved = &defs[i++];
    for (struct ast_def *def = ast->defs; def; def = def->next)
        if (!resolve_def(r, scope, def))
            return false;
    return true;
}

static uint32_t count_funcs(const struct ast_interface *ast)
{
    uint32_t count, total;
    LIST_COUNT(ast->funcs, &total);
    for (const struct ast_def *def = ast->defs; def; def = def->next) {
        LIST_COUNT(def->funcs, &count);
        total += count;
    }
    return total;
}

static bool resolve_func_list(struct resolver *r, const struct scope *scope, const struct ast_func *list,
                              const struct resource *resource, struct wit_func **at)
{
    for (const struct ast_func *func = list; func; func = func->next)
        if (!resolve_func(r, scope, func, resource, (*at)++))
            return false;
    return true;
}

static bool resolve_funcs(struct resolver *r, const struct scope *scope, struct wit_interface *interface)
{
    struct ast_interface *ast = scope->interface;
    interface->func_count = count_funcs(ast);
    struct wit_func *funcs = ARENA_ARRAY(r->arena, struct wit_func, interface->func_count), *at = funcs;
    if (!funcs)
        return out_of_memory(r);
    if (!check_count(r, ast->file, ast->line, interface->func_count) || !check_names(r, ast))
        return false;
    interface->funcs = funcs;
    if (!resolve_func_list(r, scope, ast->funcs, NULL, &at))
        return false;
    for (const struct ast_def *def = ast->defs; def; def = def->next)
        if (!check_func_names(r, ast, def->funcs) ||
            !resolve_func_list(r, scope, def->funcs, def->resolved->resource, &at))
            return false;
    return true;
}

static bool fill_interface(struct resolver *r, struct ast_interface *ast, struct wit_interface *interface)
{
    struct scope scope = {ast, interface->id};
    return resolve_defs(r, &scope, interface) && resolve_funcs(r, &scope, interface);
}

static bool enter_interface(struct resolver *r, struct ast_interface *ast, struct str id)
{
    struct wit_interface *interface = ARENA_NEW(r->arena, struct wit_interface);
    if (!interface)
        return out_of_memory(r);
    interface->name = ast->name;
    interface->id = id;
    interface->package = ast->file->resolved;
    ast->resolved = interface;
    ast->busy = true;
    r->chain++;
    bool ok = fill_interface(r, ast, interface);
    r->chain--;
    ast->busy = false;
    return ok;
}

static bool resolve_interface(struct resolver *r, struct ast_interface *ast)
{
    if (ast->busy)
        return ast_error(r->err, ast->file, ast->line, "interface `%.*s` uses itself", STR_ARG(ast->name));
    if (ast->resolved)
        return true;
    if (r->chain >= WIT_MAX_CHAIN)
        return ast_error(r->err, ast->file, ast->line, "interfaces use each other deeper than %u", WIT_MAX_CHAIN);
    struct str id = join(r, ast->file->package, "/", ast->name);
    return id.ptr ? enter_interface(r, ast, id) : out_of_memory(r);
}

/* --- paths --- */

/* Whether `file` belongs to the package that the path names, seen from `from`. */
static bool in_package(const struct ast_file *file, const struct ast_file *from, const struct ast_path *path)
{
    if (!path->package.len)
        return str_eq(file->package, from->package) && str_eq(file->version, from->version);
    return str_eq(file->package, path->package) && (!path->version.len || str_eq(file->version, path->version));
}

static struct ast_interface *search_interface(struct resolver *r, const struct ast_file *from,
                                              const struct ast_path *path)
{
    for (const struct ast_file *file = r->wit->files; file; file = file->next)
        for (struct ast_interface *at = file->interfaces; at && in_package(file, from, path); at = at->next)
            if (str_eq(at->name, path->name))
                return at;
    return NULL;
}

static bool no_such(struct resolver *r, const struct ast_file *from, const struct ast_path *path, const char *what)
{
    bool full = path->package.len != 0;
    return ast_error(r->err, from, path->line, "no %s `%.*s%s%.*s%s%.*s`", what, STR_ARG(path->package),
                     full ? "/" : "", STR_ARG(path->name), path->version.len ? "@" : "", STR_ARG(path->version));
}

static struct ast_interface *find_interface(struct resolver *r, const struct ast_file *from,
                                            const struct ast_path *path)
{
    struct ast_interface *found = NULL;
    for (const struct ast_use *use = from->uses; use && !path->package.len && !found; use = use->next)
        if (str_eq(use->name, path->name))
            found = search_interface(r, from, &use->path);
    if (!found)
        found = search_interface(r, from, path);
    if (!found)
        no_such(r, from, path, "interface");
    return found;
}

static struct ast_world *find_world(struct resolver *r, const struct ast_file *from, const struct ast_path *path)
{
    for (const struct ast_file *file = r->wit->files; file; file = file->next)
        for (struct ast_world *at = file->worlds; at && in_package(file, from, path); at = at->next)
            if (str_eq(at->types.name, path->name))
                return at;
    no_such(r, from, path, "world");
    return NULL;
}

/* --- worlds --- */

/* A list under construction: `items` has room for `room`. */
struct extern_list {
    struct wit_extern *items;
    uint32_t count, room;
};

static bool extern_grow(struct resolver *r, struct extern_list *list)
{
    uint32_t room = list->room ? list->room * 2 : 16;
    struct wit_extern *items = ARENA_ARRAY(r->arena, struct wit_extern, room);
    if (!items)
        return out_of_memory(r);
    if (list->count)
        memcpy(items, list->items, list->count * sizeof *items);
    list->items = items;
    list->room = room;
    return true;
}

/* An interface that is there already is the same one; a function must not stand twice. */
static bool extern_add(struct resolver *r, struct extern_list *list, const struct wit_extern *item,
                       const struct ast_file *file, uint32_t line)
{
    for (uint32_t i = 0; i < list->count; i++)
        if (str_eq(list->items[i].name, item->name)) {
            if (item->interface && list->items[i].interface == item->interface)
                return true;
            return ast_error(r->err, file, line, "`%.*s` stands twice in the world", STR_ARG(item->name));
        }
    if (list->count >= WIT_MAX_ITEMS)
        return check_count(r, file, line, list->count + 1);
    if (list->count == list->room && !extern_grow(r, list))
        return false;
    list->items[list->count++] = *item;
    return true;
}

static bool resolve_extern(struct resolver *r, struct ast_world *world, struct ast_extern *ast, struct wit_extern *item)
{
    struct scope scope = {&world->types, {NULL, 0}};
    item->name = ast->name;
    if (ast->kind == EXTERN_FUNC) {
        struct wit_func *func = ARENA_NEW(r->arena, struct wit_func);
        item->func = func;
        return func ? resolve_func(r, &scope, ast->func, NULL, func) : out_of_memory(r);
    }
    struct ast_interface *interface = ast->interface;
    if (interface && !enter_interface(r, interface, ast->name))
        return false;
    if (!interface) {
        interface = find_interface(r, world->types.file, &ast->path);
        if (!interface || !resolve_interface(r, interface))
            return false;
    }
    item->interface = interface->resolved;
    if (ast->kind == EXTERN_PATH)
        item->name = interface->resolved->id;
    return true;
}

static struct str renamed(const struct ast_include *include, struct str name)
{
    for (const struct ast_rename *rename = include->renames; rename; rename = rename->next)
        if (str_eq(rename->from, name))
            return rename->to;
    return name;
}

static bool add_all(struct resolver *r, struct ast_world *world, const struct ast_include *include,
                    struct extern_list *list, const struct wit_extern *items, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct wit_extern item = items[i];
        item.name = renamed(include, item.name);
        if (!extern_add(r, list, &item, world->types.file, include->path.line))
            return false;
    }
    return true;
}

static bool resolve_world(struct resolver *r, struct ast_world *ast);

static bool resolve_includes(struct resolver *r, struct ast_world *ast, struct extern_list lists[2])
{
    for (const struct ast_include *include = ast->includes; include; include = include->next) {
        struct ast_world *other = find_world(r, ast->types.file, &include->path);
        if (!other || !resolve_world(r, other))
            return false;
        const struct wit_world *from = other->resolved;
        if (!add_all(r, ast, include, &lists[0], from->imports, from->import_count) ||
            !add_all(r, ast, include, &lists[1], from->exports, from->export_count))
            return false;
    }
    return true;
}

static bool fill_world(struct resolver *r, struct ast_world *ast, struct wit_world *world)
{
    struct extern_list lists[2] = {0};
    if (!enter_interface(r, &ast->types, (struct str){NULL, 0}) || !resolve_includes(r, ast, lists))
        return false;
    for (struct ast_extern *item = ast->externs; item; item = item->next) {
        struct wit_extern resolved = {0};
        if (!resolve_extern(r, ast, item, &resolved) ||
            !extern_add(r, &lists[item->export], &resolved, ast->types.file, item->line))
            return false;
    }
    *world = (struct wit_world){ast->types.name, lists[0].items, lists[1].items, lists[0].count, lists[1].count};
    return true;
}

static bool resolve_world(struct resolver *r, struct ast_world *ast)
{
    if (ast->busy)
        return ast_error(r->err, ast->types.file, ast->types.line, "world `%.*s` includes itself",
                         STR_ARG(ast->types.name));
    if (ast->resolved)
        return true;
    if (r->chain >= WIT_MAX_CHAIN)
        return ast_error(r->err, ast->types.file, ast->types.line, "worlds include each other deeper than %u",
                         WIT_MAX_CHAIN);
    struct wit_world *world = ARENA_NEW(r->arena, struct wit_world);
    if (!world)
        return out_of_memory(r);
    ast->busy = true;
    r->chain++;
    bool ok = fill_world(r, ast, world);
    r->chain--;
    ast->busy = false;
    ast->resolved = ok ? world : NULL;
    return ok;
}

/* --- packages --- */

/* The package of a file: that of an earlier file with the same name and version, or a new one. */
static struct wit_package *package_of(struct resolver *r, const struct ast_file *file)
{
    for (const struct ast_file *other = r->wit->files; other != file; other = other->next)
        if (str_eq(other->package, file->package) && str_eq(other->version, file->version))
            return other->resolved;
    struct wit_package *package = ARENA_NEW(r->arena, struct wit_package);
    if (!package) {
        out_of_memory(r);
        return NULL;
    }
    package->id = file->package;
    package->version = file->version;
    r->wit->packages[r->wit->package_count++] = package;
    return package;
}

static bool make_packages(struct resolver *r)
{
    uint32_t count;
    LIST_COUNT(r->wit->files, &count);
    r->wit->packages = ARENA_ARRAY(r->arena, const struct wit_package *, count);
    if (!r->wit->packages)
        return out_of_memory(r);
    if (count > WIT_MAX_ITEMS)
        return err_set(r->err, ERR_LIMIT, "more than %u files and packages", WIT_MAX_ITEMS);
    for (struct ast_file *file = r->wit->files; file; file = file->next) {
        if (!(file->resolved = package_of(r, file)))
            return false;
        LIST_COUNT(file->interfaces, &count);
        file->resolved->interface_count += count;
        if (!check_count(r, file, file->line, file->resolved->interface_count))
            return false;
        LIST_COUNT(file->worlds, &count);
        file->resolved->world_count += count;
        if (!check_count(r, file, file->line, file->resolved->world_count))
            return false;
    }
    return true;
}

/* Give packages their arrays; counts become the number filled in so far. */
static bool make_lists(struct resolver *r)
{
    for (uint32_t i = 0; i < r->wit->package_count; i++) {
        struct wit_package *package = (struct wit_package *)r->wit->packages[i];
        package->interfaces = ARENA_ARRAY(r->arena, const struct wit_interface *, package->interface_count);
        package->worlds = ARENA_ARRAY(r->arena, const struct wit_world *, package->world_count);
        if (!package->interfaces || !package->worlds)
            return out_of_memory(r);
        package->interface_count = package->world_count = 0;
    }
    return true;
}

static bool name_taken(const struct wit_package *package, struct str name)
{
    for (uint32_t i = 0; i < package->interface_count; i++)
        if (str_eq(package->interfaces[i]->name, name))
            return true;
    for (uint32_t i = 0; i < package->world_count; i++)
        if (str_eq(package->worlds[i]->name, name))
            return true;
    return false;
}

static bool check_free(struct resolver *r, const struct ast_interface *ast)
{
    if (!name_taken(ast->file->resolved, ast->name))
        return true;
    return ast_error(r->err, ast->file, ast->line, "`%.*s` is defined twice", STR_ARG(ast->name));
}

static bool resolve_file(struct resolver *r, struct ast_file *file)
{
    struct wit_package *package = file->resolved;
    for (struct ast_interface *at = file->interfaces; at; at = at->next) {
        if (!check_free(r, at) || !resolve_interface(r, at))
            return false;
        package->interfaces[package->interface_count++] = at->resolved;
    }
    for (struct ast_world *at = file->worlds; at; at = at->next) {
        if (!check_free(r, &at->types) || !resolve_world(r, at))
            return false;
        package->worlds[package->world_count++] = at->resolved;
    }
    return true;
}

bool wit_resolve(struct wit *wit, struct err *err)
{
    struct resolver r = {.wit = wit, .arena = &wit->arena, .err = err};
    if (!make_packages(&r) || !make_lists(&r))
        return false;
    for (struct ast_file *file = wit->files; file; file = file->next)
        if (!resolve_file(&r, file))
            return false;
    return true;
}

void wit_init(struct wit *wit)
{
    *wit = (struct wit){0};
    arena_init(&wit->arena, WIT_MAX_ARENA);
}

void wit_free(struct wit *wit)
{
    arena_free(&wit->arena);
    *wit = (struct wit){0};
}

const struct wit_interface *wit_find(const struct wit *wit, struct str id)
{
    for (uint32_t i = 0; i < wit->package_count; i++)
        for (uint32_t j = 0; j < wit->packages[i]->interface_count; j++)
            if (str_eq(wit->packages[i]->interfaces[j]->id, id))
                return wit->packages[i]->interfaces[j];
    return NULL;
}
