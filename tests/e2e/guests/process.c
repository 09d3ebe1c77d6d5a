/* A WASI 0.1 command that does what its first argument says, one small thing each; the tests of `mayfly run` ask. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int say_args(int count, char **args)
{
    for (int i = 0; i < count; i++)
        puts(args[i]);
    return 0;
}

static int say_env(int count, char **args)
{
    extern char **environ;
    for (char **at = environ; at && *at; at++)
        puts(*at);
    return 0;
}

static int copy_input(int count, char **args)
{
    char bytes[1000];
    size_t size;
    while ((size = fread(bytes, 1, sizeof bytes, stdin)) > 0)
        fwrite(bytes, 1, size, stdout);
    return 0;
}

static int end_with(int count, char **args)
{
    exit(atoi(args[0]));
}

__attribute__((noinline)) static int fall_over(int count, char **args)
{
    if (count == 0)
        __builtin_trap();
    return 0;
}

static const struct {
    const char *name;
    int arguments;
    int (*run)(int count, char **args);
} deeds[] = {
    {"args", 0, say_args}, {"env", 0, say_env}, {"cat", 0, copy_input}, {"exit", 1, end_with}, {"trap", 0, fall_over},
};

int main(int argc, char **argv)
{
    for (size_t i = 0; argc > 1 && i < sizeof deeds / sizeof *deeds; i++)
        if (strcmp(deeds[i].name, argv[1]) == 0 && argc - 2 >= deeds[i].arguments)
            return deeds[i].run(argc - 2, argv + 2);
    fprintf(stderr, "%s: no such deed\n", argv[0]);
    return 9;
}
