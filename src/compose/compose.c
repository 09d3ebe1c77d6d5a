/* See compose.h. What is linked with what; everything lives in one arena until the bytes are there. */
#include "compose/inner.h"

#include "base/file.h"
#include "component/decode.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#define PATH_SHOWN 1000u            /* of a path, in the name of a whole */

bool compose_blame(struct compose *c, const struct compose_dependency *dependency)
{
    return err_within(c->check.err, "%s", dependency->place);
}

/* ---- names ---- */

bool compose_stands_for(const struct words_import *dependency, struct str import)
{
    struct words_import imported;
    if (dependency->plain.len)
        return str_eq(dependency->plain, import);
    if (!words_import(import, &imported, NULL) || imported.plain.len || !str_eq(imported.package, dependency->package))
        return false;
    if (dependency->interface.len && !str_eq(dependency->interface, imported.interface))
        return false;
    return !dependency->versioned ||
           (imported.versioned && version_compatible(&dependency->version, &imported.version));
}

/* An export of the same interface in a compatible version. */
static const struct extern_decl *find_compatible(const struct externs *exports, struct str import)
{
    struct words_import wanted, offered;
    if (!words_import(import, &wanted, NULL) || wanted.plain.len || !wanted.versioned)
        return NULL;
    for (uint32_t i = 0; i < exports->count; i++)
        if (words_import(exports->items[i].name, &offered, NULL) && !offered.plain.len && offered.versioned &&
            str_eq(offered.package, wanted.package) && str_eq(offered.interface, wanted.interface) &&
            version_compatible(&offered.version, &wanted.version))
            return &exports->items[i];
    return NULL;
}

static const struct extern_decl *find_export(const struct part *part, struct str import)
{
    struct str name = part->dependency->export_name;
    const struct externs *exports = &part->component->type.exports;
    const struct extern_decl *found = externs_find(exports, name.len ? name : import);
    return found || name.len ? found : find_compatible(exports, import);
}

/* ---- links ---- */

bool compose_no_export(struct compose *c, const struct part *part, struct str import)
{
    struct str name = part->dependency->export_name;
    err_set(c->check.err, ERR_LINK, "%s does not export %.*s%s%.*s", part->path, STR_ARG(name.len ? name : import),
            name.len ? ", which should satisfy " : "", name.len ? (int)import.len : 0, import.ptr);
    err_remedy(c->check.err, "mayfly inspect says what it exports; \"export\" chooses one of another name");
    return compose_blame(c, part->dependency);
}

/* Two dependencies want to satisfy one import. */
static bool twice(struct compose *c, const struct part *one, const struct part *other, struct str import)
{
    err_set(c->check.err, ERR_INVALID, "import %.*s is satisfied by two dependencies, \"%.*s\" and \"%.*s\"",
            STR_ARG(import), STR_ARG(one->dependency->name), STR_ARG(other->dependency->name));
    err_remedy(c->check.err, "let each import have one: name interfaces, not packages");
    return compose_blame(c, other->dependency);
}

static bool link_import(struct compose *c, struct part *main, uint32_t import, struct part *from)
{
    struct str name = main->component->type.imports.items[import].name;
    struct link *link = &main->links[import];
    if (link->from)
        return twice(c, link->from, from, name);
    link->from = from;
    link->export = find_export(from, name);
    bool same = link->export && link->export->type.sort == main->component->type.imports.items[import].type.sort;
    return same || compose_no_export(c, from, name);
}

static bool link_dependency(struct compose *c, struct part *main, struct part *from)
{
    const struct compose_dependency *dependency = from->dependency;
    const struct externs *imports = &main->component->type.imports;
    struct words_import name;
    bool any = false;
    if (!words_import(dependency->name, &name, c->check.err))
        return compose_blame(c, dependency);
    for (uint32_t i = 0; i < imports->count; i++) {
        if (!compose_stands_for(&name, imports->items[i].name))
            continue;
        any = true;
        if (!link_import(c, main, i, from))
            return false;
    }
    if (any)
        return true;
    err_set(c->check.err, ERR_LINK, "dependency \"%.*s\" is no import of %s", STR_ARG(dependency->name), main->path);
    err_remedy(c->check.err, "mayfly inspect says what it imports");
    return compose_blame(c, dependency);
}

/* What no dependency satisfies is the host's. */
static bool link_host(struct compose *c, struct part *part)
{
    const struct externs *imports = &part->component->type.imports;
    for (uint32_t i = 0; i < imports->count; i++) {
        enum sort sort = imports->items[i].type.sort;
        if (part->links[i].from || sort == SORT_TYPE)
            continue;
        if (sort != SORT_INSTANCE) {
            err_set(c->check.err, ERR_LINK, "%s imports %.*s, which nothing satisfies", part->path,
                    STR_ARG(imports->items[i].name));
            err_remedy(c->check.err, "name it among the dependencies of its component");
            return part->dependency ? compose_blame(c, part->dependency) : false;
        }
        if (!part_join(c, part, i))
            return false;
    }
    return part_name_types(c, part);
}

