/* The table "mayfly" among an application's or a component's tools: limits, with the forms of the options of
 * `mayfly up`, and whether instances begin behind what was done before the first request. Spin ignores tools. */
#include "app/manifest_reader.h"
#include "base/amount.h"

#include <stdio.h>

static void put(struct reader *reader, const struct toml_node *node, bool good, uint64_t value,
                struct manifest_amount *into, const char *what, const char *form)
{
    if (good)
        *into = (struct manifest_amount){true, value, place_of(node)};
    else
        reader_error(reader, place_of(node), ERR_INVALID, form, "\"%s\" in %s must be %s", SHOWN(node->key),
                     reader->where, what);
}

static void take_duration(struct reader *reader, const struct toml_node *node, void *into)
{
    uint64_t ns = 0;
    bool good = node->kind == TOML_TEXT && amount_duration(node->text, &ns);
    put(reader, node, good, ns, into, "a duration", "write it as \"500ms\", \"2s\" or \"1m\"");
}

static bool size_of(const struct toml_node *node, uint64_t *ret)
{
    if (node->kind == TOML_TEXT)
        return amount_size(node->text, ret);
    *ret = (uint64_t)node->integer;
    return node->kind == TOML_INTEGER && node->integer >= 0;
}

static void take_size(struct reader *reader, const struct toml_node *node, void *into)
{
    uint64_t bytes = 0;
    bool good = size_of(node, &bytes);
    put(reader, node, good, bytes, into, "a size", "write it in bytes, or as \"64K\", \"128M\" or \"1G\"");
}

static void take_instances(struct reader *reader, const struct toml_node *node, void *into)
{
    char what[64];
    uint64_t count = 0;
    bool good = size_of(node, &count) && count >= 1 && count <= MANIFEST_INSTANCES_MAX;
    snprintf(what, sizeof what, "a number from 1 to %u", MANIFEST_INSTANCES_MAX);
    put(reader, node, good, count, into, what, NULL);
}

void read_limits(struct reader *reader, const struct toml_node *tools, struct manifest_limits *into)
{
    static const struct reader_key keys[] = {
        READER_KEY(manifest_limits, timeout_ns, "timeout", take_duration),
        READER_KEY(manifest_limits, cpu_ns, "cpu_time", take_duration),
        READER_KEY(manifest_limits, memory_bytes, "max_memory", take_size),
        READER_KEY(manifest_limits, body_bytes, "max_body", take_size),
        READER_KEY(manifest_limits, instances, "max_instances", take_instances),
        READER_KEY(manifest_limits, snapshot, "snapshot", take_truth),
    };
    const struct toml_node *ours = tools ? toml_member(tools, STR("mayfly")) : NULL;
    if (!ours || ours->kind != TOML_TABLE)
        return;
    size_t outer = reader_enter(reader, STR("tool")), inner = reader_enter(reader, STR("mayfly"));
    READER_TABLE(reader, ours, keys, into);
    reader_leave(reader, inner);
    reader_leave(reader, outer);
}

static void fall_back(struct manifest_amount *amount, const struct manifest_amount *other)
{
    if (!amount->given)
        *amount = *other;
}

struct manifest_limits manifest_limits_of(const struct manifest *manifest, const struct manifest_component *component)
{
    struct manifest_limits limits = component->limits;
    const struct manifest_limits *all = &manifest->application.limits;
    fall_back(&limits.timeout_ns, &all->timeout_ns);
    fall_back(&limits.cpu_ns, &all->cpu_ns);
    fall_back(&limits.memory_bytes, &all->memory_bytes);
    fall_back(&limits.body_bytes, &all->body_bytes);
    fall_back(&limits.instances, &all->instances);
    if (!limits.snapshot.given)
        limits.snapshot = all->snapshot;
    return limits;
}
