/* mayfly new, mayfly add: an application, or a component of one, from a template of the program. */
#include "cli/cli.h"

#include "app/toml.h"
#include "base/file.h"
#include "develop/project.h"
#include "develop/template.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ANSWER_MAX 512u
#define ARENA_MAX ((size_t)16 << 20)

struct making {
    const struct cli_options *options;
    struct arena arena;
    struct template_order order;
    char folder[PATH_MAX];
    char template[ANSWER_MAX], name[ANSWER_MAX], answers[TEMPLATE_VALUES_MAX][ANSWER_MAX]; /* of who was asked */
};

static int list(void)
{
    for (const struct template_info *info = template_list; info->id; info++)
        printf("%-12s %s\n", info->id, info->description);
    return cli_printed();
}

/* ---- questions: only on a terminal, and only of what the command line does not say ---- */

static bool asks(const struct cli_options *options)
{
    return !options->accept_defaults && isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
}

/* False: nobody answers any more. An empty answer is the default. */
static bool ask(const char *question, const char *otherwise, char answer[ANSWER_MAX])
{
    fprintf(stderr, "%s [%s]: ", question, otherwise);
    if (!fgets(answer, ANSWER_MAX, stdin))
        return false;
    answer[strcspn(answer, "\n")] = '\0';
    if (!answer[0])
        snprintf(answer, ANSWER_MAX, "%s", otherwise);
    return true;
}

static bool ask_template(struct making *making, const char **ret_template)
{
    for (const struct template_info *info = template_list; info->id; info++)
        fprintf(stderr, "%-12s %s\n", info->id, info->description);
    *ret_template = making->template;
    return ask("Template", template_list[0].id, making->template);
}

/* ---- what the command line says ---- */

/* `NAME` with -t, as Spin has it today, or `TEMPLATE NAME`, as it was. CLI_DONE, or CLI_USAGE after an error. */
static int take_names(struct making *making, const char *command)
{
    const struct cli_options *options = making->options;
    const char *template = options->template ? options->template : options->second ? options->file : NULL;
    struct err err = {0};
    making->order.name = options->second ? options->second : options->file;
    if (options->template && options->second)
        return cli_usage(command, "both '%s' and -t name a template", options->file);
    if (!template && !(asks(options) && ask_template(making, &template)))
        return cli_usage(command, "which template? -t http-rust, for example; --list says which there are");
    if (!(making->order.template = template_find(template, &err)))
        return cli_usage(command, "%s; %s", err.message, err.remedy);
    if (!making->order.name && asks(options) && ask("Name", template, making->name))
        making->order.name = making->name;
    if (!making->order.name)
        return cli_usage(command, "'%s' needs a NAME", command);
    return CLI_DONE;
}

/* The number of that parameter, or that of the row behind the last. */
static size_t parameter_of(struct str name)
{
    size_t k = 0;
    while (template_parameters[k].name && !str_eq(str_of(template_parameters[k].name), name))
        k++;
    return k;
}

static int take_values(struct making *making, const char *command)
{
    for (uint32_t i = 0; i < making->options->value.count; i++) {
        const char *text = making->options->value.items[i];
        size_t equals = strcspn(text, "="), k = parameter_of((struct str){text, equals});
        if (!text[equals] || !template_parameters[k].name)
            return cli_usage(command, "-v takes project-description=TEXT and http-path=ROUTE, not '%s'", text);
        making->order.values[k] = text + equals + 1;
    }
    return CLI_DONE;
}

/* One of a file, unless the command line has it. */
static bool take_row(struct making *making, const struct toml_node *row, struct err *err)
{
    size_t k = parameter_of(row->key);
    if (row->kind != TOML_TEXT || !template_parameters[k].name) {
        err_set(err, ERR_INVALID, "line %u: this is no value of a template", row->key_line);
        return err_remedy(err, "write project-description = \"TEXT\" and http-path = \"ROUTE\", and nothing else");
    }
    char *copy = arena_alloc(&making->arena, row->text.len + 1);
    if (!copy)
        return err_memory(err);
    memcpy(copy, row->text.ptr, row->text.len);
    if (!making->order.values[k])
        making->order.values[k] = copy;
    return true;
}

