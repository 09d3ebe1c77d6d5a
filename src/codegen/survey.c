/* See survey.h. A body's key is made of its bytes as they stand, but for function numbers, block types and the types of
 * indirect calls, which are replaced by what they mean; behind each instruction follow the facts about what it names.
 */
#include "codegen/survey.h"

#include "base/alloc.h"
#include "base/sha256.h"
#include "codegen/parallel.h"
#include "codegen/targets.h"
#include "wasm/body.h"

#include <stdlib.h>
#include <string.h>

#define ENCODING_MAX ((size_t)1 << 30) /* of a recursion group */
#define CHUNK ((size_t)16384) /* of what a key is made of, hashed at once */
#define SYMBOLS_MAX 1000000u
#define DISPATCH_LEAST 16u /* targets */

struct job {
    const struct unit *units;
    uint32_t unit_count;
    const uint8_t *engine;
    struct survey *survey;
    size_t *first; /* per unit: functions of the units before it; one more at the end */
    uint8_t (*types)[SURVEY_KEY_BYTES]; /* per unit: a digest of all its types */
    uint8_t (**groups)[SURVEY_KEY_BYTES]; /* per unit and type that begins a recursion group: a digest of the group */
    bool *uses_types; /* per unit: every function's key covers that digest */
};

/* Which of the function's symbols this is, if `generation` is the surveyor's. */
struct mention {
    uint32_t generation, number;
};

/* What instructions name beside functions, each with facts of its own. */
enum named { NAMED_NOTHING, NAMED_TYPE, NAMED_GLOBAL, NAMED_TABLE, NAMED_MEMORY, NAMED_TAG, NAMED_COUNT };

/* One thread's state; what stands behind `bytes` is of the function at hand. */
struct surveyor {
    struct job *job;
    struct wasm_body_scratch *scratch;
    struct sha256 hash; /* of the key so far, but for: */
    struct buf bytes;
    const struct unit *unit;
    struct survey_func *func;
    size_t symbols_capacity;
    struct mention *mentions; /* per function of all units, by job->first; owned */
    uint32_t generation;
    uint32_t copied; /* the body's bytes before this offset are in `bytes`, or were replaced */
    uint32_t last[NAMED_COUNT]; /* of each kind, what was named last: its facts stand there already */
    bool types; /* the code may depend on any type of the module */
    uint32_t straight; /* instructions since the last that was control */
};

static void begin_key(struct surveyor *s)
{
    sha256_init(&s->hash);
    s->bytes.size = 0;
}

static void flush(struct surveyor *s)
{
    sha256_add(&s->hash, s->bytes.data, s->bytes.size);
    s->bytes.size = 0;
}

static bool finish_key(struct surveyor *s, uint8_t ret_key[SURVEY_KEY_BYTES])
{
    flush(s);
    sha256_finish(&s->hash, ret_key);
    return !s->bytes.failed;
}

/* Small pieces are gathered; a large one goes straight to the hash. */
static void put(struct surveyor *s, const void *bytes, size_t size)
{
    if (size > CHUNK - s->bytes.size)
        flush(s);
    if (size > CHUNK)
        sha256_add(&s->hash, bytes, size);
    else if (size)
        buf_append(&s->bytes, bytes, size);
}

#define PUT(s, ...)                                                                                                    \
    do {                                                                                                               \
        const uint64_t words[] = {__VA_ARGS__};                                                                        \
        put(s, words, sizeof words);                                                                                   \
    } while (0)

static void put_place(struct surveyor *s, struct place place)
{
    PUT(s, place.kind, (uint64_t)place.off);
}

/* ---- types ---- */

static bool is_concrete(wasm_valtype type)
{
    return wasm_is_ref(type) && wasm_heap_is_index(wasm_heap(type));
}

static void put_values(struct surveyor *s, const wasm_valtype *types, uint32_t count)
{
    PUT(s, count);
    put(s, types, count * sizeof *types);
    for (uint32_t i = 0; i < count; i++)
        s->types |= is_concrete(types[i]);
}

/* What a type is, however modules number it: its recursion group and its place there. */
static void put_type(struct surveyor *s, uint32_t index)
{
    const struct wasm_type *types = s->unit->module->types, *type = &types[index];
    uint32_t start = types[type->canonical].group_start;
    PUT(s, type->hash, type->canonical - start, type->final);
    put(s, s->job->groups[s->unit->index][start], SURVEY_KEY_BYTES);
    s->types |= !type->final;
}

