/* Stands in for libFuzzer: runs the target once on each file of the folders, or on the files, that are named. */
#include "fuzz/fuzz.h"

#include <dirent.h>
#include <stdbool.h>

static unsigned inputs;

static bool run_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        return false;
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    rewind(file);
    uint8_t *bytes = size >= 0 ? malloc((size_t)size + 1) : NULL;
    bool read = bytes && fread(bytes, 1, (size_t)size, file) == (size_t)size;
    fclose(file);
    if (read) {
        printf("%s\n", path);
        fflush(stdout); /* it must be seen if what follows dies */
        LLVMFuzzerTestOneInput(bytes, (size_t)size);
        inputs++;
    }
    free(bytes);
    return read;
}

static int not_hidden(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static bool run_folder(const char *folder)
{
    struct dirent **names;
    int count = scandir(folder, &names, not_hidden, alphasort);
    bool done = count >= 0;
    for (int i = 0; i < count; i++) {
        char path[1024];
        snprintf(path, sizeof path, "%s/%s", folder, names[i]->d_name);
        done = run_file(path) && done;
        free(names[i]);
    }
    if (count >= 0)
        free(names);
    return done;
}

int main(int argc, char **argv)
{
    bool done = argc > 1;
    for (int i = 1; i < argc; i++)
        done = (run_folder(argv[i]) || run_file(argv[i])) && done;
    printf("%u inputs\n", inputs);
    return done && inputs ? 0 : 1;
}
