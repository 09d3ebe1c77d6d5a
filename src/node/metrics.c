/* See metrics.h. */
#include "node/metrics.h"

#include "base/clock.h"
#include "io/ticks.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

const char *const metrics_limit_names[METRICS_LIMIT_COUNT] = {
#define LIMIT(name, label, what) [METRICS_LIMIT_##name] = (label),
    METRICS_LIMITS(LIMIT)
#undef LIMIT
};

const unsigned metrics_refusal_statuses[METRICS_REFUSAL_COUNT] = {
#define REFUSAL(status) [METRICS_REFUSAL_##status] = (status),
    METRICS_REFUSALS(REFUSAL)
#undef REFUSAL
};

const char *const metrics_tier_names[METRICS_TIER_COUNT] = {[METRICS_TIER_UNKNOWN] = "unknown",
                                                            [METRICS_TIER_FAST] = "fast",
                                                            [METRICS_TIER_MIXED] = "mixed",
                                                            [METRICS_TIER_BEST] = "best"};

enum metrics_refusal metrics_refusal_of(unsigned status)
{
    for (unsigned i = 0; i < METRICS_REFUSAL_COUNT; i++)
        if (metrics_refusal_statuses[i] == status)
            return (enum metrics_refusal)i;
    return METRICS_REFUSAL_400;
}

static size_t whole_pages(size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return (size + page - 1) / page * page;
}

static void *share(size_t size, struct err *err)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory != MAP_FAILED)
        return memory;
    err_errno(err, "cannot share %zu bytes for metrics", size);
    return NULL;
}

static void release(void *memory, size_t size)
{
    if (memory && size)
        munmap(memory, size);
}

bool metrics_open(struct metrics *metrics, uint32_t workers, const char *const *names, uint32_t functions,
                  struct err *err)
{
    struct metrics made = {.worker_count = workers, .function_count = functions, .names = names};
    made.began_ticks = ticks_now();
    made.began_ns = clock_now_ns();
    made.block_size = whole_pages(sizeof(struct metrics_worker) + functions * (sizeof(struct metrics_function) + 1)) +
                      whole_pages(sizeof(struct incidents));
    made.node_size = whole_pages(sizeof(struct metrics_node) + workers * sizeof(struct metrics_place) + functions);
    made.node = share(made.node_size, err);
    made.blocks = made.node ? share(workers * made.block_size, err) : NULL;
    if (!made.blocks) {
        metrics_close(&made);
        return false;
    }
    made.node->generation = 1;
    *metrics = made;
    return true;
}

void metrics_close(struct metrics *metrics)
{
    release(metrics->node, metrics->node_size);
    release(metrics->blocks, metrics->worker_count * metrics->block_size);
    metrics->node = NULL;
    metrics->blocks = NULL;
}

struct metrics_worker *metrics_block(const struct metrics *metrics, uint32_t index)
{
    return (struct metrics_worker *)(metrics->blocks + index * metrics->block_size);
}

const struct metrics_function *metrics_function(const struct metrics *metrics, uint32_t worker, uint32_t function)
{
    static const struct metrics_function unused;
    struct metrics_worker *block = metrics_block(metrics, worker);
    return metrics_used(block, metrics->function_count)[function] ? &block->functions[function] : &unused;
}

struct metrics_worker *metrics_keep(struct metrics *metrics, uint32_t index)
{
    struct metrics_worker *block = metrics_block(metrics, index);
    size_t before = index * metrics->block_size, size = metrics->block_size;
    release(metrics->blocks, before);
    release((char *)block + size, (metrics->worker_count - index - 1) * size);
    release(metrics->node, metrics->node_size);
    metrics->node = NULL;
    metrics->blocks = NULL;
    counter_set(&block->connections, 0);
    for (uint32_t i = 0; i < metrics->function_count; i++) {
        if (!metrics_used(block, metrics->function_count)[i])
            continue;
        counter_set(&block->functions[i].running, 0);
        counter_set(&block->functions[i].asleep, 0);
        counter_set(&block->functions[i].alone, 0);
    }
    return block;
}

uint64_t metrics_tick_factor(const struct metrics *metrics)
{
    uint64_t ticks = ticks_now() - metrics->began_ticks, ns = clock_now_ns() - metrics->began_ns;
    return ticks ? (uint64_t)((double)ns / (double)ticks * 4294967296.0) : 0;
}

uint64_t metrics_resident(uint64_t pid)
{
    char path[64], text[128];
    snprintf(path, sizeof path, "/proc/%llu/statm", (unsigned long long)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t size = fd >= 0 ? read(fd, text, sizeof text - 1) : 0;
    if (fd >= 0)
        close(fd);
    text[size > 0 ? size : 0] = '\0';
    const char *resident = strchr(text, ' '); /* the second number, in pages */
    return resident ? strtoull(resident, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}
