/* Fuzz target: what a hostile guest may hand to the host. An input is a list of calls of the functions that components
 * import, with any arguments, over a memory with any contents; handles of a request and of whatever the calls return
 * are in the table. Each call succeeds or traps, and nothing outside of the guest's memory is touched.
 *
 * The first byte is the number of calls. A call is the number of its function, in two bytes, and CELLS bytes, which
 * stand for its arguments: small numbers, or one of those below. What is left of the input lies at the beginning of
 * memory.
 *
 * Two directories are granted: one to be written, which is emptied after each input, and one to be read. Of the network
 * the guest may bind to the loopback, and reach port 1 there, where nobody is. A key-value store and a database "a" are
 * granted too; what they answer is made of the input's last bytes, and may be anything. */
#include "fuzz/fuzz.h"

#include "base/log.h"
#include "component/handles.h"
#include "http/client.h"
#include "runtime/call.h"
#include "support/alone.h"
#include "runtime/trap.h"
#include "wasi/gen/interfaces.h"
#include "wasi/object.h"
#include "wasi/storage.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>
#include <unistd.h>

#define MEMORY_SIZE 65536u
#define CELLS 10u
#define CALL_BYTES (2 + CELLS)

/* Handles, the size word and memory behind the store, as a slot has them. */
static struct world {
    struct store store __attribute__((aligned(64)));
    struct handles handles;
    uint64_t size;
    uint8_t memory[MEMORY_SIZE] __attribute__((aligned(4096)));
} *world;

static uint32_t heap; /* the guest's allocator: a pointer that goes up, and round when it is at the end */

bool guest_call_ints(struct store *store, uint64_t funcref, const uint64_t *params, uint32_t count,
                     uint64_t *ret_result)
{
    FUZZ_CHECK(count == 4 && params[2] && !(params[2] & (params[2] - 1)));
    uint32_t at = (heap + (uint32_t)params[2] - 1) & ~((uint32_t)params[2] - 1);
    if (at + params[3] > MEMORY_SIZE)
        at = 0;
    heap = at + (uint32_t)params[3];
    *ret_result = at;
    return true;
}

/* Linked in the place of log_line: what is logged is not of interest. */
void __wrap_log_line(enum log_level level, const char *scope, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void __wrap_log_line(enum log_level level, const char *scope, const char *format, ...)
{
    char text[200];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
}

/* Linked in the place of host_wait: nobody else is here who could make something happen. */
bool __wrap_host_wait(struct host *h, uint64_t deadline_ns);
bool __wrap_host_wait(struct host *h, uint64_t deadline_ns)
{
    return host_trap(h, "waits");
}

/* ---- the exchange ---- */

static struct http_request request;

static void want(void *x)
{
}

static void take(void *x, size_t size)
{
    request.body = (struct str){request.body.ptr + size, request.body.len - size};
}

static bool respond(void *x, unsigned status, const struct http_field *fields, size_t count, struct str body)
{
    return true;
}

static bool start(void *x, unsigned status, const struct http_field *fields, size_t count)
{
    return true;
}

static bool write_body(void *x, struct str bytes)
{
    return true;
}

static size_t room(void *x)
{
    return 1000;
}

static bool finish(void *x, const struct http_field *trailers, size_t count)
{
    return true;
}

static const struct http_face face = {want, take, respond, start, write_body, room, finish, NULL, NULL};

static struct http_field fields[] = {{{"host", 4}, {"a", 1}}, {{"x", 1}, {"1", 1}}, {{"x", 1}, {"2", 1}}};
static const struct http_request whole_request = {
    .method = STR("POST"),
    .target = STR("/p?q"),
    .scheme = STR("http"),
    .authority = STR("a"),
    .fields = fields,
    .field_count = 3,
    .body = STR("the body"),
};

/* ---- files ---- */

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *at)
{
    return at->level ? remove(path) : 0;
}

static char folder[] = "/tmp/fuzz-host-XXXXXX";

static void remove_folder(void)
{
    nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    rmdir(folder);
}

static const struct host_directory *directories(void)
{
    static struct host_directory rows[2];
    struct err err = {0};
    if (rows[0].name.len)
        return rows;
    FUZZ_CHECK(mkdtemp(folder) && atexit(remove_folder) == 0);
    FUZZ_CHECK(files_grant(folder, true, &rows[0].dir, &err) && files_grant("/usr/share", false, &rows[1].dir, &err));
    rows[0].name = STR("rw");
    rows[1].name = STR("ro");
    return rows;
}

/* ---- the network ---- */

static const struct grants *grants(void)
{
    static struct grants rules;
    struct err err = {0};
    if (!grants_any(&rules, GRANT_NET))
        FUZZ_CHECK(grants_add(&rules, GRANT_NET, STR("127.0.0.0/8:1"), &err) &&
                   grants_add(&rules, GRANT_LISTEN, STR("127.0.0.0/8:0"), &err) &&
                   grants_add(&rules, GRANT_OUTBOUND, STR("http://127.0.0.1:1"), &err));
    return &rules;
}

static struct host_pool *new_pool(void)
{
    struct err err = {0};
    struct io_loop *loop = io_loop_new(&err);
    struct host_services services = {.outbound = &http_client_face};
    struct host_pool *pool = loop ? host_pool_new(loop, NULL, &err) : NULL;
    services.outbound_client = pool ? http_client_new(loop, &err) : NULL;
    FUZZ_CHECK(services.outbound_client);
    host_pool_serve(pool, &services);
    return pool;
}

/* ---- stores and databases, whose process may be owned by whoever wrote its statements ---- */

#define ANSWER_VALUES 8u
#define ANSWER_BYTES 32u

static uint8_t answer_bytes[ANSWER_BYTES];

