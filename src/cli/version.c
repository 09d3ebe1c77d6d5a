/* mayfly version: of the program, its compiler, and what guests may use. */
#include "cli/cli.h"

#include "base/json.h"
#include "codegen/cpu.h"
#include "compile/child.h"
#include "image/format.h"
#include "wasm/feature.h"

#include <stdio.h>

#define TEXT_MAX 65536u

static const struct {
    const char *version, *use;
} wasi[] = {
    {"0.1", "core modules as commands (run)"},
    {"0.2", "components that handle HTTP (up)"},
};

static const char *engine_id(char text[2 * 32 + 1])
{
    uint8_t id[32];
    image_engine_id(id);
    for (int i = 0; i < 32; i++)
        snprintf(text + (size_t)2 * i, 3, "%02x", id[i]);
    return text;
}

static void write_json(struct json *json, const char *compiler)
{
    char id[65];
    json_object(json, NULL);
    json_number(json, "schema", 1);
    json_string(json, "version", STR(MAYFLY_VERSION));
    json_string(json, "engine", str_of(engine_id(id)));
    json_object(json, "compiler");
    json_string(json, "llvm", STR(MAYFLY_LLVM_VERSION));
    if (compiler)
        json_string(json, "path", str_of(compiler));
    else
        json_null(json, "path");
    json_end(json);
    json_object(json, "cpu");
    json_string(json, "machine", str_of(cpu_level()));
    json_string(json, "guests", STR(CODEGEN_CPU));
    json_end(json);
    json_array(json, "features");
    for (int i = FEATURE_MVP + 1; i < FEATURE_COUNT; i++)
        json_string(json, NULL, str_of(wasm_feature_names[i]));
    json_end(json);
    json_array(json, "wasi");
    for (size_t i = 0; i < sizeof wasi / sizeof *wasi; i++)
        json_string(json, NULL, str_of(wasi[i].version));
    json_end(json);
    json_end(json);
}

static void print_features(void)
{
    char text[1024];
    size_t size = 0;
    for (int i = FEATURE_MVP + 1; i < FEATURE_COUNT; i++)
        size += (size_t)snprintf(text + size, sizeof text - size, "%s%s", size ? ", " : "", wasm_feature_names[i]);
    int column = printf("%-13s", "WebAssembly");
    cli_print_text(text, column, column);
}

static void print_human(const char *compiler)
{
    puts("mayfly " MAYFLY_VERSION);
    printf("%-13sLLVM %s, %s\n", "compiler", MAYFLY_LLVM_VERSION, compiler ? compiler : "not installed");
    printf("%-13s%s; guests are compiled for %s\n", "processor", cpu_level(), CODEGEN_CPU);
    print_features();
    for (size_t i = 0; i < sizeof wasi / sizeof *wasi; i++)
        printf("%-13s%s: %s\n", i ? "" : "WASI", wasi[i].version, wasi[i].use);
}

int cli_version(const struct cli_options *options)
{
    char path[PATH_MAX];
    struct err none;
    struct buf text;
    const char *compiler = compiler_path(path, &none) ? path : NULL;
    if (!options->json) {
        print_human(compiler);
        return cli_printed();
    }
    buf_init(&text, TEXT_MAX);
    write_json(&(struct json){.out = &text}, compiler);
    int code = cli_print_buf(&text);
    buf_free(&text);
    return code;
}
