/* The optimizing generator: units are cut into parts of bounded size, each part becomes an LLVM module and an
 * object, and our linker joins the objects. Parts are independent of each other and numbered in order, so
 * that the result does not depend on how they are scheduled. */
#include "codegen/codegen.h"

#include "codegen/link.h"
#include "codegen/llvm/emit.h"

#include <llvm-c/Disassembler.h>

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#define PART_BYTES ((uint64_t)32 << 10) /* of Wasm code in one LLVM module; fixed, so that the result is */
#define PART_FUNCS 4096u                /* ELF counts sections in 16 bits */
#define PARTS_MAX 100000u
#define OBJECT_MAX ((size_t)2 << 30)
#define THREADS_MAX 64u

/* Functions [first, end) of one unit. The first part is late initializers and the glue, made last: by then it is known
 * which helpers are called. */
struct part {
    uint32_t unit, first, end;
    struct buf object;
    struct err err;
};

struct job {
    const struct unit *units;
    uint32_t unit_count;
    const struct codegen_options *options;
    bool **closed_tables; /* per unit */
    VEC(struct part) parts;
    atomic_size_t next; /* part to take */
    size_t end;         /* behind the last one */
    atomic_bool failed;
    atomic_uint helpers; /* that the parts call, a bit each */
};

static struct part *add_part(struct job *job, uint32_t unit, uint32_t first)
{
    struct part *part = VEC_PUSH(&job->parts, PARTS_MAX);
    if (!part)
        return NULL;
    *part = (struct part){.unit = unit, .first = first, .end = first};
    buf_init(&part->object, OBJECT_MAX);
    return part;
}

static bool cut_unit(struct job *job, uint32_t unit, struct err *err)
{
    const struct wasm_module *module = job->units[unit].module;
    struct part *part = NULL;
    uint64_t bytes = 0;
    for (uint32_t i = module->imported_funcs; i < module->func_count; i++) {
        if (!part || bytes + module->funcs[i].size > PART_BYTES || i - part->first == PART_FUNCS) {
            part = add_part(job, unit, i);
            bytes = 0;
        }
        if (!part)
            return err_memory(err);
        part->end = i + 1;
        bytes += module->funcs[i].size;
    }
    return true;
}

static bool cut(struct job *job, struct err *err)
{
    if (!add_part(job, 0, 0))
        return err_memory(err);
    for (uint32_t i = 0; i < job->unit_count; i++)
        if (!cut_unit(job, i, err))
            return false;
    return true;
}

static bool fill(struct job *job, struct part *part, struct gen *g, struct err *err)
{
    struct wasm_body_scratch *scratch = wasm_body_scratch_new(err);
    if (!scratch)
        return false;
    bool done = part != job->parts.items || (gen_inits(g, scratch, err) && gen_glue(g, g->helpers | job->helpers));
    for (uint32_t i = part->first; i < part->end && done; i++)
        done = gen_body(g, &job->units[part->unit], i, scratch, err);
    wasm_body_scratch_free(scratch);
    return done;
}

static bool compile_part(struct job *job, struct part *part, LLVMTargetMachineRef machine)
{
    struct gen g;
    struct err *err = &part->err;
    bool done = gen_init(&g, job->units, job->unit_count, err);
    g.closed_tables = job->closed_tables;
    done = done && fill(job, part, &g, err) && object_make(&g, machine, job->options, &part->object, err);
    atomic_fetch_or(&job->helpers, g.helpers);
    gen_free(&g);
    return done;
}

/* A thread: takes part after part. After a failure nobody begins another. */
static void *work(void *arg)
{
    struct job *job = arg;
    LLVMTargetMachineRef machine = NULL;
    for (size_t i; !job->failed && (i = atomic_fetch_add(&job->next, 1)) < job->end;) {
        struct part *part = &job->parts.items[i];
        if ((!machine && !object_machine(&machine, job->options, &part->err)) || !compile_part(job, part, machine))
            job->failed = true;
    }
    if (machine)
        LLVMDisposeTargetMachine(machine);
    return NULL;
}

