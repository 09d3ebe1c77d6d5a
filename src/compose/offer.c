/* What dependencies have for a component that is not there yet: see compose.h. */
#include "compose/inner.h"

#include "component/world.h"

struct offer {
    struct compose compose;
    struct {
        struct world_import *items;
        uint32_t count, capacity;
    } imports;
};

static bool is_importable(const struct extern_decl *decl)
{
    return decl->type.sort == SORT_INSTANCE || decl->type.sort == SORT_FUNC;
}

static bool add(struct offer *offer, struct world *world, struct str name, const struct extern_decl *exported)
{
    struct world_import *import = LIST_PUSH(&offer->compose.check, &offer->imports, DECLARATORS);
    if (import)
        *import = (struct world_import){world, name, exported};
    return import != NULL;
}

/* One export under the name of the dependency, which is then no package's. */
static bool add_renamed(struct offer *offer, const struct part *part, struct world *world)
{
    const struct compose_dependency *dependency = part->dependency;
    const struct extern_decl *exported = externs_find(&part->component->type.exports, dependency->export_name);
    if (!exported || !is_importable(exported))
        return compose_no_export(&offer->compose, part, dependency->name);
    return add(offer, world, dependency->name, exported);
}

static bool add_matching(struct offer *offer, const struct part *part, const struct words_import *name,
                         struct world *world)
{
    const struct externs *exports = &part->component->type.exports;
    uint32_t before = offer->imports.count;
    for (uint32_t i = 0; i < exports->count; i++)
        if (is_importable(&exports->items[i]) && compose_stands_for(name, exports->items[i].name) &&
            !add(offer, world, exports->items[i].name, &exports->items[i]))
            return false;
    return offer->imports.count > before || compose_no_export(&offer->compose, part, part->dependency->name);
}

static bool add_dependency(struct offer *offer, const struct compose_dependency *dependency)
{
    struct compose *c = &offer->compose;
    struct part *part = &c->parts[c->part_count++];
    struct words_import name;
    *part = (struct part){.path = dependency->path, .dependency = dependency};
    if (!words_import(dependency->name, &name, c->check.err) || !part_open(c, part))
        return compose_blame(c, dependency);
    struct world *world = world_new(part->component, c->check.arena, c->check.err);
    if (!world)
        return false;
    return dependency->export_name.len ? add_renamed(offer, part, world) : add_matching(offer, part, &name, world);
}

bool compose_put_offer(const struct composition *composition, struct buf *out, struct err *err)
{
    struct arena arena;
    struct offer offer = {.compose.check = {.arena = &arena, .err = err, .offset = ERR_NO_OFFSET}};
    arena_init(&arena, COMPOSE_ARENA_MAX);
    offer.compose.parts = ARENA_ARRAY(&arena, struct part, composition->count);
    bool done = offer.compose.parts || err_memory(err);
    for (uint32_t i = 0; done && i < composition->count; i++)
        done = add_dependency(&offer, &composition->items[i]);
    done = done && world_put_imports(offer.imports.items, offer.imports.count, out, err);
    for (uint32_t i = 0; i < offer.compose.part_count; i++) /* names are in their bytes */
        part_close(&offer.compose.parts[i]);
    arena_free(&arena);
    return done;
}
