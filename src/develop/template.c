/* See template.h. */
#include "develop/template.h"

#include "app/manifest.h"
#include "app/route.h"
#include "app/words.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/nearest.h"
#include "develop/project.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_BYTES_MAX ((size_t)1 << 20)
#define DESCRIPTION_MAX 500u

/* ---- the tables ---- */

static bool any_text(struct str text, struct err *err)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.ptr[i] < ' ' || text.ptr[i] == 0x7f)
            return err_set(err, ERR_USAGE, "a control character in a description");
    if (text.len > DESCRIPTION_MAX || !utf8_valid(text.ptr, text.len))
        return err_set(err, ERR_USAGE, "a description is UTF-8, of at most %u bytes", DESCRIPTION_MAX);
    return true;
}

static bool route(struct str text, struct err *err)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] <= ' ' || strchr("\"\\\x7f", text.ptr[i]))
            return err_set(err, ERR_USAGE, "a route has no blanks, quotes or backslashes");
    if (!text.len || text.ptr[0] != '/')
        return err_set(err, ERR_USAGE, "a route begins with '/'");
    return route_check(text, err);
}

#define NO_WIT false
#define WIT true
#define ANY_TEXT any_text
#define ROUTE route

const struct template_info template_list[] = {
#define TEMPLATE(id, wit, description, next) {id, description, next, wit},
#define PARAMETER(name, question, otherwise, form)
#include "develop/templates.def"
#undef TEMPLATE
#undef PARAMETER
    {0},
};

const struct template_parameter template_parameters[] = {
#define TEMPLATE(id, wit, description, next)
#define PARAMETER(name, question, otherwise, form) {name, question, otherwise, form},
#include "develop/templates.def"
#undef TEMPLATE
#undef PARAMETER
    {0},
};

const struct template_info *template_find(const char *id, struct err *err)
{
    struct nearest nearest = nearest_to(str_of(id));
    for (const struct template_info *info = template_list; info->id; info++) {
        if (strcmp(info->id, id) == 0)
            return info;
        nearest_consider(&nearest, str_of(info->id));
    }
    err_set(err, ERR_USAGE, "there is no template \"%s\"", id);
    if (nearest.found.len)
        err_remedy(err, "did you mean \"%.*s\"?", STR_ARG(nearest.found));
    else
        err_remedy(err, "--list says which there are");
    return NULL;
}

/* ---- values ---- */

struct values {
    const struct template_order *order;
    char folder[PATH_MAX];  /* "NAME/" or "" */
    char workdir[PATH_MAX]; /* a line or "" */
    char snake[WORDS_ID_MAX + 1];
};

static bool ends_with(const char *path, const char *ending)
{
    size_t len = strlen(path), size = strlen(ending);
    return len >= size && strcmp(path + len - size, ending) == 0;
}

/* Inside of quotes, in files where there are some. */
static void put_value(struct buf *out, const char *value, bool quoted)
{
    for (; *value; value++) {
        if (quoted && (*value == '"' || *value == '\\'))
            buf_append(out, "\\", 1);
        buf_append(out, value, 1);
    }
}

static bool put_named(struct buf *out, const struct values *values, struct str name, bool quoted)
{
    const struct {
        const char *name, *value;
    } own[] = {{"project-name", values->order->name},
               {"project_name", values->snake},
               {"folder", values->folder},
               {"workdir", values->workdir}};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (str_eq(name, str_of(own[i].name))) {
            put_value(out, own[i].value, false);
            return true;
        }
    for (size_t i = 0; template_parameters[i].name; i++)
        if (str_eq(name, str_of(template_parameters[i].name))) {
            put_value(out, values->order->values[i], quoted);
            return true;
        }
    return false;
}