static unsigned thread_count(const struct job *job)
{
    cpu_set_t set;
    unsigned count = job->options->threads;
    if (count == 0)
        count = sched_getaffinity(0, sizeof set, &set) == 0 ? (unsigned)CPU_COUNT(&set) : 1;
    if (count > job->parts.count)
        count = (unsigned)job->parts.count;
    /* Dumps would mix. */
    return job->options->dump ? 1 : count > THREADS_MAX ? THREADS_MAX : count;
}

/* Parts are taken in order, so the first one that failed is the same however threads run: all before it are
 * done or had no error. */
static bool first_error(const struct job *job, struct err *err)
{
    for (size_t i = 0; i < job->parts.count; i++)
        if (job->parts.items[i].err.kind) {
            *err = job->parts.items[i].err;
            break;
        }
    return false;
}

static bool compile(struct job *job, struct err *err)
{
    pthread_t threads[THREADS_MAX];
    unsigned count = thread_count(job), made = 0;
    object_prepare();
    job->next = 1;
    job->end = job->parts.count;
    while (made + 1 < count && pthread_create(&threads[made], NULL, work, job) == 0)
        made++;
    work(job);
    while (made > 0)
        pthread_join(threads[--made], NULL);
    if (!job->failed) {
        job->end = 1;
        job->next = 0;
        work(job);
    }
    return !job->failed || first_error(job, err);
}

static size_t decode(void *arg, const uint8_t *at, size_t left)
{
    uint8_t bytes[16]; /* the longest instruction; LLVM wants them writable */
    char text[128];
    size_t size = left < sizeof bytes ? left : sizeof bytes;
    memcpy(bytes, at, size);
    return LLVMDisasmInstruction(arg, bytes, size, 0, text, sizeof text);
}

static bool join(struct job *job, struct code *ret_code, struct err *err)
{
    struct link_object *objects = mem_alloc(job->parts.count, sizeof *objects);
    if (!objects)
        return err_memory(err);
    for (size_t i = 0; i < job->parts.count; i++)
        objects[i] = (struct link_object){job->parts.items[i].object.data, job->parts.items[i].object.size};
    LLVMDisasmContextRef decoder = LLVMCreateDisasm("x86_64-unknown-linux-gnu", NULL, 0, NULL, NULL);
    bool done =
        decoder ? link_objects(objects, job->parts.count, job->units, job->unit_count, decode, decoder, ret_code, err)
                : err_set(err, ERR_SYSTEM, "LLVM cannot decode x86-64");
    if (decoder)
        LLVMDisasmDispose(decoder);
    mem_free(objects);
    return done;
}

static bool find_closed_tables(struct job *job, struct err *err)
{
    job->closed_tables = mem_alloc(job->unit_count + 1, sizeof *job->closed_tables);
    if (!job->closed_tables)
        return err_memory(err);
    for (uint32_t i = 0; i < job->unit_count; i++)
        if (!(job->closed_tables[i] = closed_tables(&job->units[i], err)))
            return false;
    return true;
}

static void free_job(struct job *job)
{
    for (size_t i = 0; i < job->parts.count; i++)
        buf_free(&job->parts.items[i].object);
    for (uint32_t i = 0; job->closed_tables && i < job->unit_count; i++)
        mem_free(job->closed_tables[i]);
    mem_free(job->closed_tables);
    VEC_FREE(&job->parts);
}

bool codegen_llvm(const struct unit *units, uint32_t count, const struct codegen_options *options,
                  struct code *ret_code, struct err *err)
{
    struct job job = {.units = units, .unit_count = count, .options = options};
    bool done = cut(&job, err) && find_closed_tables(&job, err) && compile(&job, err) && join(&job, ret_code, err);
    free_job(&job);
    return done;
}
