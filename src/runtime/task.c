/* See task.h. */
#include "runtime/task.h"

#include "base/poison.h"
#include "runtime/announce.h"
#include "runtime/call.h"
#include "runtime/machine.h"

#include <string.h>

_Thread_local struct task *task_current;

/* Back to whoever started or resumed the task, which does not run again when it is done. */
static void leave(struct task *task, enum task_state state)
{
    task->state = state;
    task_current = task->outer;
    stack_announce(state == TASK_DONE ? NULL : &task->fiber, task->outer_bottom, task->outer_size);
    stack_switch(&task->sp, task->outer ? task->outer->sp : task->loop_sp);
    stack_arrived(task->fiber, &task->outer_bottom, &task->outer_size);
}

static void begin(void *arg)
{
    struct task *task = arg;
    stack_arrived(NULL, &task->outer_bottom, &task->outer_size);
    task->body(task);
    leave(task, TASK_DONE);
    __builtin_unreachable();
}

static void join_slot(struct task *task)
{
    task->next = task->slot->tasks;
    task->link = &task->slot->tasks;
    if (task->next)
        task->next->link = &task->next;
    task->slot->tasks = task;
}

static void leave_slot(struct task *task)
{
    *task->link = task->next;
    if (task->next)
        task->next->link = task->link;
}

/* The slot's first task has the slot's own stack, so that an instance may be parked and come back to its addresses. */
static struct stack *take_stack(struct slot *slot, struct err *err)
{
    if (slot->stack_used)
        return stack_acquire(err);
    if (!slot->stack)
        slot->stack = stack_acquire(err);
    slot->stack_used = slot->stack != NULL;
    return slot->stack;
}

static void give_stack(struct task *task)
{
    if (task->stack == task->slot->stack)
        task->slot->stack_used = false;
    else
        stack_release(task->stack);
    task->stack = NULL;
}

/* Guest code of the store runs on this task's stack now. */
static void use_stack(struct store *store, struct task *task)
{
    store->stack_limit = task->stack->limit;
    store->stack_low = task->stack->low;
    store->stack_high = task->stack->high;
    store->task = task;
}

static void run(struct task *task)
{
    void *fiber = NULL;
    struct task *outer = task_current, *innermost = task->frozen ? task->frozen : task;
    struct store *store = task->slot->store;
    uint64_t outer_fp = store->guest_fp;
    task->outer = outer;
    task->frozen = NULL;
    task->state = TASK_RUNNING;
    task_current = innermost;
    use_stack(store, innermost);
    store->guest_fp = task->guest_fp;
    stack_announce(&fiber, (void *)innermost->stack->low, innermost->stack->high - innermost->stack->low);
    stack_switch(outer ? &outer->sp : &task->loop_sp, innermost->sp);
    stack_arrived(fiber, NULL, NULL);
    task->guest_fp = store->guest_fp;
    if (outer) {
        store->guest_fp = outer_fp;
        use_stack(store, outer);
    }
    if (task->state == TASK_DONE) {
        leave_slot(task);
        give_stack(task);
    }
}

bool task_spawn(struct task *task, struct slot *slot, void (*body)(struct task *task), void *arg, struct err *err)
{
    struct stack *stack = take_stack(slot, err);
    if (!stack)
        return false;
    task->slot = slot;
    task->stack = stack;
    task->activation = NULL;
    task->guest_fp = 0;
    task->frozen = NULL;
    task->body = body;
    task->arg = arg;
    task->report.trap = TRAP_NONE;
    task->report.frame_count = 0;
    task->sp = machine_first_frame(stack, begin, task);
    join_slot(task);
    run(task);
    return true;
}

bool task_start(struct task *task, struct slot *slot, void (*body)(struct task *task), void *arg, void *host,
                struct err *err)
{
    struct store *store = slot->store;
    store->trap = TRAP_NONE;
    store->interrupt = TRAP_NONE;
    store->trap_message[0] = '\0';
    store->host = host;
    return task_spawn(task, slot, body, arg, err);
}

void task_resume(struct task *task)
{
    run(task);
}

void task_suspend(void)
{
    struct task *task = task_current;
    leave(task, TASK_SUSPENDED);
}

void task_abandon(struct task *task)
{
    if (task->stack) {
        leave_slot(task);
        /* Frames that never return leave their marks. */
        unpoison((void *)task->stack->low, task->stack->high - task->stack->low);
        give_stack(task);
    }
    task->frozen = NULL;
    task->state = TASK_DONE;
}

