/* See route.h. Edges of words are found by a hash of the node that they leave, the word, and whether a dot follows; an
 * edge of :name is a field of its node. Whatever a path has in it, a look-up stops at the first free entry of a table
 * that is half empty, whose seed nobody knows. */
#include "app/route_text.h"

#include "base/vec.h"

#include <sys/random.h>

#define NODES_MAX ((size_t)ROUTES_MAX * ROUTE_PIECES_MAX + 1)
#define ARENA_MAX ((size_t)1 << 30)

/* Numbers of nodes: 0 is the root, which no edge leads to, and stands for none. Routes: their index + 1, 0: none. */
struct route_node {
    uint32_t end, rest;           /* routes: of the path that ends here, of all that go on from here */
    uint32_t parameter, parted;   /* nodes: behind a segment, behind one up to its first dot */
    bool words;                   /* has edges in the table */
};

struct route_edge {
    struct str word;
    uint32_t from, to; /* to 0: free */
    bool dot;
};

/* ---- the table ---- */

/* Multiply-fold over eight bytes at a time, as base/map.c does it. */
static uint64_t hash_of(const struct router *router, uint32_t from, struct str word, bool dot)
{
    uint64_t h = router->seed ^ ((uint64_t)from << 16 | word.len << 1 | dot);
    for (size_t i = 0; i <= word.len; i += 8) {
        uint64_t bytes = 0;
        memcpy(&bytes, word.ptr + i, word.len - i < 8 ? word.len - i : 8);
        __uint128_t product = (__uint128_t)(h ^ bytes) * 0x9e3779b97f4a7c15ull;
        h = (uint64_t)product ^ (uint64_t)(product >> 64) ^ router->seed;
    }
    return h;
}

static struct route_edge *edge_of(const struct router *router, uint32_t from, struct str word, bool dot)
{
    for (size_t i = hash_of(router, from, word, dot);; i++) {
        struct route_edge *edge = &router->edges[i & router->edge_mask];
        if (edge->to == 0 || (edge->from == from && edge->dot == dot && str_eq(edge->word, word)))
            return edge;
    }
}

/* Room for all words at half of the table. */
static bool make_table(struct router *router, size_t words)
{
    size_t capacity = 2;
    while (capacity < 2 * words)
        capacity *= 2;
    router->edges = mem_alloc(capacity, sizeof *router->edges);
    router->edge_mask = capacity - 1;
    if (getrandom(&router->seed, sizeof router->seed, GRND_NONBLOCK) != (ssize_t)sizeof router->seed)
        router->seed = (uintptr_t)router->edges; /* no randomness: address layout is the next best */
    return router->edges != NULL;
}

/* ---- compiling ---- */

static bool new_node(struct router *router, uint32_t *ret)
{
    size_t number = router->node_count;
    bool done = vec_push((void **)&router->nodes, &router->node_count, &router->node_capacity, sizeof *router->nodes,
                         NODES_MAX) != NULL;
    if (done)
        *ret = (uint32_t)number;
    return done;
}

/* The node behind `piece`, made where it is not there yet; 0: no memory. */
static uint32_t step(struct router *router, uint32_t from, const struct route_piece *piece)
{
    uint32_t to = 0;
    if (piece->parameter) {
        struct route_node *node = &router->nodes[from];
        to = piece->dot ? node->parted : node->parameter;
        if (to || !new_node(router, &to))
            return to;
        node = &router->nodes[from];
        *(piece->dot ? &node->parted : &node->parameter) = to;
        return to;
    }
    struct route_edge *edge = edge_of(router, from, piece->text, piece->dot);
    if (edge->to || !new_node(router, &to))
        return edge->to;
    *edge = (struct route_edge){piece->text, from, to, piece->dot};
    router->nodes[from].words = true;
    return to;
}

