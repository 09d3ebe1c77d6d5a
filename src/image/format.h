/* The native image: one file per program, mapped once, position independent.
 *
 *     header      struct image_header
 *     sections    the tables below, in the order of IMAGE_SECTIONS, each 8-byte aligned
 *     code        page-aligned: executable part, then constants; offsets in the file are code offsets
 *     pages       page-aligned: template pages of the mutable part and of the memories
 *
 * An image is native code and trusted like an executable: made by this engine's compiler child, stored
 * by its parent under the hash of source and options, never accepted from elsewhere. `image_check` reads
 * it whole when it enters the store: every offset and count in it is in range afterwards, so that later
 * readers need no checks of their own. All numbers are little endian.
 */
#ifndef MAYFLY_IMAGE_FORMAT_H
#define MAYFLY_IMAGE_FORMAT_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "image/context.h"
#include "image/plan.h"

#define IMAGE_MAGIC 0x31796c6679616dull /* "mayfly1" */
#define IMAGE_FORMAT 5u
#define IMAGE_PAGE 4096u
#define IMAGE_SIZE_MAX ((uint64_t)1 << 32)

/* SECTION(name, element type) */
#define IMAGE_SECTIONS(SECTION)                                                                                        \
    SECTION(units, struct image_unit)                                                                                  \
    SECTION(types, struct image_type)                                                                                  \
    SECTION(memories, struct image_memory)                                                                             \
    SECTION(tables, struct image_table)                                                                                \
    SECTION(roots, struct image_root)                                                                                  \
    SECTION(segments, struct image_segment)                                                                            \
    SECTION(opens, struct image_extern)                                                                                \
    SECTION(offers, struct image_extern)                                                                               \
    SECTION(words, struct image_word)                                                                                  \
    SECTION(imports, struct image_import)                                                                              \
    SECTION(exports, struct image_export)                                                                              \
    SECTION(resources, struct image_resource)                                                                          \
    SECTION(starts, struct image_start)                                                                                \
    SECTION(funcs, struct image_func)                                                                                  \
    SECTION(sites, uint8_t)                                                                                            \
    SECTION(pads, struct image_pad)                                                                                    \
    SECTION(runs, struct image_run)                                                                                    \
    SECTION(entries, struct table_entry)                                                                               \
    SECTION(bytes, uint8_t)                                                                                            \
    SECTION(strings, char)

enum image_section {
#define SECTION(name, type) IMAGE_##name,
    IMAGE_SECTIONS(SECTION)
#undef SECTION
        IMAGE_SECTION_COUNT
};

/* A value type in a signature is a byte, its binary code. Of references that is the code of an abstract heap type; a
 * defined type counts as func, struct or array. */
#define IMAGE_TYPE_NEVER_NULL 0x80u /* added to a reference's */

struct image_range {
    uint64_t offset, count; /* file offset, number of elements */
};

struct image_header {
    uint64_t magic;
    uint32_t format, header_size;
    uint8_t engine[32]; /* identity of the engine that made it: image_engine_id */
    uint8_t source[32]; /* SHA-256 of the source bytes */
    uint8_t digest[32]; /* base/checksum.h of the file with this field zero: it finds damage, not intent */
    uint64_t options;   /* enum image_options */
    uint64_t file_size;
    uint64_t code_offset, exec_size, code_size; /* of the code blob */
    uint64_t fixed_size, mutable_size, slot_size, handles_off;
    uint64_t heap_off;                  /* heap base from the slot base; 0: there is none (image/heap.h) */
    uint64_t heap_objects, heap_words;  /* first object from the heap base; struct heap_words from the slot base */
    uint32_t handle_tables;
    uint32_t component;  /* 1: made from a component */
    uint32_t init_trap;  /* enum trap: instantiation traps with it (a segment out of bounds) */
    uint32_t joinable;   /* 1: an instance is made by linking it into a store (runtime/link.h) */
    struct image_range sections[IMAGE_SECTION_COUNT];
};

struct image_string {
    uint32_t offset, size; /* in the strings section */
};