/* ---- the whole ---- */

/* Whose import the message names, or the first: what does not fit is found in the whole. */
static const struct compose_dependency *find_guilty(const struct compose *c, const struct err *err)
{
    const struct part *main = &c->parts[c->part_count - 1];
    const struct externs *imports = &main->component->type.imports;
    char name[256];
    for (uint32_t i = 0; i < imports->count; i++) {
        snprintf(name, sizeof name, "`%.*s`", STR_ARG(imports->items[i].name));
        if (main->links[i].from && strstr(err->message, name))
            return main->links[i].from->dependency;
    }
    return c->parts[0].dependency;
}

static bool check_whole(struct compose *c)
{
    struct component *whole;
    struct err *err = c->check.err;
    if (component_decode(c->out->data, c->out->size, c->check.arena, &whole, err))
        return true;
    const struct compose_dependency *guilty = find_guilty(c, err);
    err->offset = ERR_NO_OFFSET;
    err_within(err, "dependency \"%.*s\" does not fit", STR_ARG(guilty->name));
    if (!err->remedy[0])
        err_remedy(err, "build both against the same interfaces");
    return compose_blame(c, guilty);
}

static bool open_parts(struct compose *c, const char *path, const struct composition *composition)
{
    for (uint32_t i = 0; i < c->part_count; i++) {
        struct part *part = &c->parts[i];
        bool main = i == composition->count;
        part->number = i;
        part->dependency = main ? NULL : &composition->items[i];
        part->path = main ? path : part->dependency->path;
        if (!part_open(c, part))
            return main ? false : compose_blame(c, part->dependency);
    }
    return true;
}

static bool compose(struct compose *c, const char *path, const struct composition *composition)
{
    struct part *main = &c->parts[composition->count];
    bool done = open_parts(c, path, composition);
    for (uint32_t i = 0; done && i < composition->count; i++)
        done = link_dependency(c, main, &c->parts[i]);
    for (uint32_t i = 0; done && i < c->part_count; i++)
        done = link_host(c, &c->parts[i]);
    return done && emit(c) && check_whole(c);
}

bool compose_bytes(const char *path, const struct composition *composition, struct buf *ret_bytes, struct err *err)
{
    struct arena arena;
    struct compose c = {.out = ret_bytes, .part_count = composition->count + 1};
    if (composition->count > COMPOSE_DEPENDENCIES_MAX)
        return err_set(err, ERR_LIMIT, "more than %u dependencies", COMPOSE_DEPENDENCIES_MAX);
    arena_init(&arena, COMPOSE_ARENA_MAX);
    c.check = (struct checker){.arena = &arena, .err = err, .offset = ERR_NO_OFFSET, .work = COMPONENT_MAX_WORK};
    c.last_group = &c.groups;
    c.parts = ARENA_ARRAY(&arena, struct part, c.part_count);
    bool done = c.parts ? compose(&c, path, composition) : err_memory(err);
    for (uint32_t i = 0; c.parts && i < c.part_count; i++)
        part_close(&c.parts[i]);
    arena_free(&arena);
    return done;
}

/* ---- to an image ---- */

static int to_file(const struct buf *bytes, struct err *err)
{
    int fd = memfd_create("mayfly-composed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return err_errno(err, "memfd_create") - 1;
    if (file_write(fd, bytes->data, bytes->size) &&
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) == 0)
        return fd;
    err_errno(err, "cannot keep the composed component in memory");
    close(fd);
    return -1;
}

/* Functions that compilers keep belong to the whole, not to the file of its main part. */
static int open_whole(const char *path, int fd, const struct compile_options *options,
                      struct compile_outcome *ret_outcome, struct err *err)
{
    char name[PATH_SHOWN + 32];
    snprintf(name, sizeof name, "%.*s and its dependencies", (int)PATH_SHOWN, path);
    return compile_open_at(fd, name, options, ret_outcome, err);
}

int compose_open(const char *path, const struct composition *composition, const struct compile_options *options,
                 struct compile_outcome *ret_outcome, struct err *err)
{
    struct buf bytes;
    if (!composition)
        return compile_open(path, options, ret_outcome, err);
    buf_init(&bytes, COMPOSE_BYTES_MAX);
    int fd = compose_bytes(path, composition, &bytes, err) ? to_file(&bytes, err) : -1;
    buf_free(&bytes);
    int image_fd = fd >= 0 ? open_whole(path, fd, options, ret_outcome, err) : -1;
    if (fd >= 0)
        close(fd);
    return image_fd;
}
