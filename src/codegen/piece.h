/* One function's machine code before it has a place: what generators make, what the cache keeps (pack.h) and what the
 * linker joins (link.h).
 *
 * A piece is a run of bytes, a multiple of eight, that needs no reading of its own:
 *
 *     struct piece_head
 *     relocations, symbols, sites, pads: arrays, their counts in the head
 *     the function's code, then its constants, each padded to eight bytes
 *
 * Offsets of sites and pads count from the function's first byte. A site's Wasm offset counts from the function's body,
 * so that a piece stays what it is when the module before it grows; PIECE_NOWHERE: unknown.
 *
 * Bytes of pieces come from compilers that a hostile module may have misled: nobody looks at them before
 * `piece_read` has found every range and number in order. What the code does is another matter; see
 * docs/architecture.md.
 */
#ifndef MAYFLY_CODEGEN_PIECE_H
#define MAYFLY_CODEGEN_PIECE_H

#include "codegen/codegen.h"

#define PIECE_NOWHERE UINT32_MAX
#define PIECE_ALIGN_MAX 64u

struct piece_head {
    uint32_t size; /* of the whole piece */
    uint32_t code_size, constants_size, constants_align;
    uint32_t frame_size; /* as in struct code_func */
    uint32_t relocation_count, symbol_count, site_count, pad_count;
    uint32_t code_align; /* of its first byte: powers of two up to PIECE_ALIGN_MAX */
};

/* What a relocation leads to, when it is not a symbol's number. */
enum { PIECE_CODE = -1, PIECE_CONSTANTS = -2 };

/* The 32-bit word at `at` becomes target + addend - its own address. */
struct piece_relocation {
    uint32_t at;          /* in the code, or ... */
    uint32_t in_constants; /* ... when this is 1, in the constants */
    int32_t target;
    int32_t addend;
};

#define PIECE_TARGETS 0x101u /* of indirect calls: targets.h */

/* A function elsewhere. CODE_ROUTINE: `func` is an enum routine, `unit` 0. */
struct piece_symbol {
    uint32_t kind; /* enum code_func_kind, PIECE_TARGETS, or PIECE_REFERENCE in a pack */
    uint32_t unit, func;
};

/* Names of symbols in objects: the routines of the runtime, then those that LLVM may call though it is told not to. */
enum routine {
#define HELPER(name, signature) ROUTINE_##name,
#include "image/helpers.def"
#undef HELPER
    ROUTINE_memcpy,
    ROUTINE_memset,
    ROUTINE_memmove,
    ROUTINE_stencil_pool, /* constants of the fast generator */
    ROUTINE_trap_element, /* where indirect calls end that lead nowhere */
    ROUTINE_trap_null,
    ROUTINE_trap_type,
    ROUTINE_COUNT
};

/* A view of a piece that was found in order. */
struct piece {
    const struct piece_head *head;
    const struct piece_relocation *relocations;
    const struct piece_symbol *symbols;
    const struct code_site *sites; /* rising */
    const struct code_pad *pads;
    const uint8_t *code, *constants;
};

/* A power of two up to PIECE_ALIGN_MAX. */
static inline bool piece_is_alignment(uint64_t n)
{
    return n > 0 && n <= PIECE_ALIGN_MAX && (n & (n - 1)) == 0;
}

/* View the piece at `bytes` (aligned to eight, `size` bytes of which it is one whole). */
bool piece_read(const uint8_t *bytes, size_t size, struct piece *ret_piece, struct err *err);

/* One function may be declared in an object as several things, each under a name of its own. */
enum symbol_form {
    SYMBOL_PLAIN,
    SYMBOL_WIDE, /* with the one prototype */
    SYMBOL_KEPT, /* called for the context that it returns in its register */
    SYMBOL_FORMS
};

/* The name of a function in objects: f<unit>_<func> a defined function, t<unit>_<func> the thunk of an import,
 * i<unit>_0 late initializers, r_<helper> or a C name a routine, c<unit>_<number> targets. Other forms have other
 * letters. */
void symbol_name(char name[48], struct piece_symbol symbol, enum symbol_form form);
/* False when no function has this name. */
bool symbol_parse(struct str name, struct piece_symbol *ret_symbol);

/* Cut the only function out of a relocatable x86-64 ELF object and append it to `ret_piece`. `start`: the offset in the
 * module from which its sites count. Only kinds of relocations that need no work at load time are accepted, and only
 * sections that code reaches are kept. Line tables become sites (the line number is the Wasm offset), exception tables
 * become pads. Nothing in the object is trusted. */
struct link_object {
    const uint8_t *bytes;
    size_t size;
};
/* The length of the instruction at `at`, of which `left` bytes may be read; 0 when it is none. */
typedef size_t link_decode_fn(void *arg, const uint8_t *at, size_t left);
bool piece_cut(struct link_object object, uint32_t start, link_decode_fn *decode, void *decode_arg,
               struct buf *ret_piece, struct err *err);

#endif
