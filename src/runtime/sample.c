/* See sample.h. The handler may interrupt anything, also the handlers of faults and ticks: it only looks at where. */
#include "runtime/sample.h"

#include "base/clock.h"
#include "runtime/machine.h"
#include "runtime/program.h"
#include "runtime/trap.h"

#include <errno.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#define SAMPLE_SIGNAL SIGPROF
#define SAMPLE_NS (NS_PER_S / 250) /* as often as kernels of the usual kind look */

static _Thread_local struct {
    struct samples *volatile samples; /* NULL: closed */
    timer_t timer;
} sampler;

static void on_sample(int number, siginfo_t *info, void *raw)
{
    struct samples *samples = sampler.samples;
    uint64_t pc = machine_pc(raw);
    const struct program *program = samples ? program_of(pc) : NULL;
    (void)number, (void)info;
    if (!program || !program->sample_number)
        return;
    uint32_t count = samples->count;
    uint64_t row = (uint64_t)program->sample_number << 32 | (uint32_t)(pc - (uint64_t)program->image.base);
    __atomic_store_n(&samples->rows[count % SAMPLE_ROOM], row, __ATOMIC_RELAXED);
    __atomic_store_n(&samples->count, count + 1, __ATOMIC_RELEASE);
}

bool sample_open(struct samples *samples, struct err *err)
{
    struct sigaction action = {.sa_sigaction = on_sample, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART};
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SAMPLE_SIGNAL};
    const struct timespec time = {.tv_nsec = SAMPLE_NS};
    const struct itimerspec times = {time, time};
    sigaddset(&action.sa_mask, TRAP_CLOCK_SIGNAL);
    if (sampler.samples)
        return true;
    if (!trap_install(err))
        return false;
    if (sigaction(SAMPLE_SIGNAL, &action, NULL) != 0)
        return err_errno(err, "cannot install the handler of samples");
    event._sigev_un._tid = gettid();
    if (timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &sampler.timer) != 0)
        return err_errno(err, "cannot make a timer for samples");
    sampler.samples = samples;
    timer_settime(sampler.timer, 0, &times, NULL);
    return true;
}

void sample_close(void)
{
    if (sampler.samples)
        timer_delete(sampler.timer);
    sampler.samples = NULL;
}