static void put_row(struct surveyor *s, const struct type_row *row)
{
    PUT(s, row->hash, row->super, row->depth, row->descriptor, row->size, row->ref_count);
    const struct wasm_type *type = &row->module->types[row->index];
    if (type->kind == WASM_COMP_STRUCT && row->offsets)
        put(s, row->offsets, type->field_count * sizeof *row->offsets);
}

static void put_all_types(struct surveyor *s, const struct unit *unit)
{
    const struct type_table *table = unit->table;
    put_place(s, unit->heap.base);
    put_place(s, unit->heap.words);
    PUT(s, unit->module->type_count, table->display, table->types_end);
    for (uint32_t i = 0; i < unit->module->type_count; i++) {
        const struct wasm_type *type = &unit->module->types[i];
        put_type(s, i);
        PUT(s, type->kind, type->supertype, type->canonical);
        put_row(s, &table->rows[unit->types[i]]);
    }
}

/* Function types that mention no other: a module of such types needs no more than what instructions name. */
static bool is_plain(const struct wasm_type *type)
{
    if (type->kind != WASM_COMP_FUNC || !type->final || type->supertype != WASM_NO_INDEX || type->group_size != 1)
        return false;
    for (uint32_t i = 0; i < type->func.param_count; i++)
        if (is_concrete(type->func.params[i]))
            return false;
    for (uint32_t i = 0; i < type->func.result_count; i++)
        if (is_concrete(type->func.results[i]))
            return false;
    return true;
}

/* ---- facts about what is named ---- */

static void put_global(struct surveyor *s, uint32_t index)
{
    const struct wasm_global *global = &s->unit->module->globals[index];
    put_place(s, s->unit->globals[index]);
    PUT(s, global->type, global->mutable_, global->import);
    if (!global->mutable_)
        PUT(s, global->value.kind, global->value.index, global->value.v[0], global->value.v[1]);
    s->types |= is_concrete(global->type);
}

static void put_limits(struct surveyor *s, const struct wasm_limits *limits)
{
    PUT(s, limits->max, limits->has_max, limits->is_64, limits->shared);
}

static void put_table(struct surveyor *s, uint32_t index)
{
    const struct wasm_table *table = &s->unit->module->tables[index];
    put_place(s, s->unit->tables[index].entries);
    put_place(s, s->unit->tables[index].length);
    put_limits(s, &table->limits);
    PUT(s, table->type, table->limits.min);
    s->types |= is_concrete(table->type);
}

/* Not its initial size, which changes when data does: generators do not read it. */
static void put_memory(struct surveyor *s, uint32_t index)
{
    const struct wasm_memory *memory = &s->unit->module->memories[index];
    put_place(s, s->unit->memories[index].base);
    put_place(s, s->unit->memories[index].size);
    put_limits(s, &memory->limits);
    PUT(s, memory->page_log2);
}

static void put_tag(struct surveyor *s, uint32_t index)
{
    put_place(s, s->unit->tags[index]);
    put_type(s, s->unit->module->tags[index].type);
}

static void name(struct surveyor *s, enum named kind, uint32_t index)
{
    static void (*const put_facts[NAMED_COUNT])(struct surveyor *, uint32_t) = {
        [NAMED_TYPE] = put_type,     [NAMED_GLOBAL] = put_global, [NAMED_TABLE] = put_table,
        [NAMED_MEMORY] = put_memory, [NAMED_TAG] = put_tag,
    };
    PUT(s, kind);
    if (s->last[kind] == index)
        return;
    s->last[kind] = index;
    put_facts[kind](s, index);
}

/* ---- functions ---- */

static struct piece_symbol *add_symbol(struct surveyor *s)
{
    struct survey_func *func = s->func;
    if (func->symbol_count == s->symbols_capacity) {
        size_t grown = s->symbols_capacity ? s->symbols_capacity * 2 : 8;
        struct piece_symbol *symbols = mem_resize(func->symbols, grown, sizeof *symbols);
        if (!symbols) {
            s->bytes.failed = true;
            return NULL;
        }
        func->symbols = symbols;
        s->symbols_capacity = grown;
    }
    return &func->symbols[func->symbol_count++];
}

/* The number of the symbol in the order of first mention. */
static uint32_t symbol_number(struct surveyor *s, struct piece_symbol symbol)
{
    struct mention *mention = &s->mentions[s->job->first[symbol.unit] + symbol.func];
    if (mention->generation == s->generation)
        return mention->number;
    struct piece_symbol *added = add_symbol(s);
    if (!added)
        return 0;
    *added = symbol;
    *mention = (struct mention){s->generation, s->func->symbol_count - 1};
    return mention->number;
}