/* A core instance. Ranges index the sections of that name. */
struct image_unit {
    uint64_t context; /* offset of its struct context from the slot base */
    struct image_string name;
    uint32_t memory_first, memory_count; /* one row per entry of the index space, imports included */
    uint32_t table_first, table_count;
    uint32_t data_first, data_count;
    uint32_t elem_first, elem_count;
};

/* A type that some unit defines, sorted by hash: what is needed to tell subtypes (wasm_type_hash in wasm/module.h).
 * In joinable images also what the hash stands for, so that whoever links images can compare that: the encoding of its
 * recursion group as a range of the bytes section, and the position in the group; of functions, the signature as
 * type codes in the bytes section. */
struct image_type {
    uint64_t hash;
    uint32_t super; /* row of the declared supertype, or WASM_NO_INDEX */
    uint32_t kind;  /* enum wasm_comptype_kind */
    uint32_t encoding_first, encoding_size, member;
    uint32_t param_count, result_count, types_first;
};

/* One row per memory of a unit's index space; rows of imported memories repeat the owner's places. `words_off`, if not
 * 0: the memory is linked at run time, its struct link_words lie there from the slot base, and nothing else of the
 * row holds. Tables likewise. */
struct image_memory {
    uint64_t words_off;
    uint64_t base_off, size_off; /* from the slot base */
    uint64_t min_bytes, max_bytes, reserve_bytes;
    uint32_t page_log2;
    uint32_t owner; /* 1: the row of the unit that defines it */
};

struct image_table {
    uint64_t words_off;
    uint64_t entries_off, length_off; /* from the slot base */
    uint64_t min, max;                /* max: of growth, at most the reserved capacity */
    uint32_t is_func, owner;
    uint32_t ref, reserved; /* enum heap_ref of its entries */
};

/* References that the collector starts from, apart from tables: `count` cells (globals, entries that the instance
 * made) from `slot_off` on, while the byte at `flag_off`, if not 0, is 0. */
struct image_root {
    uint64_t slot_off, count, flag_off;
    uint32_t ref, reserved; /* enum heap_ref */
};

/* A data or element segment: `first` and `count` index bytes or entries; `flag_off` is its "dropped"
 * byte in the mutable part, from the slot base. Entries that the instance makes (image/late.h) lie in the mutable
 * part: `first` is then their place from the slot base. */
enum image_late { IMAGE_LATE_NO, IMAGE_LATE_REFS, IMAGE_LATE_FUNCS };
struct image_segment {
    uint64_t first, count, flag_off;
    uint32_t late, reserved; /* enum image_late */
};

/* Words of the fixed part that hold something absolute, written when a slot is made. */
enum image_word_kind {
    WORD_CONTEXT, /* a struct context: code base, store, helpers and unit = value */
    WORD_HOST,    /* import words: the host function of import row `value` */
    WORD_SLOT,    /* the address slot base + value */
};
struct image_word {
    uint64_t slot_off, value;
    uint32_t kind, reserved;
};

/* Canonical options with slot-relative places instead of indices. */
struct image_canon {
    uint64_t memory_off, memory_size_off; /* UINT64_MAX: no memory */
    uint64_t realloc_ref, post_return_ref; /* function references; 0: none */
    uint64_t handles_off;                  /* of the component instance's handle table, from the slot base */
    uint32_t encoding, reserved;
};

struct image_import {
    uint32_t kind; /* enum host_import_kind */
    uint32_t param_count, result_count; /* core signature, types as bytes in the bytes section */
    uint32_t types_first;
    struct image_string interface, name, signature;
    struct image_canon canon, peer; /* peer: struct host_import in image/plan.h */
    uint32_t resource_type, flags;  /* flags: enum canon_flag */
    uint64_t dtor_ref;
    uint64_t run_ref, ret_ref, callback_ref;
    uint32_t builtin, number;
};

struct image_export {
    struct image_string interface, name, signature;
    uint64_t funcref;
    uint32_t param_count, result_count, types_first, flags;
    struct image_canon canon;
    uint64_t callback_ref;
    struct image_string result; /* text of the result's type, as task.return has it */
};

