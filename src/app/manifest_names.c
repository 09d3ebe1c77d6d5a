/* Ids for triggers that have none, and for components that are written inside of triggers, as Spin makes them: logs,
 * metrics and other applications may know them. */
#include "app/manifest_reader.h"
#include "app/words.h"

#include <stdarg.h>
#include <stdio.h>

static struct str made(struct reader *reader, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Cut where it would be longer than any id may be. */
static struct str made(struct reader *reader, const char *format, ...)
{
    char text[2 * WORDS_ID_MAX];
    va_list args;
    va_start(args, format);
    int size = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    size_t len = size < 0 ? 0 : (size_t)size < sizeof text ? (size_t)size : sizeof text - 1;
    char *copy = arena_copy(reader->arena, text, len);
    if (!copy)
        reader_no_memory(reader);
    return copy ? (struct str){copy, len} : STR("");
}

static void put(struct reader *reader, struct map *map, struct str id, uint32_t value)
{
    if (!map_put(map, id, value))
        reader_no_memory(reader);
}

/* ---- triggers ---- */

static struct str counted(struct reader *reader, const struct map *taken, struct str type, unsigned *counter)
{
    for (;; ++*counter) {
        char text[64];
        int size = snprintf(text, sizeof text, "%.*s-trigger%u", STR_ARG(type), *counter);
        if (!map_get(taken, (struct str){text, (size_t)size}, NULL))
            return made(reader, "%s", text);
    }
}

static struct str trigger_id(struct reader *reader, const struct map *taken, const struct manifest_trigger *trigger,
                             unsigned *counter)
{
    struct str component = trigger->component_id.text, type = trigger->type_name.text;
    if (component.ptr && component.len <= WORDS_ID_MAX) {
        struct str id = made(reader, "%.*s-%.*s-trigger", STR_ARG(component), STR_ARG(type));
        if (!map_get(taken, id, NULL))
            return id;
    }
    return counted(reader, taken, type, counter);
}

/* Triggers of one type stand together; each type has its own counter. Those of unknown types get no name. */
static void name_each(struct reader *reader, struct map *taken)
{
    unsigned counter = 1;
    for (size_t i = 0; i < reader->triggers.count && !reader->no_memory; i++) {
        struct manifest_trigger *trigger = &reader->triggers.items[i];
        if (i && trigger->type != trigger[-1].type)
            counter = 1;
        if (trigger->id_given || trigger->type == MANIFEST_TRIGGER_OTHER)
            continue;
        trigger->id = (struct manifest_text){trigger_id(reader, taken, trigger, &counter), trigger->at};
        put(reader, taken, trigger->id.text, (uint32_t)i);
    }
}

/* ---- components ---- */

static struct str component_id(struct reader *reader, const struct manifest_trigger *trigger, bool several,
                               unsigned *counter)
{
    const struct map *taken = &reader->manifest->component_map;
    if (!several && trigger->id.text.len <= WORDS_ID_MAX) {
        struct str id = made(reader, "%.*s-component", STR_ARG(trigger->id.text));
        if (words_kebab(id, NULL) && !map_get(taken, id, NULL))
            return id;
    }
    for (;; ++*counter) {
        char text[64];
        int size = snprintf(text, sizeof text, "inline-component%u", *counter);
        if (!map_get(taken, (struct str){text, (size_t)size}, NULL))
            return made(reader, "%s", text);
    }
}

static void name_component(struct reader *reader, const struct manifest_trigger *trigger, uint32_t index, bool several,
                           unsigned *counter)
{
    struct manifest_component *component = index == MANIFEST_NONE ? NULL : &reader->components.items[index];
    if (!component || !component->is_inline || component->id.text.ptr)
        return;
    component->id = (struct manifest_text){component_id(reader, trigger, several, counter), component->at};
    put(reader, &reader->manifest->component_map, component->id.text, index);
}

static void name_components(struct reader *reader, const struct manifest_trigger *trigger)
{
    size_t count = trigger->component != MANIFEST_NONE;
    unsigned counter = 1;
    for (uint32_t i = 0; i < trigger->components.count; i++)
        count += trigger->components.items[i].component_count;
    name_component(reader, trigger, trigger->component, count > 1, &counter);
    for (uint32_t i = 0; i < trigger->components.count; i++) {
        const struct manifest_role *role = &trigger->components.items[i];
        for (uint32_t k = 0; k < role->component_count; k++)
            name_component(reader, trigger, role->components[k], count > 1, &counter);
    }
}

void name_triggers(struct reader *reader)
{
    struct map taken = {0};
    for (size_t i = 0; i < reader->triggers.count; i++)
        if (reader->triggers.items[i].id_given)
            put(reader, &taken, reader->triggers.items[i].id.text, (uint32_t)i);
    name_each(reader, &taken);
    map_free(&taken);
    for (size_t i = 0; i < reader->triggers.count && !reader->no_memory; i++)
        name_components(reader, &reader->triggers.items[i]);
}
