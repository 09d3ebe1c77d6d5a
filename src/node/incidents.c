/* See incidents.h. */
#include "node/incidents.h"

#include "base/counter.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#define MS_PER_S 1000u
#define NS_PER_MS 1000000u

_Static_assert(sizeof(struct incident) == INCIDENT_SIZE, "the text takes what the numbers leave");

const char *const incident_kind_names[INCIDENT_KIND_COUNT] = {
#define KIND(name, label) [INCIDENT_##name] = (label),
    INCIDENT_KINDS(KIND)
#undef KIND
};

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * MS_PER_S + (uint64_t)now.tv_nsec / NS_PER_MS;
}

struct incident *incident_begin(struct incidents *incidents, enum incident_kind kind, uint32_t function)
{
    struct incident *incident = &incidents->items[kind][incidents->counts[kind] % INCIDENTS_MAX];
    counter_set(&incident->number, 0);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    incident->time_ms = now_ms();
    incident->function = function;
    incident->size = 0;
    return incident;
}

void incident_line(struct incident *incident, const char *format, ...)
{
    size_t room = sizeof incident->text - incident->size;
    va_list args;
    if (room < 2)
        return;
    va_start(args, format);
    int size = vsnprintf(incident->text + incident->size, room - 1, format, args);
    va_end(args);
    if (size < 0)
        return;
    incident->size += (size_t)size < room - 1 ? (size_t)size : room - 2;
    incident->text[incident->size++] = '\n';
}

void incident_end(struct incidents *incidents, struct incident *incident)
{
    uint64_t *count = &incidents->counts[(size_t)(incident - incidents->items[0]) / INCIDENTS_MAX];
    __atomic_store_n(&incident->number, *count + 1, __ATOMIC_RELEASE);
    counter_add(count, 1);
}

/* Memory of places that were never written is not touched. */
static const struct incident *written(const struct incidents *incidents, enum incident_kind kind, uint32_t place)
{
    bool there = place < INCIDENTS_MAX && place < counter_read(&incidents->counts[kind]);
    return there ? &incidents->items[kind][place] : NULL;
}

uint64_t incident_time_ms(const struct incidents *incidents, enum incident_kind kind, uint32_t place)
{
    const struct incident *incident = written(incidents, kind, place);
    return incident ? counter_read(&incident->time_ms) : 0;
}

bool incident_read(const struct incidents *incidents, enum incident_kind kind, uint32_t place, struct incident *ret)
{
    const struct incident *incident = written(incidents, kind, place);
    uint64_t number = incident ? __atomic_load_n(&incident->number, __ATOMIC_ACQUIRE) : 0;
    if (number == 0)
        return false;
    memcpy(ret, incident, sizeof *ret);
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    if (counter_read(&incident->number) != number)
        return false;
    if (ret->size > sizeof ret->text)
        ret->size = sizeof ret->text;
    return true;
}
