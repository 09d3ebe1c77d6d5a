/* Fuzz target: routes and paths, one a line; what begins with '>' is a path. Good patterns are compiled, and each path
 * gets the same answer as from the simple router, in views of it. */
#include "fuzz/fuzz.h"

#include "support/routes.h"

#define ROUTES 32u
#define PATHS 32u

struct lines {
    struct route_spec specs[ROUTES];
    struct str paths[PATHS];
    size_t spec_count, path_count;
};

static void sort(struct lines *lines, struct str line)
{
    struct err err = {0};
    bool is_path = line.len && line.ptr[0] == '>';
    if (is_path && lines->path_count < PATHS)
        lines->paths[lines->path_count++] = str_slice(line, 1, line.len);
    if (is_path || lines->spec_count == ROUTES)
        return;
    if (route_check(line, &err))
        lines->specs[lines->spec_count++] = (struct route_spec){line, line.len == 1};
    else
        fuzz_check_error(&err, line.len);
}

static void compare(const struct router *router, const struct lines *lines, struct str path)
{
    struct route_match match;
    int wanted = routes_reference(lines->specs, lines->spec_count, path);
    bool found = router_match(router, path, &match);
    FUZZ_CHECK((found ? (int)match.route : -1) == wanted);
    FUZZ_CHECK(!found || !routes_check(router, path, &match));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct lines lines;
    struct router router;
    uint8_t *copy = fuzz_copy(data, size);
    lines.spec_count = lines.path_count = 0;
    for (struct str left = {(const char *)copy, size}; left.len;) {
        size_t end = str_find(left, '\n');
        sort(&lines, str_slice(left, 0, end));
        left = str_slice(left, end + (end < left.len), left.len);
    }
    FUZZ_CHECK(router_compile(&router, lines.specs, lines.spec_count, NULL, NULL, NULL));
    for (size_t i = 0; i < lines.path_count; i++)
        compare(&router, &lines, lines.paths[i]);
    router_free(&router);
    free(copy);
    return 0;
}
