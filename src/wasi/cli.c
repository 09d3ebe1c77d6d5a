/* wasi:cli: what a guest may know of its surroundings, its standard streams, its end. */
#include "wasi/gen/wasi_cli.h"
#include "wasi/object.h"
#include "wasi/wagi.h"

#include "runtime/trap.h"

/* ---- wasi:cli/environment ---- */

bool wasi_cli_environment_get_environment(struct host *h, struct list_tuple_str_str *ret)
{
    const struct host_config *config = h->config;
    if (config->wagi_argv)
        return wagi_environment(h, ret);
    struct tuple_str_str *pairs = ARENA_ARRAY(&h->scratch, struct tuple_str_str, config->environment_count);
    if (!pairs)
        return host_no_memory(h);
    for (size_t i = 0; i < config->environment_count; i++)
        pairs[i] = (struct tuple_str_str){config->environment[i].name, config->environment[i].value};
    *ret = (struct list_tuple_str_str){pairs, config->environment_count};
    return true;
}

bool wasi_cli_environment_get_arguments(struct host *h, struct list_str *ret)
{
    if (h->config->wagi_argv)
        return wagi_arguments(h, ret);
    *ret = (struct list_str){h->config->arguments, h->config->argument_count};
    return true;
}

bool wasi_cli_environment_initial_cwd(struct host *h, struct option_str *ret)
{
    ret->some = false;
    return true;
}

/* ---- wasi:cli/exit ---- */

static bool leave(struct host *h, uint8_t status)
{
    h->exited = true;
    h->exit_status = status;
    return trap_raise(h->store, TRAP_EXIT, "status %u", status);
}

bool wasi_cli_exit_exit(struct host *h, const struct result_void_void *status)
{
    return leave(h, status->err);
}

bool wasi_cli_exit_exit_with_code(struct host *h, uint8_t status_code)
{
    return leave(h, status_code);
}

/* ---- standard streams ---- */

static size_t text_room(struct host *h, struct wasi_io_output_stream *s)
{
    return HOST_STREAM_BYTES;
}

static bool text_write(struct host *h, struct wasi_io_output_stream *s, struct str bytes,
                       struct wasi_io_error **ret_why)
{
    host_text_write(h, s->text, bytes);
    return true;
}

const struct output_kind output_text = {text_room, text_write, NULL, false};

bool wasi_cli_stdin_get_stdin(struct host *h, struct wasi_io_input_stream **ret)
{
    struct wasi_io_input_stream *s = HOST_NEW(h, struct wasi_io_input_stream, NULL);
    if (!s)
        return false;
    bool wagi = h->config->wagi_argv != NULL; /* a handler's is empty */
    s->kind = h->config->direct ? &input_standard : wagi ? &input_request : &input_nothing;
    *ret = s;
    return true;
}

static bool get_output(struct host *h, enum host_stream stream, struct wasi_io_output_stream **ret)
{
    struct wasi_io_output_stream *s = HOST_NEW(h, struct wasi_io_output_stream, NULL);
    if (!s)
        return false;
    bool wagi = h->config->wagi_argv && stream == HOST_STDOUT;
    s->kind = h->config->direct ? &output_standard : wagi ? &output_wagi : &output_text;
    s->text = stream;
    *ret = s;
    return true;
}

bool wasi_cli_stdout_get_stdout(struct host *h, struct wasi_io_output_stream **ret)
{
    return get_output(h, HOST_STDOUT, ret);
}

bool wasi_cli_stderr_get_stderr(struct host *h, struct wasi_io_output_stream **ret)
{
    return get_output(h, HOST_STDERR, ret);
}

/* ---- terminals: their handles say only that there is one ---- */

struct wasi_cli_terminal_input {
    struct host_node node;
};

struct wasi_cli_terminal_output {
    struct host_node node;
};

bool wasi_cli_terminal_stdin_get_terminal_stdin(struct host *h, struct option_wasi_cli_terminal_input *ret)
{
    ret->some = h->config->terminal[0];
    ret->value = ret->some ? HOST_NEW(h, struct wasi_cli_terminal_input, NULL) : NULL;
    return !ret->some || ret->value;
}

static bool get_terminal(struct host *h, bool granted, struct option_wasi_cli_terminal_output *ret)
{
    ret->some = granted;
    ret->value = granted ? HOST_NEW(h, struct wasi_cli_terminal_output, NULL) : NULL;
    return !granted || ret->value;
}

bool wasi_cli_terminal_stdout_get_terminal_stdout(struct host *h, struct option_wasi_cli_terminal_output *ret)
{
    return get_terminal(h, h->config->terminal[1], ret);
}

bool wasi_cli_terminal_stderr_get_terminal_stderr(struct host *h, struct option_wasi_cli_terminal_output *ret)
{
    return get_terminal(h, h->config->terminal[2], ret);
}

void wasi_cli_terminal_input_drop(struct host *h, struct wasi_cli_terminal_input *self)
{
    host_drop_node(h, &self->node, "terminal-input");
}

void wasi_cli_terminal_output_drop(struct host *h, struct wasi_cli_terminal_output *self)
{
    host_drop_node(h, &self->node, "terminal-output");
}