/* What is between two @ and is no name stays as it is. */
static bool fill(struct buf *out, const struct values *values, const struct template_file *file)
{
    struct str text = {(const char *)file->bytes, file->size};
    bool quoted = ends_with(file->path, ".toml") || ends_with(file->path, ".json");
    while (text.len) {
        size_t at = str_find(text, '@');
        buf_append(out, text.ptr, at);
        text = str_slice(text, at, text.len);
        if (!text.len)
            break;
        struct str name = str_slice(text, 1, text.len);
        name.len = str_find(name, '@');
        if (name.len + 1 < text.len && put_named(out, values, name, quoted)) {
            text = str_slice(text, name.len + 2, text.len);
            continue;
        }
        buf_append(out, "@", 1);
        text = str_slice(text, 1, text.len);
    }
    return !out->failed;
}

/* From the manifest's folder to that of the files, which is in it. */
static bool take_folder(struct values *values, struct err *err)
{
    const struct template_order *order = values->order;
    struct arena arena;
    char from[PATH_MAX], to[PATH_MAX];
    if (!order->manifest)
        return true;
    arena_init(&arena, (size_t)1 << 16);
    const char *folder = project_folder_of(&arena, order->manifest);
    bool known = folder && realpath(folder, from) && realpath(order->folder, to);
    arena_free(&arena);
    if (!known)
        return err_errno(err, "cannot find the folder of %s", order->manifest);
    size_t len = strlen(from);
    if (strncmp(from, to, len) != 0 || to[len] != '/') {
        err_set(err, ERR_USAGE, "%s is not in the folder of %s", order->folder, order->manifest);
        return err_remedy(err, "a component that is added has a folder in that of the manifest");
    }
    for (const char *c = to; *c; c++)
        if ((unsigned char)*c < ' ' || *c == '"' || *c == '\\')
            return err_set(err, ERR_USAGE, "a folder whose name has quotes, backslashes or control characters");
    snprintf(values->folder, sizeof values->folder, "%.*s/", PATH_MAX - 2, to + len + 1);
    snprintf(values->workdir, sizeof values->workdir, "workdir = \"%.*s\"\n", PATH_MAX - 16, to + len + 1);
    return true;
}

static void take_snake(struct values *values)
{
    size_t i = 0;
    for (const char *name = values->order->name; name[i] && i < WORDS_ID_MAX; i++)
        values->snake[i] = name[i] == '-' ? '_' : name[i];
    values->snake[i] = '\0';
}

/* ---- files ---- */

static bool make_folders(char *path, struct err *err)
{
    for (char *at = path; *at; at++) {
        if (*at != '/' || at == path)
            continue;
        *at = '\0';
        bool made = mkdir(path, 0777) == 0 || errno == EEXIST;
        if (!made)
            err_errno(err, "cannot make the folder %s", path);
        *at = '/';
        if (!made)
            return false;
    }
    return true;
}

static bool write_file(const struct template_order *order, const char *name, const struct buf *text, bool runs,
                       struct err *err)
{
    char path[PATH_MAX];
    int size = snprintf(path, sizeof path, "%s/%s", order->folder, name);
    if (size < 0 || size >= (int)sizeof path)
        return err_set(err, ERR_USAGE, "%s: the path is too long", order->folder);
    if (!make_folders(path, err))
        return false;
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | (order->overwrite ? O_TRUNC : O_EXCL), runs ? 0777 : 0666);
    if (fd < 0 && errno == EEXIST) {
        err_set(err, ERR_USAGE, "%s is there already", path);
        return err_remedy(err, "--allow-overwrite replaces files");
    }
    bool done = fd >= 0 && file_write(fd, text->data, text->size);
    if (!done)
        err_errno(err, "cannot write %s", path);
    if (fd >= 0 && close(fd) != 0 && done)
        done = err_errno(err, "cannot write %s", path);
    return done;
}

static bool belongs(const struct template_order *order, const struct template_file *file)
{
    if (strcmp(file->path, "component.toml") == 0 || strcmp(file->path, "head.toml") == 0)
        return false; /* parts of the manifest */
    if (strcmp(file->path, "gitignore") == 0 && order->no_vcs)
        return false;
    return strcmp(file->template, order->template->id) == 0 || (!file->template[0] && order->template->wit);
}

static const char *name_of(const struct template_file *file)
{
    return strcmp(file->path, "gitignore") == 0 ? ".gitignore" : file->path;
}

