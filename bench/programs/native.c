/* The native side of bench/code.py: calls bench(n) and prints its checksum. */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    printf("%lu\n", bench(argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 0));
    return 0;
}
