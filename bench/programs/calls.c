/* Calls across the border: bench(n) calls the host n times; echo is called by the host. Guest only. */
#include "bench.h"

__attribute__((import_module("bench"), import_name("echo"))) uint32_t host_echo(uint32_t value);

EXPORT("echo") uint32_t echo(uint32_t value);

uint32_t echo(uint32_t value)
{
    return value + 1;
}

uint64_t bench(uint32_t n)
{
    uint32_t value = 0;
    for (uint32_t i = 0; i < n; i++)
        value = host_echo(value);
    return value;
}