void task_yield(void)
{
    struct task *innermost = task_current, *outermost = innermost;
    while (outermost->outer)
        outermost = outermost->outer;
    outermost->frozen = innermost;
    outermost->state = TASK_PREEMPTED;
    task_current = NULL;
    stack_announce(&innermost->fiber, outermost->outer_bottom, outermost->outer_size);
    stack_switch(&innermost->sp, outermost->loop_sp);
    stack_arrived(innermost->fiber, &outermost->outer_bottom, &outermost->outer_size);
}

/* Called by guest_preempt on the guest's stack. */
void task_preempted(void);
void task_preempted(void)
{
    task_yield();
}

void task_want_yield(void)
{
    uint32_t none = TRAP_NONE;
    if (task_current)
        __atomic_compare_exchange_n(&task_current->slot->store->interrupt, &none, INTERRUPT_YIELD, false,
                                    __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

bool task_preempt_at(ucontext_t *context)
{
    struct task *task = task_current;
    if (!task || !task->activation || !program_of(machine_pc(context)))
        return false;
    return machine_preempt(context, task->stack);
}

/* Where the next parameter or result of a type goes. */
struct dealer {
    uint32_t ints, vecs, spilled;
};

static union cell *deal(struct dealer *dealer, uint8_t type, uint64_t *ints, uint32_t int_count, union cell *vecs,
                        uint32_t vec_count, struct store *store)
{
    bool vector = type == WASM_F32 || type == WASM_F64 || type == WASM_V128;
    if (vector && dealer->vecs < vec_count)
        return &vecs[dealer->vecs++];
    if (!vector && dealer->ints < int_count)
        return (union cell *)&ints[dealer->ints++];
    return &store->spill[dealer->spilled++ % CONTEXT_SPILL];
}

static size_t cell_size(uint8_t type)
{
    return type == WASM_V128 ? 16 : 8;
}

static void load_params(struct store *store, struct guest_regs *regs, const uint8_t *types, uint32_t count,
                        const union cell *v)
{
    struct dealer dealer = {0};
    for (uint32_t i = 0; i < count; i++)
        memcpy(deal(&dealer, types[i], regs->ints, CONTEXT_INT_REGS, regs->vecs, CONTEXT_VEC_REGS, store), &v[i],
               cell_size(types[i]));
}

static void store_results(struct store *store, struct guest_regs *regs, const uint8_t *types, uint32_t count,
                          union cell *v)
{
    struct dealer dealer = {0};
    for (uint32_t i = 0; i < count; i++)
        memcpy(&v[i],
               deal(&dealer, types[i], regs->result_ints, CONTEXT_RESULT_INT_REGS, regs->result_vecs,
                    CONTEXT_RESULT_VEC_REGS, store),
               cell_size(types[i]));
}

static bool enter(struct store *store, uint64_t funcref, struct guest_regs *regs)
{
    struct task *task = store->task;
    uint64_t context = (uint64_t)store + FUNCREF_CONTEXT(funcref);
    uint64_t code = ((const struct context *)context)->code_base + FUNCREF_CODE(funcref);
    struct activation activation = {.outer = task->activation, .outer_fp = store->guest_fp};
    if ((uint64_t)__builtin_frame_address(0) < store->stack_limit)
        return trap_raise(store, TRAP_STACK_OVERFLOW, NULL);
    task->activation = &activation;
    bool returned = guest_enter(&activation, regs, code, context);
    task->activation = activation.outer;
    store->guest_fp = activation.outer_fp;
    return returned;
}

bool guest_call(struct store *store, uint64_t funcref, const uint8_t *types, uint32_t param_count,
                uint32_t result_count, union cell *v)
{
    struct guest_regs regs;
    load_params(store, &regs, types, param_count, v);
    if (!enter(store, funcref, &regs))
        return false;
    store_results(store, &regs, types + param_count, result_count, v);
    return true;
}

bool guest_call_ints(struct store *store, uint64_t funcref, const uint64_t *params, uint32_t count,
                     uint64_t *ret_result)
{
    struct guest_regs regs;
    if (count > CONTEXT_INT_REGS)
        return trap_raise(store, TRAP_HOST, "a call with %u integer parameters", count);
    memcpy(regs.ints, params, count * sizeof *params);
    if (!enter(store, funcref, &regs))
        return false;
    *ret_result = regs.result_ints[0];
    return true;
}

void task_each_range(const struct slot *first, uint64_t here, task_range_fn *visit, void *arg)
{
    for (const struct task *task = first->tasks; task; task = task->next)
        visit(arg, task == task_current ? here : task->sp, task->stack->high);
    const union cell *spill = first->store->spill;
    visit(arg, (uint64_t)spill, (uint64_t)(spill + CONTEXT_SPILL));
}