static bool take_values_file(struct making *making, const char *path, struct err *err)
{
    struct buf text;
    struct toml_node root = {0};
    struct toml_mistake mistake = {0};
    buf_init(&text, TOML_SIZE_MAX);
    bool done = file_read(path, &text, err);
    struct str whole = {text.data ? (const char *)text.data : "", text.size};
    if (done && !toml_read(&making->arena, whole, &root, &mistake, err))
        done = mistake.line ? err_within(err, "line %u", mistake.line) : false;
    for (uint32_t i = 0; done && i < root.count; i++)
        done = take_row(making, &root.items[i], err);
    buf_free(&text);
    return done || err_within(err, "--values-file: %s", path);
}

static bool take_answers(struct making *making)
{
    bool asked = asks(making->options);
    for (size_t i = 0; template_parameters[i].name; i++) {
        const struct template_parameter *parameter = &template_parameters[i];
        if (making->order.values[i])
            continue;
        if (asked && !ask(parameter->question, parameter->otherwise, making->answers[i]))
            return false;
        making->order.values[i] = asked ? making->answers[i] : parameter->otherwise;
    }
    return true;
}

/* ---- where ---- */

static bool is_empty(const char *path)
{
    DIR *folder = opendir(path);
    bool empty = true;
    for (struct dirent *entry; folder && (entry = readdir(folder));)
        empty &= strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
    if (folder)
        closedir(folder);
    return empty;
}

/* The name, in the folder of the manifest that it is added to. */
static bool take_folder(struct making *making, struct arena *arena, struct err *err)
{
    const struct cli_options *options = making->options;
    const char *base = making->order.manifest ? project_folder_of(arena, making->order.manifest) : ".";
    const char *path = options->init     ? "."
                       : options->output ? options->output
                       : base            ? project_file(arena, base, str_of(making->order.name))
                                         : NULL;
    if (!path)
        return err_memory(err);
    if (snprintf(making->folder, sizeof making->folder, "%s", path) >= (int)sizeof making->folder)
        return err_set(err, ERR_USAGE, "%s: the path is too long", path);
    making->order.folder = making->folder;
    if (options->allow_overwrite || options->init || is_empty(making->folder))
        return true;
    err_set(err, ERR_USAGE, "the folder %s has something in it", making->folder);
    return err_remedy(err, "--allow-overwrite writes into it, and replaces files of the same names");
}

static void tell(const struct making *making)
{
    const struct template_order *order = &making->order;
    if (order->manifest)
        printf("Added %s to %s.", order->name, order->manifest);
    else
        printf("Made %s in %s.", order->name, order->folder);
    if (order->template->next[0])
        printf(" %s/README.md says what it needs (%s).", order->folder, order->template->next);
    printf(" Then:\n\n");
    if (!order->manifest && strcmp(order->folder, ".") != 0)
        printf("    cd %s\n", order->folder);
    printf("    mayfly %s\n", order->template->next[0] ? "build --up" : "up");
}

static bool make(struct making *making, const char *from, struct err *err)
{
    struct arena *arena = &making->arena;
    bool done = (!from || (making->order.manifest = project_find(arena, from, err))) &&
                take_folder(making, arena, err) && template_make(&making->order, err);
    if (done)
        tell(making);
    return done;
}

/* `from`: the manifest to add to, or NULL. */
static int run(struct making *making, const char *command, const char *from)
{
    const struct cli_options *options = making->options;
    struct err err = {0};
    if (take_names(making, command) != CLI_DONE || take_values(making, command) != CLI_DONE)
        return CLI_USAGE;
    bool done = !options->values_file || take_values_file(making, options->values_file, &err);
    if (done && !take_answers(making))
        return CLI_FAILED;
    if (done && make(making, from, &err))
        return cli_printed();
    err_print(&err, NULL);
    return CLI_FAILED;
}

static int begin(const char *command, const struct cli_options *options, const char *from)
{
    struct making making = {.options = options,
                            .order.no_vcs = options->no_vcs != NULL,
                            .order.overwrite = options->allow_overwrite != NULL};
    if (options->list)
        return list();
    if (options->init && options->output)
        return cli_usage(command, "--init and --output say different places");
    arena_init(&making.arena, ARENA_MAX);
    int code = run(&making, command, from);
    arena_free(&making.arena);
    return code;
}

int cli_new(const struct cli_options *options)
{
    return begin("new", options, NULL);
}

int cli_add(const struct cli_options *options)
{
    return begin("add", options, options->from ? options->from : ".");
}
