/* What all guests share that speak the canonical ABI themselves, with nothing between them and the host: imports and
 * exports by name, and memory. An instance answers one request, and frees nothing. */
#ifndef MAYFLY_TESTS_GUESTS_ABI_H
#define MAYFLY_TESTS_GUESTS_ABI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IMPORT(module, name) __attribute__((import_module(module), import_name(name)))
#define EXPORT(name) __attribute__((export_name(name)))
#define HTTP "wasi:http/types@0.2.12"
#define STREAMS "wasi:io/streams@0.2.12"

extern char __heap_base;
static size_t top;

EXPORT("cabi_realloc") void *cabi_realloc(void *old, size_t old_size, size_t align, size_t size)
{
    if (!top)
        top = (size_t)&__heap_base;
    size_t at = (top + align - 1) & ~(align - 1);
    top = at + size;
    while (top > __builtin_wasm_memory_size(0) * 65536)
        if (__builtin_wasm_memory_grow(0, 16) == (size_t)-1)
            __builtin_trap();
    for (size_t i = 0; i < old_size && i < size; i++)
        ((char *)at)[i] = ((char *)old)[i];
    return (void *)at;
}

#endif
