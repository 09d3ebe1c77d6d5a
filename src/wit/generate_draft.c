/* Drafts in the bindings generator: a pre-release of a version that is there too. What is the same in both has one name
 * in C, so that a draft costs the host only what it has otherwise:
 *
 *   - A resource of the draft is the final one of that name: the same struct, the same id, the same drop.
 *   - A named type of the same interface, name and shape is the final one.
 *   - A function of the same interface, name and shape has no glue of its own: its row names the final one's.
 *
 * Shapes are compared whole, with resources that are the same for equal. */
#include "wit/generate.h"

static bool is_pre_release(struct str version)
{
    return str_find(version, '-') < version.len;
}

bool gen_is_draft_of(const struct wit_package *package, const struct wit_package *final)
{
    struct str core = str_slice(package->version, 0, str_find(package->version, '-'));
    return str_eq(package->id, final->id) && is_pre_release(package->version) && final->version.len &&
           !is_pre_release(final->version) && str_eq(version_track(core), version_track(final->version));
}

const struct gen_resource *gen_final_resource(const struct generator *g, uint32_t package,
                                              const struct resource *resource)
{
    const struct gen_resource *found = NULL;
    for (size_t i = 0; i < g->resources.count; i++) {
        const struct gen_resource *row = &g->resources.items[i];
        if (row->from != g->packages[package].final || !str_eq(row->resource->name, resource->name))
            continue;
        if (!found || str_eq(row->resource->interface, resource->interface))
            found = row;
    }
    return found;
}

/* --- shapes --- */

static bool same_resource(const struct generator *g, const struct resource *a, const struct resource *b)
{
    const struct gen_resource *x = gen_find_resource(g, a), *y = gen_find_resource(g, b);
    return x && y && strcmp(x->name, y->name) == 0;
}

/* Types of WIT are made of types before them, so this ends. NULL: none. */
static bool same_type(const struct generator *g, const struct type *a, const struct type *b)
{
    if (!a || !b || a == b)
        return a == b;
    if (a->kind != b->kind || a->count != b->count || (a->resource && !same_resource(g, a->resource, b->resource)) ||
        !same_type(g, a->element, b->element))
        return false;
    for (uint32_t i = 0; a->items && i < a->count; i++)
        if (!str_eq(a->items[i].name, b->items[i].name) || !same_type(g, a->items[i].type, b->items[i].type))
            return false;
    return true;
}

static bool same_func(const struct generator *g, const struct func_type *a, const struct func_type *b)
{
    if (a->param_count != b->param_count || a->async_ != b->async_ || !same_type(g, a->result, b->result))
        return false;
    for (uint32_t i = 0; i < a->param_count; i++)
        if (!same_type(g, a->params[i].type, b->params[i].type))
            return false;
    return true;
}

/* --- by name --- */

static const struct wit_interface *final_interface(const struct generator *g, uint32_t package, struct str name)
{
    uint32_t final = g->packages[package].final;
    const struct wit_package *found = final == GEN_NO_PACKAGE ? NULL : g->packages[final].package;
    for (uint32_t i = 0; found && i < found->interface_count; i++)
        if (str_eq(found->interfaces[i]->name, name))
            return found->interfaces[i];
    return NULL;
}

const struct type *gen_final_type(const struct generator *g, uint32_t package, const struct wit_interface *interface,
                                  const struct wit_def *def)
{
    const struct wit_interface *final = final_interface(g, package, interface->name);
    for (uint32_t i = 0; final && i < final->def_count; i++)
        if (str_eq(final->defs[i].name, def->name))
            return final->defs[i].type && same_type(g, final->defs[i].type, def->type) ? final->defs[i].type : NULL;
    return NULL;
}

const struct wit_func *gen_final_func(const struct generator *g, uint32_t package,
                                      const struct wit_interface *interface, const struct wit_func *func,
                                      const struct wit_interface **ret_interface)
{
    const struct wit_interface *final = final_interface(g, package, interface->name);
    for (uint32_t i = 0; final && i < final->func_count; i++)
        if (str_eq(final->funcs[i].name, func->name) && same_func(g, &final->funcs[i].type, &func->type)) {
            *ret_interface = final;
            return &final->funcs[i];
        }
    return NULL;
}
