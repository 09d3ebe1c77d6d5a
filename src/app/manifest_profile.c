/* Profiles: what is different in components when an application is run with --profile NAME. A component without a
 * profile of that name stays as it is. */
#include "app/manifest_reader.h"

/* `more` behind what is there; where a name is in both, the value of `more` takes the place. */
static void merge_pairs(struct reader *reader, struct manifest_pairs *pairs, const struct manifest_pairs *more)
{
    struct manifest_pair *both = reader_array(reader, (size_t)pairs->count + more->count, sizeof *both);
    if (!both)
        return;
    if (pairs->count)
        memcpy(both, pairs->items, pairs->count * sizeof *both);
    for (uint32_t i = 0; i < more->count; i++) {
        uint32_t at = 0;
        while (at < pairs->count && !str_eq(both[at].name.text, more->items[i].name.text))
            at++;
        both[at] = more->items[i];
        pairs->count += at == pairs->count;
    }
    pairs->items = both;
}

static void merge_dependencies(struct reader *reader, struct manifest_dependencies *all,
                               const struct manifest_dependencies *more)
{
    struct manifest_dependency *both = reader_array(reader, (size_t)all->count + more->count, sizeof *both);
    if (!both)
        return;
    if (all->count)
        memcpy(both, all->items, all->count * sizeof *both);
    for (uint32_t i = 0; i < more->count; i++) {
        uint32_t at = 0;
        while (at < all->count && !str_eq(both[at].name.text, more->items[i].name.text))
            at++;
        both[at] = more->items[i];
        all->count += at == all->count;
    }
    all->items = both;
}

static void apply(struct reader *reader, struct manifest_component *component, const struct manifest_profile *profile)
{
    if (profile->source.kind != MANIFEST_SOURCE_NONE)
        component->source = profile->source;
    if (profile->commands.given)
        component->build.commands = profile->commands;
    merge_pairs(reader, &component->environment, &profile->environment);
    merge_dependencies(reader, &component->dependencies, &profile->dependencies);
}

static void unknown_profile(struct reader *reader, struct str name)
{
    struct str names[64] = {{0}};
    char room[256];
    size_t count = 0;
    for (size_t i = 0; i < reader->components.count; i++) {
        const struct manifest_profiles *profiles = &reader->components.items[i].profiles;
        for (uint32_t k = 0; k < profiles->count && count < sizeof names / sizeof *names; k++)
            names[count++] = profiles->items[k].name.text;
    }
    reader_error(reader, (struct manifest_place){0, 0}, ERR_INVALID,
                 reader_nearest(reader, name, (struct reader_words){names, count, sizeof names[0]},
                                count ? "a profile is [component.ID.profile.NAME]" : "this application has no profiles",
                                room),
                 "no component has a profile \"%s\"", SHOWN(name));
}

void apply_profile(struct reader *reader, struct str profile)
{
    bool found = profile.len == 0;
    for (size_t i = 0; profile.len && i < reader->components.count; i++) {
        struct manifest_component *component = &reader->components.items[i];
        for (uint32_t k = 0; k < component->profiles.count; k++)
            if (str_eq(component->profiles.items[k].name.text, profile)) {
                apply(reader, component, &component->profiles.items[k]);
                found = true;
            }
    }
    if (!found)
        unknown_profile(reader, profile);
}