static void put_func(struct surveyor *s, uint32_t index)
{
    const struct func_place *place = &s->unit->funcs[index];
    PUT(s, place->link, (uint64_t)place->context_delta, (uint64_t)place->off);
    if (place->link == FUNC_HOST)
        PUT(s, symbol_number(s, (struct piece_symbol){CODE_THUNK, s->unit->index, index}), s->unit->context);
    else if (place->link != FUNC_GUEST)
        PUT(s, symbol_number(s, (struct piece_symbol){CODE_FUNC, place->unit, place->func}),
            s->job->units[place->unit].context);
    put_type(s, s->unit->module->funcs[index].type);
}

/* ---- instructions ---- */

/* What the immediates a and b of a shape name. */
static const struct {
    enum named a, b;
} shape_names[SHAPE_COUNT] = {
#define NAMES(shape, a_, b_) [SHAPE_##shape] = {NAMED_##a_, NAMED_##b_}
    NAMES(TYPE, TYPE, NOTHING),        NAMES(TYPE_TABLE, TYPE, TABLE),
    NAMES(TYPE_FIELD, TYPE, NOTHING),  NAMES(TYPE_COUNT, TYPE, NOTHING),
    NAMES(TYPE_DATA, TYPE, NOTHING),   NAMES(TYPE_ELEM, TYPE, NOTHING),
    NAMES(TYPE_TYPE, TYPE, TYPE),      NAMES(GLOBAL, GLOBAL, NOTHING),
    NAMES(TABLE, TABLE, NOTHING),      NAMES(MEMORY, MEMORY, NOTHING),
    NAMES(TAG, TAG, NOTHING),          NAMES(DATA_MEMORY, NOTHING, MEMORY),
    NAMES(ELEM_TABLE, NOTHING, TABLE), NAMES(MEMORY_MEMORY, MEMORY, MEMORY),
    NAMES(TABLE_TABLE, TABLE, TABLE),
#undef NAMES
};

static bool accesses_memory(enum wasm_shape shape)
{
    return (shape >= SHAPE_MEM_0 && shape <= SHAPE_MEMLANE_3) || (shape >= SHAPE_ATOMIC_0 && shape <= SHAPE_ATOMIC_3);
}

/* Instructions whose meaning hangs on static types that nobody names. */
static bool is_about_types(const struct wasm_op *op, enum wasm_shape shape)
{
    if (shape == SHAPE_SELECT_TYPES || shape == SHAPE_HEAP)
        return is_concrete(op->cast.to);
    return shape == SHAPE_CAST || shape == SHAPE_CAST_NULL || shape == SHAPE_BR_CAST || shape == SHAPE_TYPE ||
           (shape >= SHAPE_TYPE_FIELD && shape <= SHAPE_TYPE_TYPE);
}

static void name_all(struct surveyor *s, const struct wasm_op *op, enum wasm_shape shape)
{
    if (shape_names[shape].a)
        name(s, shape_names[shape].a, op->a);
    if (shape_names[shape].b)
        name(s, shape_names[shape].b, op->b);
    if (accesses_memory(shape))
        name(s, NAMED_MEMORY, op->mem.memory);
}

static void put_block(struct surveyor *s, const struct wasm_op *op, enum wasm_shape shape)
{
    put_values(s, op->block.type.params, op->block.type.param_count);
    put_values(s, op->block.type.results, op->block.type.result_count);
    if (shape != SHAPE_TRY)
        return;
    PUT(s, op->block.catch_count);
    for (uint32_t i = 0; i < op->block.catch_count; i++) {
        const struct wasm_catch *clause = &op->block.catches[i];
        PUT(s, clause->kind, clause->label);
        if (clause->kind < 2)
            put_tag(s, clause->tag);
    }
}

static bool begin(void *arg, const struct wasm_body_state *state, struct err *err)
{
    struct surveyor *s = arg;
    put_values(s, state->locals, state->local_count);
    s->copied = WASM_NO_INDEX; /* what declares the locals is said */
    return true;
}

/* The bytes of the instructions before `offset` that stand as they are. One that was replaced left no bytes: the place
 * behind it tells its length. */
static void copy_until(struct surveyor *s, uint32_t offset)
{
    if (s->copied == WASM_NO_INDEX)
        PUT(s, offset - s->unit->module->funcs[s->func->func].body);
    else
        put(s, s->unit->module->bytes + s->copied, offset - s->copied);
    s->copied = offset;
}

