/* Paths of a manifest, and the folders that a component may read; what is no whole folder is copied (assets.c). */
#include "deploy/deploy_inner.h"

#include <string.h>

char *deploy_path(struct deploy *deploy, struct str path)
{
    size_t folder = (size_t)(given_base_name(deploy->path) - deploy->path);
    bool absolute = path.len && path.ptr[0] == '/';
    size_t before = absolute ? 0 : folder;
    char *text = arena_alloc(&deploy->arena, before + path.len + 1);
    if (!text)
        return NULL;
    memcpy(text, deploy->path, before);
    memcpy(text + before, path.ptr, path.len);
    text[before + path.len] = '\0';
    return text;
}

/* A folder, to be read, under the name that the manifest gives it. */
static bool mount_folder(struct deploy *deploy, const struct manifest_mount *mount, struct host_directory *ret,
                         struct err *err)
{
    const char *path = deploy_path(deploy, mount->source.text);
    if (!path)
        return err_memory(err);
    if (!files_grant(path, false, &ret->dir, err))
        return deploy_at(deploy, mount->source.at, err);
    deploy->folders[deploy->folder_count++] = ret->dir.fd;
    ret->name = mount->destination.text;
    return true;
}

/* Where nothing may be copied, what would be is an error. */
static bool check_direct(const struct deploy *deploy, const struct manifest_component *component, uint32_t mount,
                         struct err *err)
{
    const struct manifest_mount *entry = &component->files.items[mount];
    if (!deploy->options.direct_mounts)
        return true;
    err_set(err, ERR_INVALID, "with --direct-mounts, %s",
            component->exclude_files.count ? "a component with exclude_files is not served"
                                           : "files are folders, as { source, destination }");
    err_remedy(err, "leave out --direct-mounts, or the patterns");
    return deploy_at(deploy, entry->pattern.text.ptr ? entry->pattern.at : entry->source.at, err);
}

/* Folders are granted where they stand; all else is one folder, `/`. */
bool deploy_files(struct deploy *deploy, const struct manifest_component *component, struct host_config *config,
                  struct err *err)
{
    const struct manifest_mounts *mounts = &component->files;
    struct host_directory *rows = ARENA_ARRAY(&deploy->arena, struct host_directory, mounts->count + 1);
    bool copies = false;
    if (!rows)
        return err_memory(err);
    config->directories = rows;
    for (uint32_t i = 0; i < mounts->count; i++) {
        bool copied = deploy_is_copied(deploy, component, i);
        copies |= copied;
        if (copied && !check_direct(deploy, component, i, err))
            return false;
        if (!copied && !mount_folder(deploy, &mounts->items[i], &rows[config->directory_count++], err))
            return false;
    }
    return !copies || deploy_assets(deploy, component, &rows[config->directory_count++], err);
}
