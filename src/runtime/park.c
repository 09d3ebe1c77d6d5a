/* See park.h. A parked instance is one block of memory: its record, a row per page, what was grown, the
 * lines, the stack. */
#include "runtime/park.h"

#include "base/alloc.h"
#include "base/poison.h"
#include "runtime/slot_inner.h"

#include <string.h>
#include <sys/mman.h>

#define LINE 64u
#define LINES (IMAGE_PAGE / LINE)

/* Lines of a page that differ from a fresh instance's: bit i is line i. */
struct park_row {
    uint8_t *page;
    uint64_t lines;
};

struct parked {
    struct slot *slot;
    struct task *task;
    size_t size; /* of the block */
    uint32_t row_count, hot_rows; /* the first ones are tracked pages */
    uint32_t grown_count;
    uint64_t used; /* of its account */
    bool refused;
    struct gc gc;
    struct arena exceptions;
    struct thrown *thrown, *spare[SLOT_EXCEPTION_CLASSES];
    char store[offsetof(struct store, spill)];
    struct park_row rows[];
};

/* Behind the rows. */
static struct slot_range *grown_of(struct parked *parked)
{
    return (struct slot_range *)(parked->rows + parked->row_count);
}

/* ---- what differs ---- */

static const uint8_t zeros[IMAGE_PAGE];

static uint64_t differing(const uint8_t *page, const uint8_t *source, size_t size)
{
    uint64_t lines = 0;
    for (size_t at = 0; at < size; at += LINE)
        lines |= (uint64_t)(memcmp(page + at, source + at, LINE) != 0) << (at / LINE);
    return lines;
}

/* A growing list of rows; with `rows` NULL it only counts. */
struct survey {
    struct park_row *rows;
    uint32_t count;
    size_t lines;
};

static void note(struct survey *survey, uint8_t *page, const uint8_t *source, size_t size)
{
    uint64_t lines = differing(page, source ? source : zeros, size);
    if (!lines)
        return;
    if (survey->rows)
        survey->rows[survey->count] = (struct park_row){page, lines};
    survey->count++;
    survey->lines += (size_t)__builtin_popcountll(lines);
}

static void survey_tracked(const struct slot *slot, struct survey *survey)
{
    for (uint32_t i = 0; i < slot->hot_count; i++)
        note(survey, slot->hot[i].page, slot->hot[i].source, IMAGE_PAGE);
}

static void survey_zeroed(const struct slot *slot, struct survey *survey)
{
    uint8_t *spill = (uint8_t *)slot->store->spill;
    for (size_t at = 0; at < sizeof slot->store->spill; at += IMAGE_PAGE) {
        size_t left = sizeof slot->store->spill - at;
        note(survey, spill + at, NULL, left < IMAGE_PAGE ? left : IMAGE_PAGE);
    }
    for (uint32_t i = 0; i < slot->grown_count; i++)
        for (uint64_t at = slot->grown[i].low; at < slot->grown[i].high; at += IMAGE_PAGE)
            note(survey, (uint8_t *)at, NULL, IMAGE_PAGE);
}

_Static_assert(sizeof(((struct store *)NULL)->spill) % LINE == 0, "its lines are whole");

/* ---- the block ---- */

static uint8_t *lines_of(struct parked *parked)
{
    return (uint8_t *)(grown_of(parked) + parked->grown_count);
}

static size_t stack_bytes(const struct task *task, const struct stack *stack)
{
    return stack->high - task->sp;
}

static uint8_t *stack_of(struct parked *parked)
{
    return (uint8_t *)parked + parked->size - stack_bytes(parked->task, parked->slot->stack);
}

enum direction { ASIDE, BACK };

static void move_lines(struct parked *parked, enum direction direction)
{
    uint8_t *kept = lines_of(parked);
    for (uint32_t i = 0; i < parked->row_count; i++)
        for (uint64_t lines = parked->rows[i].lines; lines; lines &= lines - 1) {
            uint8_t *line = parked->rows[i].page + (size_t)__builtin_ctzll(lines) * LINE;
            memcpy(direction == ASIDE ? kept : line, direction == ASIDE ? line : kept, LINE);
            kept += LINE;
        }
}

/* Frames have marks of AddressSanitizer, which go with what lies there next. */
static void move_stack(struct parked *parked, enum direction direction)
{
    const struct stack *stack = parked->slot->stack;
    uint8_t *used = (uint8_t *)parked->task->sp, *kept = stack_of(parked);
    unpoison((void *)stack->low, stack->high - stack->low);
    size_t size = stack_bytes(parked->task, stack);
    memcpy(direction == ASIDE ? kept : used, direction == ASIDE ? used : kept, size);
}

