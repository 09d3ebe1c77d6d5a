/* See trap.h. The handler decides among four answers: repeat the write (a slot's page became writable), end
 * the activation (a trap), hand on to guest_preempt (timer), or let the process die: a fault that is none of
 * ours is a bug, and a worker that goes on after one is worse than a worker that ends. */
#include "runtime/trap.h"

#include "base/alloc.h"
#include "runtime/backtrace.h"
#include "runtime/machine.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SIGNAL_STACK_SIZE ((size_t)128 << 10)

static const char *const trap_texts[] = {
#define TRAP(name, message) [TRAP_##name] = message,
#include "image/traps.def"
#undef TRAP
};

const char *trap_text(enum trap trap)
{
    return (unsigned)trap < TRAP_COUNT ? trap_texts[trap] : "unknown trap";
}

bool trap_raise(struct store *store, enum trap trap, const char *format, ...)
{
    if (store->trap)
        return false;
    store->trap = trap;
    store->trap_message[0] = '\0';
    if (!format)
        return false;
    va_list args;
    va_start(args, format);
    vsnprintf(store->trap_message, sizeof store->trap_message, format, args);
    va_end(args);
    return false;
}

/* What a fault of guest code at `address` means, or TRAP_NONE when it is none of the guest's. */
static enum trap trap_of_fault(const struct task *task, int signal_number, uint64_t address, uint64_t pc)
{
    if (signal_number == SIGILL)
        return machine_trap((const uint8_t *)pc);
    if (signal_number != SIGSEGV)
        return TRAP_NONE;
    const struct slot *slot = slot_of(task->slot, address);
    if (slot && slot->gc.base && address - (uint64_t)slot->gc.base < HEAP_NULL_BYTES)
        return TRAP_NULL_REFERENCE;
    if (slot)
        return TRAP_MEMORY_BOUNDS;
    if (address - task->stack->base < STACK_GUARD)
        return TRAP_STACK_OVERFLOW;
    return TRAP_NONE;
}

static void die(int signal_number, uint64_t address, uint64_t pc)
{
    char line[160];
    int size = snprintf(line, sizeof line, "fatal: signal %d at 0x%llx (address 0x%llx) outside of guest code\n",
                        signal_number, (unsigned long long)pc, (unsigned long long)address);
    ssize_t done = write(STDERR_FILENO, line, (size_t)size);
    (void)done;
    signal(signal_number, SIG_DFL); /* returning repeats the fault, now for good */
}

static void on_fault(int signal_number, siginfo_t *info, void *raw)
{
    ucontext_t *context = raw;
    struct task *task = task_current;
    uint64_t address = (uint64_t)info->si_addr, pc = machine_pc(context);
    struct slot *slot = task && signal_number == SIGSEGV ? slot_of(task->slot, address) : NULL;
    if (slot && machine_may_write(context) && slot_first_write(slot, address))
        return;
    enum trap trap = TRAP_NONE;
    if (task && task->activation && program_of(pc))
        trap = trap_of_fault(task, signal_number, address, pc);
    if (!trap) {
        die(signal_number, address, pc);
        return;
    }
    trap_report_here(task, trap, pc, machine_fp(context));
    machine_leave(context, task->activation);
}

void trap_interrupt(ucontext_t *context, enum trap trap)
{
    struct task *task = task_current;
    uint64_t pc = machine_pc(context);
    if (!task)
        return;
    __atomic_store_n(&task->slot->store->interrupt, trap, __ATOMIC_RELAXED);
    if (!task->activation || !program_of(pc))
        return;
    trap_report_interrupted(task, trap, context);
    machine_leave(context, task->activation);
}

bool guest_interrupted(struct store *store, uint32_t interrupt)
{
    if (interrupt != INTERRUPT_YIELD)
        return trap_raise(store, (enum trap)interrupt, NULL);
    __atomic_compare_exchange_n(&store->interrupt, &interrupt, TRAP_NONE, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
    task_yield();
    return guest_goes_on(store);
}

void trap_leave(struct store *store, enum trap trap, uint64_t return_address)
{
    struct task *task = task_current;
    trap_report_here(task, trap, return_address, store->guest_fp);
    guest_exit(task->activation);
}

static bool install_handlers(struct err *err)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE};
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
    sigaddset(&action.sa_mask, TRAP_CLOCK_SIGNAL); /* a report is written by one handler at a time */
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        if (sigaction(signals[i], &action, NULL) != 0)
            return err_errno(err, "cannot install the fault handler");
    return true;
}

bool trap_install(struct err *err)
{
    static _Thread_local bool has_stack;
    stack_t stack = {.ss_size = SIGNAL_STACK_SIZE};
    if (has_stack)
        return install_handlers(err);
    if (sysconf(_SC_PAGESIZE) != IMAGE_PAGE)
        return err_set(err, ERR_UNSUPPORTED, "this system has pages of %ld bytes; slots are made of pages of %u",
                       sysconf(_SC_PAGESIZE), IMAGE_PAGE);
    size_t minimum = (size_t)sysconf(_SC_MINSIGSTKSZ);
    if (minimum * 4 > stack.ss_size)
        stack.ss_size = minimum * 4;
    stack.ss_sp = mmap(NULL, stack.ss_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (stack.ss_sp == MAP_FAILED || sigaltstack(&stack, NULL) != 0)
        return err_errno(err, "cannot make a stack for signals");
    machine_open(minimum);
    has_stack = true;
    return install_handlers(err);
}

/* System calls must not be taken up again by themselves: no SA_RESTART. */
bool trap_clock_open(void (*handler)(int number, siginfo_t *info, void *context), clockid_t clock, timer_t *ret_timer,
                     struct err *err)
{
    const struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = TRAP_CLOCK_SIGNAL};
    sigset_t signals;
    if (!trap_install(err))
        return false;
    if (sigaction(TRAP_CLOCK_SIGNAL, &action, NULL) != 0)
        return err_errno(err, "cannot install the handler of the timer");
    sigemptyset(&signals);
    sigaddset(&signals, TRAP_CLOCK_SIGNAL);
    pthread_sigmask(SIG_UNBLOCK, &signals, NULL); /* whoever started this process may have blocked it */
    event._sigev_un._tid = gettid();
    return timer_create(clock, &event, ret_timer) == 0 || err_errno(err, "cannot make a timer");
}

/* What AddressSanitizer builds need: our handlers see guest faults first, and frames stay on the stacks that
 * tasks switch between. Without it nobody calls this. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "handle_segv=0:handle_sigill=0:handle_sigbus=0:handle_sigfpe=0:detect_stack_use_after_return=0";
}
