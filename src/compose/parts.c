/* The parts of a composition: their files, and what they import of the host. */
#include "compose/inner.h"

#include "component/decode.h"
#include "component/names.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- files ---- */

static bool read_whole(struct part *part, int fd, struct err *err)
{
    struct stat status;
    if (fd < 0 || fstat(fd, &status) != 0)
        return err_errno(err, "%s: cannot open the file", part->path);
    if (!S_ISREG(status.st_mode))
        return err_set(err, ERR_SYSTEM, "%s: not a regular file", part->path);
    if ((uint64_t)status.st_size > COMPOSE_BYTES_MAX)
        return err_set(err, ERR_LIMIT, "%s: the file is larger than 1 GiB", part->path);
    size_t size = (size_t)status.st_size;
    part->bytes = mem_alloc(1, size + 1);
    if (!part->bytes)
        return err_memory(err);
    while (part->size < size) {
        ssize_t n = pread(fd, part->bytes + part->size, size - part->size, (off_t)part->size);
        if (n <= 0)
            return err_errno(err, "%s: cannot read the file", part->path);
        part->size += (size_t)n;
    }
    return true;
}

bool part_open(struct compose *c, struct part *part)
{
    struct component *component;
    struct err *err = c->check.err;
    int fd = open(part->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    bool done = read_whole(part, fd, err);
    if (fd >= 0)
        close(fd);
    if (!done)
        return false;
    if (!component_is(part->bytes, part->size)) {
        err_set(err, ERR_UNSUPPORTED, "%s is no component", part->path);
        return err_remedy(
            err, "only components have and are dependencies: build it as one (Rust: by the target wasm32-wasip2)");
    }
    if (!component_decode(part->bytes, part->size, c->check.arena, &component, err))
        return err_within(err, "%s", part->path);
    part->component = component;
    part->links = ARENA_ARRAY(c->check.arena, struct link, component->type.imports.count);
    return part->links || checker_memory(&c->check);
}

void part_close(struct part *part)
{
    mem_free(part->bytes);
}

/* ---- what is denied ---- */

static const struct fate {
    enum compose_inherit set;
    struct str interface;
} fates[] = {
#define INHERIT(set, interface) {COMPOSE_##set, {interface, sizeof(interface) - 1}},
#include "compose/inherit.def"
#undef INHERIT
};

static const struct fate *find_fate(struct str interface)
{
    for (size_t i = 0; i < sizeof fates / sizeof *fates; i++) {
        struct str name = fates[i].interface;
        bool package = name.ptr[name.len - 1] == '/';
        if (package ? str_starts(interface, name) : str_eq(interface, name))
            return &fates[i];
    }
    return NULL;
}

/* What nobody knows only who has everything may have. */
static bool decide(struct compose *c, const struct part *part, struct str name, bool *ret_denied)
{
    const struct fate *fate = find_fate(name_unversioned(name));
    *ret_denied = false;
    if (!part->dependency || part->dependency->inherit == COMPOSE_ALL)
        return true;
    *ret_denied = fate && fate->set && !(part->dependency->inherit & fate->set);
    if (fate)
        return true;
    err_set(c->check.err, ERR_LINK, "%s imports %.*s, which is in no set that a dependency can inherit", part->path,
            STR_ARG(name));
    err_remedy(c->check.err, "let it have all that its component has, if that is meant: inherit_configuration = true");
    return err_within(c->check.err, "%s", part->dependency->place);
}

/* wasi:cli/environment@0.2.6 -> mayfly:denied/wasi-cli-environment@0.2.6 */
static bool denied_name(struct compose *c, struct str name, struct str *ret)
{
    static const char before[] = "mayfly:denied/";
    size_t size = sizeof before - 1 + name.len, version = str_find(name, '@');
    char *text = arena_alloc(c->check.arena, size);
    if (!text)
        return checker_memory(&c->check);
    memcpy(text, before, sizeof before - 1);
    for (size_t i = 0; i < name.len; i++) {
        char byte = name.ptr[i];
        text[sizeof before - 1 + i] = i < version && (byte == ':' || byte == '/') ? '-' : byte;
    }
    *ret = (struct str){text, size};
    return true;
}

/* ---- groups ---- */

static struct group *find_group(const struct compose *c, struct str interface, struct str track, bool denied)
{
    for (struct group *group = c->groups; group; group = group->next)
        if (group->denied == denied && str_eq(group->interface, interface) && str_eq(group->track, track))
            return group;
    return NULL;
}

static struct group *new_group(struct compose *c, struct str name, bool denied)
{
    struct group *group = ARENA_NEW(c->check.arena, struct group);
    struct str interface = name_unversioned(name);
    if (!group) {
        checker_memory(&c->check);
        return NULL;
    }
    *group = (struct group){.name = name, .interface = interface, .denied = denied};
    group->last = &group->uses;
    group->track =
        interface.len < name.len ? version_track(str_slice(name, interface.len + 1, name.len)) : (struct str){NULL, 0};
    if (denied && !denied_name(c, name, &group->name))
        return NULL;
    *c->last_group = group;
    c->last_group = &group->next;
    return group;
}

bool part_join(struct compose *c, struct part *part, uint32_t import)
{
    const struct extern_decl *decl = &part->component->type.imports.items[import];
    struct str interface = name_unversioned(decl->name), track = {NULL, 0};
    bool denied;
    if (!decide(c, part, decl->name, &denied))
        return false;
    if (interface.len < decl->name.len)
        track = version_track(str_slice(decl->name, interface.len + 1, decl->name.len));
    struct group *group = find_group(c, interface, track, denied);
    struct use *use = ARENA_NEW(c->check.arena, struct use);
    if (!use)
        return checker_memory(&c->check);
    if (!group && !(group = new_group(c, decl->name, denied)))
        return false;
    *use = (struct use){NULL, part, decl};
    *group->last = use;
    group->last = &use->next;
    part->links[import].group = group;
    return true;
}

/* ---- where types have their names ---- */

static bool name_type(struct compose *c, struct part *part, const struct extern_decl *decl, struct group *group)
{
    const struct entity *type = &decl->type;
    uint32_t number = type->sort != SORT_TYPE     ? 0
                      : type->def == DEF_VALUE    ? type->value->shape.number
                      : type->def == DEF_RESOURCE ? type->resource->abstract->number
                                                  : 0;
    if (!number || remap_get(&part->names, number))
        return true;
    struct naming *naming = ARENA_NEW(c->check.arena, struct naming);
    if (!naming)
        return checker_memory(&c->check);
    *naming = (struct naming){group, decl->name};
    return remap_put(&c->check, &part->names, number, naming);
}

bool part_name_types(struct compose *c, struct part *part)
{
    const struct externs *imports = &part->component->type.imports;
    for (uint32_t i = 0; i < imports->count; i++) {
        const struct extern_decl *decl = &imports->items[i];
        const struct instance_type *instance = decl->type.sort == SORT_INSTANCE ? decl->type.instance : NULL;
        for (uint32_t k = 0; instance && k < instance->exports.count; k++)
            if (!name_type(c, part, &instance->exports.items[k], part->links[i].group))
                return false;
    }
    return true;
}