/* A resource type that the component defines and exports. */
struct image_resource {
    struct image_string interface, name;
    uint32_t id, reserved;
};

/* What a joinable image imports (opens) or exports (offers), of any kind. Value types are those of wasm/types.h with
 * rows of this image's types for type indices. */
enum image_extern_flags { EXTERN_MUTABLE = 1, EXTERN_64 = 2, EXTERN_SHARED = 4, EXTERN_HAS_MAX = 8 };
struct image_extern {
    struct image_string module, name; /* module: of opens */
    uint32_t kind;                    /* enum wasm_extern_kind */
    uint32_t type;                    /* function, tag: row of its type; global, table: value type */
    uint32_t flags, page_log2;
    uint64_t min, max; /* table, memory: as declared, in entries or pages */
    /* From the slot base. Opens: struct import_words of a function, struct link_words of others. Offers: reference to
     * the function; row of the memory or table in the section of that name; place of the global or tag. */
    uint64_t place;
    uint32_t open, reserved; /* offers: the open row that is exported again (`place` is 0), or WASM_NO_INDEX */
};

struct image_start {
    uint64_t funcref;
};

enum image_func_kind { IMAGE_FUNC, IMAGE_FUNC_THUNK, IMAGE_FUNC_ROUTINE, IMAGE_FUNC_INIT };
struct image_func {
    uint32_t code_off, code_size; /* from the image base */
    uint32_t unit, func, kind, frame_size; /* kind: enum image_func_kind, which is code_func_kind of codegen/ */
    uint32_t sites_first, sites_size; /* bytes of the sites section: image/sites.h */
    struct image_string name;
};

struct image_pad {
    uint32_t return_off, pad_off;
};

/* Template pages: `size` bytes (whole pages) at `file_off` are the initial contents at `slot_off`. Pages
 * that no run covers are zero. Sorted by slot_off, not overlapping. */
struct image_run {
    uint64_t slot_off, file_off, size;
};

/* A mapped or in-memory image. */
struct image {
    const uint8_t *base;
    const struct image_header *header;
};

#define SECTION(name, type)                                                                                            \
    static inline const type *image_##name(const struct image *image)                                                  \
    {                                                                                                                  \
        return (const type *)(image->base + image->header->sections[IMAGE_##name].offset);                             \
    }                                                                                                                  \
    static inline uint64_t image_##name##_count(const struct image *image)                                             \
    {                                                                                                                  \
        return image->header->sections[IMAGE_##name].count;                                                            \
    }
IMAGE_SECTIONS(SECTION)
#undef SECTION

static inline struct str image_str(const struct image *image, struct image_string s)
{
    return (struct str){image_strings(image) + s.offset, s.size};
}

/* What makes an image foreign: version of the engine, layouts, trap and helper tables. */
void image_engine_id(uint8_t ret_id[32]);

/* The digest that belongs into the header. */
void image_digest(const uint8_t *bytes, uint64_t size, uint8_t ret_digest[32]);

/* Check the header only: magic, format, engine, size. `size`: of the file. */
bool image_check_header(const struct image_header *header, uint64_t size, struct err *err);

/* The header and the digest: undamaged, and so as good as when it was checked whole. */
bool image_check_digest(const uint8_t *bytes, uint64_t size, struct err *err);

/* Check all but the digest: of an image that has none yet. */
bool image_check_tables(const uint8_t *bytes, uint64_t size, struct err *err);

/* Check a whole image, digest included. */
bool image_check(const uint8_t *bytes, uint64_t size, struct err *err);

/* Is the type with hash `sub` of this image a subtype of the one with hash `super`, which may be another image's? */
bool image_subtype(const struct image *image, uint64_t sub, uint64_t super);

/* Row of the type with this hash, or WASM_NO_INDEX. */
uint32_t image_find_type(const struct image *image, uint64_t hash);

/* The function whose code contains `code_off` (from the image base), or NULL. */
const struct image_func *image_find_func(const struct image *image, uint32_t code_off);
/* The Wasm byte offset of the instruction at `code_off`, or 0 when unknown. */
uint32_t image_find_site(const struct image *image, uint32_t code_off);

#endif
