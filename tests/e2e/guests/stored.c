/* A command that counts in the store "default" how often it ran, and exits with that number; 100 and more: the error's.
 */
#include <stddef.h>
#include <stdint.h>

#define IMPORT(module, name) __attribute__((import_module(module), import_name(name)))

IMPORT("wasi:cli/exit@0.2.12", "exit-with-code") void exit_with(int code);
IMPORT("wasi:keyvalue/store@0.2.0-draft2", "open") void bucket_open(const char *label, size_t size, void *ret);
IMPORT("wasi:keyvalue/atomics@0.2.0-draft2", "increment")
void bucket_add(int bucket, const char *key, size_t size, int64_t delta, void *ret);

static _Alignas(8) uint8_t ret[32];
static uint8_t text[1024]; /* of an error: there is one */

__attribute__((export_name("cabi_realloc"))) void *cabi_realloc(void *old, size_t old_size, size_t align, size_t size)
{
    return size <= sizeof text ? text : NULL;
}

__attribute__((export_name("wasi:cli/run@0.2.12#run"))) int run(void)
{
    bucket_open("default", 7, ret);
    if (ret[0])
        exit_with(100 + ret[4]);
    int bucket;
    __builtin_memcpy(&bucket, ret + 4, 4);
    bucket_add(bucket, "runs", 4, 1, ret);
    exit_with(ret[0] ? 110 + ret[8] : ret[8]);
    return 1;
}