static bool add(struct router *router, uint32_t index, route_duplicate *duplicate, void *arg)
{
    struct route *route = &router->routes[index];
    struct route_text text = route_text_of(route->raw);
    struct route_piece piece;
    uint32_t at = 0;
    while (route_text_next(&text, &piece)) {
        at = step(router, at, &piece);
        if (at == 0)
            return false;
    }
    uint32_t *place = route->wildcard ? &router->nodes[at].rest : &router->nodes[at].end;
    if (*place && duplicate)
        duplicate(arg, *place - 1, index);
    *place = index + 1;
    return true;
}

static bool fold_name(struct arena *arena, struct str name, struct str *ret)
{
    char *bytes = arena_copy(arena, name.ptr, name.len);
    for (size_t i = 0; bytes && i < name.len; i++)
        bytes[i] = name.ptr[i] >= 'A' && name.ptr[i] <= 'Z' ? (char)(name.ptr[i] | 0x20)
                   : name.ptr[i] == '_'                     ? '-'
                                                            : name.ptr[i];
    *ret = (struct str){bytes, name.len};
    return bytes != NULL;
}

/* Names and the texts that headers have; `words` counts what goes into the table. */
static bool describe(struct router *router, struct route *route, struct str pattern, size_t *words)
{
    struct route_text text = route_text_of(pattern);
    struct route_piece piece;
    struct str names[ROUTE_CAPTURES_MAX];
    bool slash = pattern.len && pattern.ptr[0] == '/', all = true;
    char *based = arena_alloc(&router->arena, pattern.len + 1);
    if (!based)
        return false;
    based[0] = '/';
    if (pattern.len)
        memcpy(based + !slash, pattern.ptr, pattern.len);
    route->raw = str_slice((struct str){based, pattern.len + !slash}, !slash, pattern.len + !slash);
    route->based = (struct str){based, pattern.len + !slash};
    route->based.len -= based[route->based.len - 1] == '/';
    route->component = route->raw;
    if (pattern.len >= 4 && memcmp(pattern.ptr + pattern.len - 4, "/...", 4) == 0)
        route->component.len -= 4;
    route->wildcard = text.wildcard;
    while (all && route_text_next(&text, &piece)) {
        *words += !piece.parameter;
        router->longest = piece.text.len > router->longest ? piece.text.len : router->longest;
        if (piece.parameter)
            all = fold_name(&router->arena, piece.text, &names[route->name_count++]);
    }
    route->names = all ? arena_copy(&router->arena, names, route->name_count * sizeof names[0]) : NULL;
    return route->names != NULL;
}

static bool describe_all(struct router *router, const struct route_spec *specs, struct err *err)
{
    size_t words = 0;
    uint32_t root;
    router->routes = ARENA_ARRAY(&router->arena, struct route, router->count);
    if (!router->routes || !new_node(router, &root))
        return err_memory(err);
    for (uint32_t i = 0; i < router->count; i++) {
        router->routes[i].is_private = specs[i].is_private;
        if (specs[i].is_private)
            continue;
        if (!route_check(specs[i].pattern, err))
            return false;
        if (!describe(router, &router->routes[i], specs[i].pattern, &words))
            return err_memory(err);
    }
    return make_table(router, words) || err_memory(err);
}

bool router_compile(struct router *ret, const struct route_spec *specs, size_t count, route_duplicate *duplicate,
                    void *arg, struct err *err)
{
    struct router router = {.count = (uint32_t)count};
    if (count > ROUTES_MAX)
        return err_set(err, ERR_LIMIT, "more than %u routes", ROUTES_MAX);
    arena_init(&router.arena, ARENA_MAX);
    bool done = describe_all(&router, specs, err);
    for (uint32_t i = 0; done && i < router.count; i++)
        if (!router.routes[i].is_private)
            done = add(&router, i, duplicate, arg) || err_memory(err);
    if (done)
        *ret = router;
    else
        router_free(&router);
    return done;
}

void router_free(struct router *router)
{
    mem_free(router->nodes);
    mem_free(router->edges);
    arena_free(&router->arena);
    memset(router, 0, sizeof *router);
}

