/* What it costs to find the route of a request, among how many there are: the best of some rounds, in nanoseconds.
 *
 *     bench-route
 */
#include "app/route.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>

#define MATCHES 200000u
#define ROUNDS 9
#define TEXT 64

/* As applications have them: resources with parameters, files below a folder, single pages. */
static const char *const patterns[] = {"/api/v1/resource%u", "/api/v1/resource%u/:id",
                                       "/api/v1/resource%u/:id/parts/:part", "/files%u/...", "/page%u.html"};
static const char *const paths[] = {"/api/v1/resource%u",
                                    "/api/v1/resource%u/4711?full=yes",
                                    "/api/v1/resource%u/4711/parts/wheel",
                                    "/files%u/img/logo.png",
                                    "/page%u.html",
                                    "/nowhere%u/at/all"};
#define KINDS (sizeof patterns / sizeof patterns[0])

static struct router compile(size_t count)
{
    struct route_spec *specs = calloc(count, sizeof *specs);
    char(*texts)[TEXT] = calloc(count, sizeof *texts);
    struct router router;
    struct err err = {0};
    for (size_t i = 0; specs && texts && i < count; i++)
        specs[i].pattern =
            (struct str){texts[i], (size_t)snprintf(texts[i], TEXT, patterns[i % KINDS], (unsigned)(i / KINDS))};
    if (!specs || !texts || !router_compile(&router, specs, count, NULL, NULL, &err)) {
        err_print(&err, "routes");
        exit(1);
    }
    free(specs);
    free(texts);
    return router;
}

static double best_of(const struct router *router, const char *path, size_t count)
{
    char texts[64][TEXT];
    struct str targets[64];
    struct route_match match;
    uint64_t best = UINT64_MAX, found = 0;
    for (size_t i = 0; i < 64; i++)
        targets[i] = (struct str){
            texts[i], (size_t)snprintf(texts[i], TEXT, path, (unsigned)(i * 7919 % ((count + KINDS - 1) / KINDS)))};
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t began = clock_now_ns();
        for (uint64_t i = 0; i < MATCHES; i++)
            found += router_match(router, targets[i % 64], &match);
        uint64_t took = clock_now_ns() - began;
        best = took < best ? took : best;
    }
    return found == 1 ? 0 : (double)best / MATCHES; /* it must be wanted to be computed */
}

int main(void)
{
    static const size_t counts[] = {5, 100, 1000, 10000, 60000};
    struct router routers[5];
    printf("%-40s", "ns for a match among");
    for (int i = 0; i < 5; i++) {
        routers[i] = compile(counts[i]);
        printf("%8zu", counts[i]);
    }
    printf("\n");
    for (size_t k = 0; k < sizeof paths / sizeof paths[0]; k++) {
        printf("%-40s", paths[k]);
        for (int i = 0; i < 5; i++)
            printf("%8.1f", best_of(&routers[i], paths[k], counts[i]));
        printf("\n");
    }
    for (int i = 0; i < 5; i++)
        router_free(&routers[i]);
    return 0;
}