struct answer {
    struct storage_call call;
    struct storage_value values[ANSWER_VALUES];
    char bytes[8];
};

static struct storage_call *begin_call(void *client, const struct storage_request *asked)
{
    const uint8_t *from = answer_bytes;
    struct answer *answer = calloc(1, sizeof *answer);
    FUZZ_CHECK(answer && asked->label.len == 1);
    uint8_t first = answer_bytes[0]++;
    answer->call.status = (enum storage_status)(1 + first % (STORAGE_STATUSES - 1));
    if (from[1] & 1)
        answer->call.status = STORAGE_DONE;
    answer->call.count = answer->call.status == STORAGE_DONE ? from[2] % (ANSWER_VALUES + 1) : 0;
    answer->call.values = answer->values;
    answer->call.message = first & 1 ? STR("message") : STR("");
    memcpy(answer->bytes, "a b c d", 8);
    for (unsigned i = 0; i < ANSWER_VALUES; i++) {
        answer->values[i].type = (enum storage_type)(from[3 + i] % 5);
        if (answer->values[i].type >= STORAGE_TEXT)
            answer->values[i].bytes = (struct str){answer->bytes, from[3 + i] % 8};
        else
            answer->values[i].integer = (int8_t)from[11 + i];
    }
    return &answer->call;
}

static void drop_call(struct storage_call *call)
{
    free((struct answer *)call);
}

static const struct storage_face storage_face = {begin_call, drop_call};

static const struct storage_grants *storage(void)
{
    static const struct str labels[] = {{"a", 1}};
    static void *client = &answer_bytes;
    static const struct storage_grants grants = {
        .labels = {labels, labels}, .counts = {1, 1}, .face = &storage_face, .client = &client};
    return &grants;
}

/* ---- calls ---- */

static uint64_t number(uint8_t byte)
{
    static const uint64_t extreme[] = {UINT32_MAX,
                                       (uint64_t)1 << 31,
                                       MEMORY_SIZE,
                                       MEMORY_SIZE - 1,
                                       MEMORY_SIZE - 4,
                                       UINT64_MAX,
                                       (uint64_t)1 << 63,
                                       (uint64_t)1 << 28,
                                       1000,
                                       4096,
                                       65521,
                                       (uint64_t)0xd800,
                                       0x10ffff,
                                       599,
                                       1 << 16};
    return byte < 0xf0 ? byte : extreme[(byte - 0xf0) % (sizeof extreme / sizeof *extreme)];
}

/* A function of the host or, behind them, the drop of a resource. */
static bool call(uint32_t which, union cell *v)
{
    struct canon_env env = {.canon = {.memory_off = offsetof(struct world, memory),
                                      .memory_size_off = offsetof(struct world, size),
                                      .realloc_ref = 1,
                                      .handles_off = offsetof(struct world, handles),
                                      .encoding = v[0].u32 % 3}};
    size_t index = which % (HOST_FUNCTION_COUNT + HOST_RESOURCE_COUNT);
    if (index >= HOST_FUNCTION_COUNT) {
        const struct host_resource *resource = &host_resources[index - HOST_FUNCTION_COUNT];
        env.resource_type = resource->id;
        env.drop = resource->drop;
        return !resource->drop || canon_resource_drop(&world->store, &env, v);
    }
    const struct host_function *row = &host_functions[index];
    env.interface = str_of(row->interface);
    env.name = str_of(row->name);
    return !row->glue || row->glue(&world->store, &env, v);
}

static void run_calls(const uint8_t *data, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const uint8_t *bytes = data + i * CALL_BYTES;
        union cell v[32];
        memset(v, 0, sizeof v);
        for (size_t k = 0; k < CELLS; k++)
            v[k].u64 = number(bytes[2 + k]);
        bool done = call(bytes[0] | (uint32_t)bytes[1] << 8, v);
        FUZZ_CHECK(done == (world->store.trap == TRAP_NONE));
        if (!done)
            return;
    }
}

static void begin(const uint8_t *contents, size_t size)
{
    if (!world)
        world = aligned_alloc(4096, (sizeof *world + 4095) / 4096 * 4096);
    FUZZ_CHECK(world);
    memset(&world->store, 0, sizeof world->store);
    memset(&world->handles, 0, sizeof world->handles);
    memset(world->memory, 0, sizeof world->memory);
    memcpy(world->memory, contents, size < MEMORY_SIZE ? size : MEMORY_SIZE);
    world->size = MEMORY_SIZE;
    size_t tail = size < ANSWER_BYTES ? size : ANSWER_BYTES;
    memset(answer_bytes, 0, ANSWER_BYTES);
    memcpy(answer_bytes, contents + size - tail, tail);
    heap = 4096;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct host_pool *pool;
    static struct host_config config = {.name = "fuzz", .directory_count = 2};
    struct err err = {0};
    uint32_t handles[2];
    config.grants = grants();
    config.storage = storage();
    if (size == 0)
        return 0;
    size_t count = data[0] % 32 < (size - 1) / CALL_BYTES ? data[0] % 32 : (size - 1) / CALL_BYTES;
    begin(data + 1 + count * CALL_BYTES, size - 1 - count * CALL_BYTES);
    config.directories = directories();
    if (!pool)
        pool = new_pool();
    struct host *h = pool ? host_begin(pool, &config, &world->store, NULL) : NULL;
    FUZZ_CHECK(h);
    world->store.host = h;
    request = whole_request;
    host_take_request(h, &request, &face, &err);
    FUZZ_CHECK(host_give_request(h, &world->handles, &handles[0], &handles[1]));
    run_calls(data + 1, count);
    host_end(h, world->store.trap != TRAP_NONE);
    nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    return 0;
}