/* Before the first one is written. */
static bool none_there(const struct template_order *order, struct err *err)
{
    char path[PATH_MAX];
    for (const struct template_file *file = template_files; !order->overwrite && file->path; file++) {
        bool is_new = strcmp(file->path, "head.toml") == 0 && !order->manifest;
        const char *name = is_new ? "spin.toml" : name_of(file);
        if (!is_new && !belongs(order, file))
            continue;
        snprintf(path, sizeof path, "%s/%s", order->folder, name);
        if (access(path, F_OK) != 0)
            continue;
        err_set(err, ERR_USAGE, "%s is there already", path);
        return err_remedy(err, "--allow-overwrite replaces files");
    }
    return true;
}

static bool write_files(const struct values *values, struct err *err)
{
    const struct template_order *order = values->order;
    bool done = true;
    for (const struct template_file *file = template_files; done && file->path; file++) {
        struct buf text;
        if (!belongs(order, file))
            continue;
        const char *name = name_of(file);
        buf_init(&text, FILE_BYTES_MAX);
        bool filled = ends_with(name, ".wasm") ? buf_append(&text, file->bytes, file->size) : fill(&text, values, file);
        done = filled ? write_file(order, name, &text, ends_with(name, ".sh"), err) : err_memory(err);
        buf_free(&text);
    }
    return done;
}

/* ---- the manifest ---- */

static bool add_part(struct buf *out, const struct values *values, const char *template, const char *name)
{
    for (const struct template_file *file = template_files; file->path; file++)
        if (strcmp(file->template, template) == 0 && strcmp(file->path, name) == 0)
            return (!out->size || buf_append(out, "\n", 1)) && fill(out, values, file);
    return false;
}

/* The whole text, which our own reader accepts. */
static bool make_manifest(struct buf *out, const struct values *values, struct err *err)
{
    const struct template_order *order = values->order;
    struct manifest manifest;
    if (order->manifest && !project_read(order->manifest, out, err))
        return false;
    if ((!order->manifest && !add_part(out, values, "", "head.toml")) ||
        !add_part(out, values, order->template->id, "component.toml"))
        return err_memory(err);
    if (!manifest_read(&manifest, (struct str){(const char *)out->data, out->size}, STR(""), NULL, err))
        return err_within(err, "%s", order->manifest ? order->manifest : "spin.toml");
    manifest_free(&manifest);
    return true;
}

static bool write_manifest(const struct template_order *order, const struct buf *text, struct err *err)
{
    return order->manifest ? project_replace(order->manifest, text, err)
                           : write_file(order, "spin.toml", text, false, err);
}

/* ---- the whole ---- */

static bool check(const struct template_order *order, struct err *err)
{
    struct str name = str_of(order->name);
    if (name.len > WORDS_ID_MAX || !words_kebab(name, err)) {
        err_set(err, ERR_USAGE, "\"%s\" is no name", order->name);
        return err_remedy(err, "a name has words with '-' between them, each of letters and digits, a letter first");
    }
    for (size_t i = 0; template_parameters[i].name; i++)
        if (!template_parameters[i].check(str_of(order->values[i]), err))
            return err_within(err, "%s", template_parameters[i].name);
    return true;
}

/* The folder must be there before its place is known. */
static bool make_folder(const char *folder, struct err *err)
{
    char path[PATH_MAX];
    int size = snprintf(path, sizeof path, "%s/", folder);
    if (size < 0 || size >= (int)sizeof path)
        return err_set(err, ERR_USAGE, "%s: the path is too long", folder);
    return make_folders(path, err);
}

bool template_make(const struct template_order *order, struct err *err)
{
    struct values values = {.order = order};
    struct buf manifest;
    bool made = access(order->folder, F_OK) != 0;
    buf_init(&manifest, TOML_SIZE_MAX);
    take_snake(&values);
    bool done = check(order, err) && make_folder(order->folder, err) && take_folder(&values, err) &&
                make_manifest(&manifest, &values, err) && none_there(order, err) && write_files(&values, err) &&
                write_manifest(order, &manifest, err);
    buf_free(&manifest);
    if (!done && made)
        rmdir(order->folder); /* if nothing is in it */
    return done;
}