static bool is_replaced(enum wasm_shape shape)
{
    return shape == SHAPE_FUNC || shape == SHAPE_BLOCK || shape == SHAPE_TRY || shape == SHAPE_TYPE_TABLE;
}

/* Whether the code refers to them is known only when all functions have been seen. */
static void mention_targets(struct surveyor *s, const struct wasm_op *op)
{
    struct piece_symbol *added = add_symbol(s);
    if (added)
        *added = targets_symbol(s->unit, op->b, op->a);
}

static void put_replaced(struct surveyor *s, const struct wasm_op *op, enum wasm_shape shape)
{
    PUT(s, op->code);
    s->copied = WASM_NO_INDEX;
    if (shape == SHAPE_TYPE_TABLE)
        mention_targets(s, op);
    if (shape == SHAPE_FUNC)
        put_func(s, op->a);
    else if (shape == SHAPE_TYPE_TABLE)
        PUT(s, op->b);
    else
        put_block(s, op, shape);
}

/* Every instruction that writes a table ends the privacy of the one that it names. */
static void note_table_write(struct surveyor *s, const struct wasm_op *op)
{
    bool *closed = s->job->survey->closed_tables[s->unit->index];
    uint32_t table;
    if (op->code == OP_TABLE_SET || op->code == OP_TABLE_GROW || op->code == OP_TABLE_FILL || op->code == OP_TABLE_COPY)
        table = op->a;
    else if (op->code == OP_TABLE_INIT)
        table = op->b;
    else
        return;
    __atomic_store_n(&closed[table], false, __ATOMIC_RELAXED); /* nobody reads it before all threads are done */
}

static void note_tail_call(struct surveyor *s, enum wasm_opcode code)
{
    if (code != OP_RETURN_CALL && code != OP_RETURN_CALL_INDIRECT && code != OP_RETURN_CALL_REF)
        return;
    s->func->tail_calls = true;
    __atomic_store_n(&s->job->survey->keeps_context[s->unit->index], false, __ATOMIC_RELAXED); /* likewise */
}

/* A basic block ends here, or may: blocks alone, and their ends, that nobody branches to are none. */
static bool is_control(enum wasm_opcode code)
{
    return code <= OP_RETURN && code != OP_NOP && code != OP_BLOCK && code != OP_END;
}

static void note_length(struct surveyor *s, enum wasm_opcode code)
{
    s->straight = is_control(code) ? 0 : s->straight + 1;
    if (s->func->longest < s->straight)
        s->func->longest = s->straight;
}

static bool visit(void *arg, const struct wasm_op *op, const struct wasm_body_state *state, struct err *err)
{
    struct surveyor *s = arg;
    enum wasm_shape shape = wasm_op_shape(op->code);
    s->types |= is_about_types(op, shape);
    s->func->catches |= op->code == OP_TRY_TABLE;
    s->func->dispatches |= op->code == OP_BR_TABLE && op->table.count >= DISPATCH_LEAST;
    s->func->targets += op->code == OP_BR_TABLE ? op->table.count : 0;
    note_length(s, op->code);
    note_tail_call(s, op->code);
    note_table_write(s, op);
    copy_until(s, op->offset);
    if (is_replaced(shape))
        put_replaced(s, op, shape);
    name_all(s, op, shape);
    return !s->bytes.failed || err_memory(err);
}

/* ---- functions and units ---- */

static void put_hints(struct surveyor *s, const struct wasm_func *func)
{
    const struct wasm_module *module = s->unit->module;
    for (uint32_t i = wasm_branch_hints_from(module, func->body); i < module->branch_hint_count; i++) {
        const struct wasm_branch_hint *hint = &module->branch_hints[i];
        if (hint->at >= func->body + func->size)
            break;
        PUT(s, hint->at - func->body, hint->taken);
    }
}

static void start_function(struct surveyor *s, struct survey_func *func)
{
    s->func = func;
    s->unit = &s->job->units[func->unit];
    begin_key(s);
    s->symbols_capacity = 0;
    s->types = s->job->uses_types[func->unit];
    s->generation++;
    s->straight = 0;
    memset(s->last, 0xff, sizeof s->last);
    put(s, s->job->engine, SURVEY_KEY_BYTES);
    PUT(s, s->unit->joinable, s->unit->context);
    put_type(s, s->unit->module->funcs[func->func].type);
}

