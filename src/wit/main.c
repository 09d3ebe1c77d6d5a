/* wit-bindings: generates the host's bindings from WIT files.
 *
 *     wit-bindings --out DIR [--include PREFIX] [--implemented FILE] WIT_FILES...
 *
 * Writes the files of bindings.h to DIR. PREFIX is how #include lines name DIR (default: its last part). A file
 * whose text would not change is left alone, so that nothing is rebuilt for it.
 */
#include "base/vec.h"
#include "wit/bindings.h"

#include <stdio.h>

#define FILES_MAX 256
#define FILE_SIZE_MAX ((size_t)4 << 20)

struct input {
    const char *name;
    struct buf text;
};

struct arguments {
    const char *out, *include, *implemented;
    VEC(struct input) inputs;
};

static bool read_file(const char *name, struct buf *text, struct err *err)
{
    FILE *file = fopen(name, "rb");
    if (!file)
        return err_errno(err, "open");
    char block[4096];
    buf_init(text, FILE_SIZE_MAX);
    for (size_t size; (size = fread(block, 1, sizeof block, file)) > 0;)
        buf_append(text, block, size);
    bool ok = !ferror(file) && !text->failed;
    fclose(file);
    return ok ? true : err_set(err, ERR_LIMIT, "cannot be read, or is larger than %zu bytes", FILE_SIZE_MAX);
}

static bool same_file(const char *path, const struct buf *text)
{
    struct buf old = {0};
    bool same = read_file(path, &old, NULL) && old.size == text->size && memcmp(old.data, text->data, old.size) == 0;
    buf_free(&old);
    return same;
}

static bool write_file(const char *folder, const struct bindings_file *file, struct err *err)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, file->name);
    if (same_file(path, &file->text))
        return true;
    FILE *out = fopen(path, "wb");
    if (!out)
        return err_errno(err, "%s", path);
    bool ok = fwrite(file->text.data, 1, file->text.size, out) == file->text.size;
    ok = fclose(out) == 0 && ok;
    return ok ? true : err_errno(err, "%s", path);
}

static bool option(char **argv, int *i, const char *name, const char **ret_value)
{
    if (strcmp(argv[*i], name) != 0 || !argv[*i + 1])
        return false;
    *ret_value = argv[++*i];
    return true;
}

static bool parse_arguments(char **argv, struct arguments *args, struct err *err)
{
    for (int i = 1; argv[i]; i++) {
        if (option(argv, &i, "--out", &args->out) || option(argv, &i, "--include", &args->include) ||
            option(argv, &i, "--implemented", &args->implemented))
            continue;
        struct input *input = argv[i][0] == '-' ? NULL : VEC_PUSH(&args->inputs, FILES_MAX);
        if (!input)
            return err_set(err, ERR_USAGE, "unknown option or too many files: %s", argv[i]);
        input->name = argv[i];
    }
    if (!args->out || args->inputs.count == 0) {
        err_set(err, ERR_USAGE, "an output folder and at least one WIT file are needed");
        return err_remedy(err, "wit-bindings --out DIR [--include PREFIX] [--implemented FILE] WIT_FILES...");
    }
    const char *slash = strrchr(args->out, '/');
    if (!args->include)
        args->include = slash ? slash + 1 : args->out;
    return true;
}

static bool read_inputs(struct arguments *args, struct wit *wit, struct err *err)
{
    for (size_t i = 0; i < args->inputs.count; i++) {
        struct input *input = &args->inputs.items[i];
        struct str text = {NULL, 0};
        if (!read_file(input->name, &input->text, err))
            return false;
        text = (struct str){(const char *)input->text.data, input->text.size};
        if (!wit_add(wit, str_of(input->name), text, err))
            return false;
    }
    return wit_resolve(wit, err);
}

static bool generate(const struct arguments *args, const struct wit *wit, struct err *err)
{
    struct buf list = {0};
    struct bindings bindings = {0};
    if (args->implemented && !read_file(args->implemented, &list, err))
        return false;
    struct str implemented = {(const char *)list.data, list.size};
    bool ok = bindings_generate(wit, str_of(args->include), implemented, &bindings, err);
    for (size_t i = 0; ok && i < bindings.files.count; i++)
        ok = write_file(args->out, &bindings.files.items[i], err);
    bindings_free(&bindings);
    buf_free(&list);
    return ok;
}

int main(int argc, char **argv)
{
    struct arguments args = {0};
    struct err err = {0};
    struct wit wit;
    (void)argc;
    wit_init(&wit);
    bool ok = parse_arguments(argv, &args, &err) && read_inputs(&args, &wit, &err) && generate(&args, &wit, &err);
    if (!ok)
        err_print(&err, NULL);
    wit_free(&wit);
    for (size_t i = 0; i < args.inputs.count; i++)
        buf_free(&args.inputs.items[i].text);
    VEC_FREE(&args.inputs);
    return ok ? 0 : err.kind == ERR_USAGE ? 2 : 1;
}
