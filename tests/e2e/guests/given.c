/* Answers with what it was given: a line for each argument, each variable and each directory, of which it also tries to
 * read and to write the file that the path names. */
#include "answer.h"
#include "text.h"

typedef wasi_filesystem_types_borrow_descriptor_t dir_t;

static void say_string(guest_string_t text)
{
    say_bytes((const char *)text.ptr, text.len);
}

static void say_file(dir_t dir, guest_string_t name)
{
    wasi_filesystem_types_own_descriptor_t file;
    wasi_filesystem_types_error_code_t error;
    guest_tuple2_list_u8_bool_t content;
    if (!wasi_filesystem_types_method_descriptor_open_at(dir, 0, &name, 0, WASI_FILESYSTEM_TYPES_DESCRIPTOR_FLAGS_READ,
                                                         &file, &error)) {
        say(" unread");
        return;
    }
    if (wasi_filesystem_types_method_descriptor_read(wasi_filesystem_types_borrow_descriptor(file), 100, 0, &content,
                                                     &error)) {
        say(" ");
        say_bytes((const char *)content.f0.ptr, content.f0.len);
    }
    wasi_filesystem_types_descriptor_drop_own(file);
}

static void try_to_write(dir_t dir, guest_string_t name)
{
    wasi_filesystem_types_own_descriptor_t file;
    wasi_filesystem_types_error_code_t error;
    bool open =
        wasi_filesystem_types_method_descriptor_open_at(dir, 0, &name, WASI_FILESYSTEM_TYPES_OPEN_FLAGS_CREATE,
                                                        WASI_FILESYSTEM_TYPES_DESCRIPTOR_FLAGS_WRITE, &file, &error);
    say(open ? " written" : " unwritten");
    if (open)
        wasi_filesystem_types_descriptor_drop_own(file);
}

void exports_wasi_http_incoming_handler_handle(request_t request, outparam_t out)
{
    guest_string_t path = request_path(request), name = {path.ptr + 1, path.len - 1};
    guest_list_string_t args;
    guest_list_tuple2_string_string_t variables;
    wasi_filesystem_preopens_list_tuple2_own_descriptor_string_t dirs;
    wasi_cli_environment_get_arguments(&args);
    for (size_t i = 0; i < args.len; i++) {
        say("argument ");
        say_string(args.ptr[i]);
        say("\n");
    }
    wasi_cli_environment_get_environment(&variables);
    for (size_t i = 0; i < variables.len; i++) {
        say("variable ");
        say_string(variables.ptr[i].f0);
        say("=");
        say_string(variables.ptr[i].f1);
        say("\n");
    }
    wasi_filesystem_preopens_get_directories(&dirs);
    for (size_t i = 0; i < dirs.len; i++) {
        dir_t dir = wasi_filesystem_types_borrow_descriptor(dirs.ptr[i].f0);
        say("directory ");
        say_string(dirs.ptr[i].f1);
        say_file(dir, name);
        try_to_write(dir, name);
        say("\n");
    }
    report[reported] = '\0';
    answer(out, 200, report);
}
