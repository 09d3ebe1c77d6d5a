/* A relocatable object as the linker reads it: every range is checked when it is taken. */
#ifndef MAYFLY_CODEGEN_OBJECT_H
#define MAYFLY_CODEGEN_OBJECT_H

#include "codegen/piece.h"

#include <elf.h>

#define NOT_PLACED UINT64_MAX

struct object {
    const uint8_t *bytes;
    size_t size;
    const Elf64_Shdr *sections;
    uint32_t section_count;
    const Elf64_Sym *symbols;
    uint32_t symbol_count;
    struct str names, strings; /* of sections, of symbols */
    uint64_t *placed;          /* per section: its offset in the piece's code or constants, or NOT_PLACED; owned */
};

bool object_read(struct object *object, struct link_object from, struct err *err);
void object_free(struct object *object);
/* A view on the section's bytes; empty for sections that take no room in the file. */
struct str object_contents(const struct object *object, const Elf64_Shdr *section);
struct str object_section_name(const struct object *object, const Elf64_Shdr *section);
struct str object_symbol_name(const struct object *object, const Elf64_Sym *symbol);
const Elf64_Shdr *object_find(const struct object *object, const char *name);
/* The relocations of section `index`, sorted as they stand; *ret_count 0 when there are none. */
const Elf64_Rela *object_relocations(const struct object *object, uint32_t index, size_t *ret_count);
/* The relocation at byte `offset` of section `index`, or NULL. */
const Elf64_Rela *object_relocation_at(const struct object *object, uint32_t index, uint64_t offset);
/* The symbol that a relocation names, or NULL. */
const Elf64_Sym *object_symbol(const struct object *object, const Elf64_Rela *relocation);

/* A window on bytes; reading past the end gives zeros and sets `failed`. */
struct cursor {
    const uint8_t *at, *end;
    bool failed;
};

struct cursor cursor_of(struct str bytes);
uint64_t cursor_fixed(struct cursor *cursor, unsigned size);
uint64_t cursor_uleb(struct cursor *cursor);
int64_t cursor_sleb(struct cursor *cursor);
void cursor_skip(struct cursor *cursor, uint64_t size);
struct str cursor_text(struct cursor *cursor); /* up to a zero byte, which is skipped */

/* What the tables of an object say of its function. */
struct object_tables {
    VEC(struct code_site) sites;
    VEC(struct code_pad) pads;
};

/* The other passes over an object whose sections are placed; `text` is its function's section. */
bool object_lines(const struct object *object, uint32_t text, uint32_t start, struct object_tables *tables,
                  struct err *err);
bool object_pads(const struct object *object, uint32_t text, link_decode_fn *decode, void *decode_arg,
                 struct object_tables *tables, struct err *err);
/* Bytes between the stack pointer in the body and the saved frame pointer; UINT32_MAX: not our prologue. */
uint32_t object_frame_size(const uint8_t *code, size_t size);

#endif