/* ---- matching ---- */

/* Positions are of `path`, which has no slashes around it. One behind its end means that no piece is left: as if each
 * piece, the last one too, had a slash or a dot behind it. */
struct walk {
    const struct router *router;
    struct str path;
    struct str captures[ROUTE_CAPTURES_MAX];
    uint32_t capture_count;
    uint32_t route;
    size_t rest; /* where what the wildcard stands for begins */
};

static bool walk_from(struct walk *walk, uint32_t number, size_t at);

static bool arrive(struct walk *walk, uint32_t route, size_t rest)
{
    walk->route = route;
    walk->rest = rest;
    return route != 0;
}

static bool capture(struct walk *walk, uint32_t node, size_t from, size_t to)
{
    if (node == 0 || from == to)
        return false;
    walk->captures[walk->capture_count++] = str_slice(walk->path, from, to);
    if (walk_from(walk, node, to + 1))
        return true;
    walk->capture_count--;
    return false;
}

static bool follow_word(struct walk *walk, uint32_t node, struct str word, bool dot, size_t next)
{
    if (!walk->router->nodes[node].words || word.len > walk->router->longest)
        return false;
    const struct route_edge *edge = edge_of(walk->router, node, word, dot);
    return edge->to && walk_from(walk, edge->to, next);
}

/* As deep as the longest route at the most. */
static bool walk_from(struct walk *walk, uint32_t number, size_t at)
{
    const struct route_node *node = &walk->router->nodes[number];
    struct str path = walk->path;
    if (at > path.len)
        return arrive(walk, node->end ? node->end : node->rest, at);
    size_t end = at;
    while (end < path.len && path.ptr[end] != '/' && path.ptr[end] != '.')
        end++;
    bool dot = end < path.len && path.ptr[end] == '.';
    if (follow_word(walk, number, str_slice(path, at, end), dot, end + 1) ||
        (dot && capture(walk, node->parted, at, end)))
        return true;
    if (node->parameter) {
        end += str_find(str_slice(path, end, path.len), '/');
        if (capture(walk, node->parameter, at, end))
            return true;
    }
    return arrive(walk, node->rest, at);
}

/* `whole`: the path with its slashes, of which `first` stand in front. */
static void tell(const struct walk *walk, struct str whole, size_t first, struct route_match *ret)
{
    size_t end = first + walk->path.len;
    bool slash = whole.ptr[whole.len - 1] == '/';
    ret->route = walk->route - 1;
    ret->capture_count = walk->capture_count;
    memcpy(ret->captures, walk->captures, walk->capture_count * sizeof walk->captures[0]);
    ret->path = ret->matched = whole;
    ret->trailing = str_slice(whole, whole.len, whole.len);
    if (!walk->router->routes[ret->route].wildcard)
        return;
    if (walk->rest > walk->path.len) {
        ret->matched = str_slice(whole, 0, walk->path.len ? end : 0);
        ret->trailing = str_slice(whole, whole.len - slash, whole.len);
        return;
    }
    ret->matched = str_slice(whole, 0, first + walk->rest - 1);
    ret->trailing = str_slice(whole, first + walk->rest - 1, end + slash);
}

bool router_match(const struct router *router, struct str target, struct route_match *ret)
{
    struct str whole = str_slice(target, 0, str_find(target, '?'));
    struct walk walk;
    size_t first = 0, end = whole.len;
    if (router->count == 0 || whole.len == 0 || whole.ptr[0] != '/')
        return false;
    while (first < end && whole.ptr[first] == '/')
        first++;
    while (end > first && whole.ptr[end - 1] == '/')
        end--;
    walk.router = router;
    walk.path = str_slice(whole, first, end);
    walk.capture_count = 0;
    if (!walk_from(&walk, 0, walk.path.len ? 0 : 1))
        return false;
    tell(&walk, whole, first, ret);
    return true;
}
