/* File to image, in one process: decode, plan, lay out, generate, write.
 *
 * Runs in the compiler child; tests call it with generators of their own.
 */
#ifndef MAYFLY_COMPILE_BUILD_H
#define MAYFLY_COMPILE_BUILD_H

#include "base/buf.h"
#include "codegen/codegen.h"
#include "image/part.h"

struct plan;

struct compile_options {
    enum codegen_tier tier;
    int opt_level;     /* 0..3, of TIER_BEST */
    uint32_t mix_seed; /* of TIER_MIXED, or 0 and ... */
    const struct codegen_name *chosen; /* ... the functions that are LLVM's; what an earlier compile left is used too */
    uint32_t chosen_count;
    bool open; /* a core module whose imports are linked at run time: runtime/link.h ... */
    const char *host; /* ... but for functions of these modules, separated by commas; or NULL */
    const char *dump; /* NULL, or a stage that the generator prints to standard error */
    const uint8_t *source; /* the hash of the source, for the header, or NULL: it is to be computed */
    bool undigested; /* leave its digest to compile_keep: it is run at once, by whoever had it made */
    bool source_later; /* of one that is undigested: the hash is not known yet, and comes into the header at the end */
    /* What follows has no effect on the image. */
    bool best_if_kept; /* of TIER_FAST: the cache's image of TIER_BEST will do, and is better */
    uint32_t cpu_seconds; /* processor time of the child; 0: half an hour */
    uint64_t memory_bytes; /* address space of the child; 0: 8 GiB, or three quarters of the machine's memory */
    struct str old_pack; /* in the child: functions of an earlier compile, codegen/pack.h ... */
    struct buf *ret_pack; /* ... and where those of this one are appended, or NULL */
    struct codegen_counts *ret_counts;
    void (*written)(void *arg); /* the sink has the whole image: memory is given back behind that; or NULL */
    void *written_arg;
    void (*progress)(void *arg, const struct codegen_progress *progress); /* how far it is, now and then; or NULL */
    void *progress_arg;
};

/* The part of the options that decides the image's bytes, as recorded in its header. */
uint64_t compile_options_word(const struct compile_options *options);

typedef bool generator_fn(const struct unit *units, uint32_t count, const struct codegen_options *options,
                          struct code *ret_code, struct err *err);

/* The last step: what a generator made becomes an image. `digest`: of the source. */
bool compile_write(const struct plan *plan, const struct geometry *geometry, struct code *code,
                   const uint8_t digest[32], uint64_t options, const struct image_sink *sink, struct err *err);
/* A sink that appends to an empty buffer. */
struct image_sink compile_buffer(struct buf *image);

/* Errors carry offsets into `source`. */
bool compile_to(const uint8_t *source, size_t size, const struct compile_options *options, generator_fn *generate,
                const struct image_sink *sink, struct err *err);
/* Into an empty buffer. */
bool compile_build(const uint8_t *source, size_t size, const struct compile_options *options, generator_fn *generate,
                   struct buf *ret_image, struct err *err);

#endif