static bool survey_function(void *arg, void *state, size_t task, struct err *err)
{
    static const struct wasm_visitor visitor = {.begin = begin, .op = visit};
    struct surveyor *s = state;
    struct survey_func *func = &s->job->survey->funcs[task];
    start_function(s, func);
    if (!wasm_body_read(s->unit->module, func->func, s->scratch, &visitor, s, err))
        return false;
    put_hints(s, &s->unit->module->funcs[func->func]);
    if (s->types)
        put(s, s->job->types[func->unit], SURVEY_KEY_BYTES);
    return finish_key(s, func->key) || err_memory(err);
}

static void close_surveyor(void *state)
{
    struct surveyor *s = state;
    if (s->scratch)
        wasm_body_scratch_free(s->scratch);
    buf_free(&s->bytes);
    mem_free(s->mentions);
    mem_free(s);
}

static void *open_surveyor(void *arg, struct err *err)
{
    struct job *job = arg;
    struct surveyor *s = mem_alloc(1, sizeof *s);
    if (!s) {
        err_memory(err);
        return NULL;
    }
    s->job = job;
    buf_init(&s->bytes, CHUNK);
    s->mentions = mem_alloc(job->first[job->unit_count] + 1, sizeof *s->mentions);
    s->scratch = s->mentions ? wasm_body_scratch_new(err) : NULL;
    if (s->scratch)
        return s;
    err_memory(err);
    close_surveyor(s);
    return NULL;
}

/* Host functions count: their thunks are called with the importer's context. */
static bool is_own(const struct unit *unit, uint32_t func)
{
    enum func_link link = unit->funcs[func].link;
    return link == FUNC_DEFINED || link == FUNC_HOST;
}

static bool holds_own(const struct unit *unit, const struct wasm_elem *elem)
{
    for (uint32_t i = 0; elem->funcs && i < elem->count; i++)
        if (!is_own(unit, elem->funcs[i]))
            return false;
    return elem->funcs || elem->count == 0;
}

/* What can be said about tables without the bodies. */
static bool *judge_tables(const struct unit *unit)
{
    const struct wasm_module *module = unit->module;
    bool *closed = mem_alloc((size_t)module->table_count + 1, sizeof *closed);
    if (!closed)
        return NULL;
    for (uint32_t i = 0; i < module->table_count; i++)
        closed[i] = module->tables[i].import == WASM_NO_INDEX && !module->tables[i].has_init;
    for (uint32_t i = 0; i < module->export_count; i++)
        if (module->exports[i].kind == WASM_TABLE)
            closed[module->exports[i].index] = false;
    for (uint32_t i = 0; i < module->elem_count; i++)
        if (module->elems[i].mode == WASM_ACTIVE && !holds_own(unit, &module->elems[i]))
            closed[module->elems[i].table] = false;
    return closed;
}

/* Once for each group: members share it. */
static bool digest_groups(struct job *job, const struct unit *unit)
{
    const struct wasm_module *module = unit->module;
    struct buf encoding;
    buf_init(&encoding, ENCODING_MAX);
    job->groups[unit->index] = mem_alloc((size_t)module->type_count + 1, sizeof **job->groups);
    bool done = job->groups[unit->index] != NULL;
    for (uint32_t i = 0; done && i < module->type_count; i += module->types[i].group_size) {
        if (module->types[i].canonical != i)
            continue;
        encoding.size = 0;
        wasm_type_hash(module, i, &encoding);
        sha256(encoding.data, encoding.size, job->groups[unit->index][i]);
        done = !encoding.failed;
    }
    buf_free(&encoding);
    return done;
}

static bool digest_types(struct job *job, const struct unit *unit)
{
    struct surveyor s = {.job = job, .unit = unit};
    bool plain = unit->table->types_end == 0;
    for (uint32_t i = 0; i < unit->module->type_count; i++)
        plain &= is_plain(&unit->module->types[i]);
    buf_init(&s.bytes, CHUNK);
    begin_key(&s);
    put_all_types(&s, unit);
    bool done = finish_key(&s, job->types[unit->index]);
    job->uses_types[unit->index] = !plain;
    buf_free(&s.bytes);
    return done;
}

