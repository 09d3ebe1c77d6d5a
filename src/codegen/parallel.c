/* See parallel.h. */
#include "codegen/parallel.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#define THREADS_MAX 64u

struct crew {
    const struct parallel *job;
    atomic_size_t next, done; /* task to begin; tasks that ended */
    atomic_bool failed;
    pthread_mutex_t lock; /* of what follows */
    size_t first_failed;
    struct err err;
};

static void note_failure(struct crew *crew, size_t task, const struct err *err)
{
    pthread_mutex_lock(&crew->lock);
    if (task < crew->first_failed || crew->err.kind == ERR_NONE) {
        crew->first_failed = task;
        crew->err = *err;
    }
    pthread_mutex_unlock(&crew->lock);
    crew->failed = true;
}

static void work(struct crew *crew, bool ticks)
{
    const struct parallel *job = crew->job;
    struct err err = {0};
    void *state = job->open(job->arg, &err);
    if (!state) {
        note_failure(crew, SIZE_MAX, &err);
        return;
    }
    for (size_t i; !crew->failed && (i = atomic_fetch_add(&crew->next, 1)) < job->count;) {
        size_t task = job->order ? job->order[i] : i;
        if (!job->run(job->arg, state, task, &err))
            note_failure(crew, task, &err);
        size_t done = atomic_fetch_add(&crew->done, 1) + 1;
        if (ticks && job->tick)
            job->tick(job->arg, done);
    }
    job->close(state);
}

static void *work_beside(void *arg)
{
    work(arg, false);
    return NULL;
}

static unsigned thread_count(const struct parallel *job)
{
    cpu_set_t set;
    size_t count = job->threads;
    if (count == 0)
        count = sched_getaffinity(0, sizeof set, &set) == 0 ? (size_t)CPU_COUNT(&set) : 1;
    if (count > job->count)
        count = job->count;
    return (unsigned)(count > THREADS_MAX ? THREADS_MAX : count);
}

bool parallel_run(const struct parallel *parallel, struct err *err)
{
    struct crew crew = {.job = parallel, .lock = PTHREAD_MUTEX_INITIALIZER};
    pthread_t threads[THREADS_MAX];
    unsigned count = thread_count(parallel), made = 0;
    while (made + 1 < count && pthread_create(&threads[made], NULL, work_beside, &crew) == 0)
        made++;
    if (count)
        work(&crew, true);
    while (made > 0)
        pthread_join(threads[--made], NULL);
    if (crew.failed && err)
        *err = crew.err;
    return !crew.failed;
}
