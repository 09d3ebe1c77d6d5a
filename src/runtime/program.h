/* A program: a mapped image with its imports resolved, ready to make instances.
 *
 * Loading maps the file (mapping.h), resolves every host import through the
 * embedder's resolver, and runs the start functions once in a first slot. If they asked the host for nothing,
 * the pages they wrote become part of the template and later instances start behind them. Otherwise they run in every
 * instance, unless the embedder runs them once more in a slot, with the real host, and freezes what they left.
 */
#ifndef MAYFLY_RUNTIME_PROGRAM_H
#define MAYFLY_RUNTIME_PROGRAM_H

#include "runtime/mapping.h"

struct slot;

/* How an import row is satisfied. `ret_env` is what the host function gets; both stay valid as long as the
 * program. Returning false refuses the program. */
typedef bool program_resolver(void *arg, const struct image *image, const struct image_import *import, host_fn **ret_fn,
                              const void **ret_env, struct err *err);

/* A page whose initial contents differ from the image's runs: what start functions left. */
struct program_page {
    uint64_t slot_off;
    const uint8_t *bytes;
};

#define PROGRAM_HOT_MAX 256u

struct program {
    struct image image;
    int fd; /* of the image file: slots map its template pages */
    struct mapping *mapping; /* where the image lies; other programs of the file may share it */
    uint64_t text_low, text_high; /* addresses of the executable part */
    struct program *next;         /* all loaded programs, for the signal handler */
    char name[96];
    struct import_words *hosts; /* per image import: function and environment */
    const void *const *helpers;
    const struct program_page *snapshot; /* sorted by slot_off */
    uint64_t snapshot_count;
    uint8_t *snapshot_bytes;
    uint64_t *opened; /* bytes of each row of memories at the start, where start functions grew them; NULL: none did */
    uint64_t heap_open; /* end of the part of the heap that is open from the start, from the heap base */
    bool
        start_each_time; /* run start functions in every instance: they ask the host for something, or were not tried */
    uint32_t sample_number; /* its name in samples (runtime/sample.h); 0: it is not sampled */
    uint64_t memory_max; /* bytes that a store may have (struct slot_account), set before the first slot; UINT64_MAX */
    struct slot *free_slots; /* the one used last comes first */
    uint32_t slot_count;
    uint32_t age; /* counts slot_trim */
    uint64_t hot[PROGRAM_HOT_MAX]; /* pages that instances write, learned: new slots make them resident */
    uint32_t hot_count;
};

/* Map the image in `fd` (checked by its header; whoever stored it checked it whole) and make it ready.
 * `name`: for logs. The descriptor may be closed afterwards. */
struct program *program_load(int fd, const char *name, program_resolver *resolve, void *arg, struct err *err);
/* The same for a program that makes one instance: nothing of it runs yet, its start functions run in the instance. */
struct program *program_open(int fd, const char *name, program_resolver *resolve, void *arg, struct err *err);
/* Requests will call this export: new slots make those pages resident which every such call writes (handles), or nearly
 * every one (the stack in memory, by the layout that toolchains give it), and no fault has to find them. Before the
 * first slot. */
void program_expect(struct program *program, const struct image_export *row);
/* All its slots must be free. */
void program_unload(struct program *program);

/* Bytes of the memory in this row of the image with which an instance begins. */
static inline uint64_t program_memory_bytes(const struct program *program, uint64_t row)
{
    return program->opened ? program->opened[row] : image_memories(&program->image)[row].min_bytes;
}

/* A program whose text contains `pc`, or NULL: of those that share it one, which has the same image. Safe in a signal
 * handler. */
const struct program *program_of(uint64_t pc);

/* The export row with these names (empty interface for a core module's), or NULL. A trailing "*" in
 * `interface` matches any rest, so that "wasi:http/incoming-handler@0.2*" finds every 0.2 version. */
const struct image_export *program_export(const struct program *program, struct str interface, struct str name);

/* Initial contents of the page at `slot_off`, or NULL when it is zero. */
const uint8_t *program_page_source(const struct program *program, uint64_t slot_off);

#endif