static bool prepare(struct job *job, struct err *err)
{
    struct survey *survey = job->survey;
    job->first = mem_alloc((size_t)job->unit_count + 1, sizeof *job->first);
    job->types = mem_alloc((size_t)job->unit_count + 1, sizeof *job->types);
    job->groups = mem_alloc((size_t)job->unit_count + 1, sizeof *job->groups);
    job->uses_types = mem_alloc((size_t)job->unit_count + 1, sizeof *job->uses_types);
    survey->closed_tables = mem_alloc((size_t)job->unit_count + 1, sizeof *survey->closed_tables);
    survey->known_tables = mem_alloc((size_t)job->unit_count + 1, sizeof *survey->known_tables);
    survey->keeps_context = mem_alloc((size_t)job->unit_count + 1, sizeof *survey->keeps_context);
    if (!job->first || !job->types || !job->groups || !job->uses_types || !survey->closed_tables ||
        !survey->known_tables || !survey->keeps_context)
        return err_memory(err);
    for (uint32_t i = 0; i < job->unit_count; i++) {
        const struct wasm_module *module = job->units[i].module;
        job->first[i + 1] = job->first[i] + module->func_count;
        survey->func_count += module->func_count - module->imported_funcs;
        survey->closed_tables[i] = judge_tables(&job->units[i]);
        survey->known_tables[i] = mem_alloc((size_t)module->table_count + 1, sizeof(bool));
        survey->keeps_context[i] = true;
        if (!survey->closed_tables[i] || !survey->known_tables[i] || !digest_groups(job, &job->units[i]) ||
            !digest_types(job, &job->units[i]))
            return err_memory(err);
    }
    survey->funcs = mem_alloc((size_t)survey->func_count + 1, sizeof *survey->funcs);
    return survey->funcs || err_memory(err);
}

static void list_functions(struct job *job)
{
    struct survey_func *func = job->survey->funcs;
    for (uint32_t u = 0; u < job->unit_count; u++)
        for (uint32_t i = job->units[u].module->imported_funcs; i < job->units[u].module->func_count; i++, func++) {
            func->unit = u;
            func->func = i;
        }
}

static void find_known_tables(struct job *job)
{
    for (uint32_t u = 0; u < job->unit_count; u++)
        for (uint32_t i = 0; i < job->units[u].module->table_count; i++)
            job->survey->known_tables[u][i] = job->survey->closed_tables[u][i] && targets_known(&job->units[u], i);
}

/* Which tables are closed, and whether there are tail calls, is known only now; the key of every function of the unit
 * covers it. */
static void finish_keys(struct job *job)
{
    for (uint32_t i = 0; i < job->survey->func_count; i++) {
        struct survey_func *func = &job->survey->funcs[i];
        struct sha256 hash;
        sha256_init(&hash);
        sha256_add(&hash, func->key, sizeof func->key);
        sha256_add(&hash, job->survey->closed_tables[func->unit],
                   job->units[func->unit].module->table_count * sizeof(bool));
        sha256_add(&hash, job->survey->known_tables[func->unit],
                   job->units[func->unit].module->table_count * sizeof(bool));
        sha256_add(&hash, &job->survey->keeps_context[func->unit], sizeof(bool));
        sha256_finish(&hash, func->key);
    }
}

bool survey_make(const struct unit *units, uint32_t count, const uint8_t *engine, unsigned threads,
                 struct survey *ret_survey, struct err *err)
{
    *ret_survey = (struct survey){.unit_count = count};
    struct job job = {.units = units, .unit_count = count, .engine = engine, .survey = ret_survey};
    struct parallel parallel = {
        .threads = threads, .open = open_surveyor, .run = survey_function, .close = close_surveyor, .arg = &job};
    bool done = prepare(&job, err);
    if (done) {
        list_functions(&job);
        parallel.count = ret_survey->func_count;
        done = parallel_run(&parallel, err);
    }
    if (done) {
        find_known_tables(&job);
        finish_keys(&job);
    }
    for (uint32_t i = 0; job.groups && i < count; i++)
        mem_free(job.groups[i]);
    mem_free(job.groups);
    mem_free(job.first);
    mem_free(job.types);
    mem_free(job.uses_types);
    return done;
}

void survey_free(struct survey *survey)
{
    for (uint32_t i = 0; survey->funcs && i < survey->func_count; i++)
        mem_free(survey->funcs[i].symbols);
    for (uint32_t i = 0; survey->closed_tables && i < survey->unit_count; i++)
        mem_free(survey->closed_tables[i]);
    for (uint32_t i = 0; survey->known_tables && i < survey->unit_count; i++)
        mem_free(survey->known_tables[i]);
    mem_free(survey->closed_tables);
    mem_free(survey->known_tables);
    mem_free(survey->keeps_context);
    mem_free(survey->funcs);
    *survey = (struct survey){0};
}