static void move_runtime(struct parked *parked, enum direction direction)
{
    struct slot *slot = parked->slot;
    if (direction == ASIDE) {
        parked->used = slot->own.used;
        parked->refused = slot->own.refused;
        memcpy(grown_of(parked), slot->grown, parked->grown_count * sizeof *slot->grown);
        parked->gc = slot->gc;
        parked->exceptions = slot->exceptions;
        parked->thrown = slot->thrown;
        memcpy(parked->spare, slot->spare, sizeof parked->spare);
        memcpy(parked->store, slot->store, sizeof parked->store);
        arena_init(&slot->exceptions, SLOT_EXCEPTION_BYTES);
        slot->thrown = NULL;
        memset(slot->spare, 0, sizeof slot->spare);
        return;
    }
    slot->own.used = parked->used;
    slot->own.refused = parked->refused;
    slot->grown_count = parked->grown_count;
    memcpy(slot->grown, grown_of(parked), parked->grown_count * sizeof *slot->grown);
    slot->gc = parked->gc;
    arena_free(&slot->exceptions);
    slot->exceptions = parked->exceptions;
    slot->thrown = parked->thrown;
    memcpy(slot->spare, parked->spare, sizeof parked->spare);
    memcpy(slot->store, parked->store, sizeof parked->store);
}

static void leave_slot(struct parked *parked)
{
    struct task *task = parked->task;
    parked->slot->tasks = NULL;
    parked->slot->stack_used = false;
    task->link = NULL;
    task->stack = NULL;
}

static void enter_slot(struct parked *parked)
{
    struct task *task = parked->task;
    parked->slot->tasks = task;
    parked->slot->stack_used = true;
    task->link = &parked->slot->tasks;
    task->stack = parked->slot->stack;
}

/* ---- aside ---- */

bool slot_can_park(const struct slot *slot)
{
    const struct task *task = slot->tasks;
    return task && !task->next && task->stack == slot->stack && task->state != TASK_RUNNING &&
           (!task->frozen || task->frozen == task) && !slot->overflowed && !slot->joined && !slot->region &&
           !slot->gc.under_way && !slot->sweeping;
}

uint64_t slot_grown_bytes(const struct slot *slot)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < slot->grown_count; i++)
        bytes += slot->grown[i].high - slot->grown[i].low;
    return bytes;
}

struct parked *slot_park(struct slot *slot)
{
    struct survey survey = {0};
    survey_tracked(slot, &survey);
    survey_zeroed(slot, &survey);
    size_t size = sizeof(struct parked) + survey.count * sizeof(struct park_row) +
                  slot->grown_count * sizeof *slot->grown + survey.lines * LINE + stack_bytes(slot->tasks, slot->stack);
    struct parked *parked = mem_resize(NULL, 1, size);
    if (!parked)
        return NULL;
    parked->slot = slot;
    parked->task = slot->tasks;
    parked->size = size;
    survey = (struct survey){.rows = parked->rows};
    survey_tracked(slot, &survey);
    parked->hot_rows = survey.count;
    survey_zeroed(slot, &survey);
    parked->row_count = survey.count;
    parked->grown_count = slot->grown_count;
    move_lines(parked, ASIDE);
    move_stack(parked, ASIDE);
    move_runtime(parked, ASIDE);
    leave_slot(parked);
    slot->parked++;
    slot_release(slot);
    return parked;
}

/* ---- and back ---- */

static bool open_grown(struct parked *parked)
{
    const struct slot_range *grown = grown_of(parked);
    bool done = true;
    for (uint32_t i = 0; i < parked->grown_count; i++)
        done = done && mprotect((void *)grown[i].low, grown[i].high - grown[i].low, PROT_READ | PROT_WRITE) == 0;
    return done;
}

/* Pages that the slot knew as written may be unknown again, if it was made anew meanwhile. */
static bool open_tracked(const struct parked *parked)
{
    struct slot *slot = parked->slot;
    bool done = true;
    for (uint32_t i = 0; done && i < parked->hot_rows; i++)
        if (!slot_is_hot(slot, parked->rows[i].page))
            done = slot_add_hot(slot, (uint64_t)(parked->rows[i].page - (uint8_t *)slot->store));
    return done;
}

bool slot_unpark(struct parked *parked)
{
    struct slot *slot = parked->slot;
    if (slot->broken || !slot_take(slot))
        return false;
    if (!open_tracked(parked) || !open_grown(parked)) {
        slot->grown_count = parked->grown_count;
        memcpy(slot->grown, grown_of(parked), parked->grown_count * sizeof *slot->grown);
        slot_release(slot);
        return false;
    }
    move_runtime(parked, BACK);
    move_lines(parked, BACK);
    move_stack(parked, BACK);
    enter_slot(parked);
    slot->parked--;
    mem_free(parked);
    return true;
}

void parked_drop(struct parked *parked)
{
    struct slot *slot = parked->slot;
    arena_free(&parked->exceptions);
    parked->task->state = TASK_DONE;
    mem_free(parked);
    if (--slot->parked == 0 && slot->broken)
        slot_destroy(slot);
}

size_t parked_bytes(const struct parked *parked)
{
    return parked->size;
}
