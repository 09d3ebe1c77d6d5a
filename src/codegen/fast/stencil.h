/* Stencils as the generator sees them: machine code of one operation each, with holes to be filled in.
 *
 * Made when mayfly is built: stencils.py has clang compile `stencils/` and finds the holes by looking at what the
 * assembler makes of other registers and numbers in their places. Every stencil has a form whose
 * immediates have 32 bits, and one for those that all fit in eight bits (the same one where that gains nothing).
 *
 * Register numbers are the architecture's. A hole for a register is filled by or-ing the number's bits into the code,
 * which has zeros there.
 */
#ifndef MAYFLY_FAST_STENCIL_H
#define MAYFLY_FAST_STENCIL_H

#include <stdbool.h>
#include <stdint.h>

/* What a hole wants. Operands: A, B, C, D, X, Y, Z, W in this order. */
enum stencil_hole {
    /* x86-64: the lower three bits of operand `arg` go into the byte at `at`, shifted by `shift`; the fourth into the
     * byte at `rex`, shifted by `rex_shift`. */
    HOLE_REG, /* aarch64: the number's five bits go into the word at `at`, shifted by `shift` */
    HOLE_IMM8, /* `arg`: 0 IMM, 1 IMM2, 2 SHIFT; a byte */
    HOLE_IMM16, /* aarch64: 3 is IMM64; sixteen bits from `shift` on go into the word at `at`, shifted by `rex` */
    HOLE_IMM32, /* likewise, four bytes */
    HOLE_IMM64, /* IMM64, eight bytes */
    /* x86-64: distance to the label from the end of these four bytes. aarch64: a branch, or one of the two instructions
     * that make an address. */
    HOLE_TAKEN,
    HOLE_TRAP, /* likewise, to the place that traps with number `arg` */
    HOLE_POOL, /* likewise, to the constant pool; the hole holds the offset there */
    HOLE_CALLEE, /* likewise, to the function that is called */
};

struct stencil_field {
    uint8_t at, hole, arg;
    uint8_t shift, rex, rex_shift;
};

/* All of a form. */
struct stencil_whole {
    uint16_t code; /* offset in the bytes, in units of eight */
    uint16_t fields; /* first one's row; those of registers come first */
    uint8_t field_count;
};

/* Most stencils are filled in without a look at their fields: no more than sixteen bytes, registers are bits of the
 * first eight, there is one immediate at most, and there may be a distance or another immediate at the end. */
#define FORM_REGS 3
enum form_kind { FORM_PLAIN, FORM_ANY, FORM_TAKEN, FORM_CALLEE, FORM_IMM2, FORM_IMM64 }; /* with that at the end */
struct stencil_form {
    uint64_t words[2]; /* the first sixteen bytes */
    uint16_t whole; /* row of stencil_wholes */
    /* What follows is for the quick way. Where rows of stencil_spread begin: what the registers' numbers become. */
    uint16_t spread[FORM_REGS];
    uint8_t arg[FORM_REGS]; /* which operands */
    uint8_t byte_shift, byte_mask; /* of an immediate of one byte, in the first word */
    uint8_t imm_at; /* of one of four bytes; or behind everything */
    uint8_t imm : 2, kind : 3; /* which immediate, 3: 0; enum form_kind */
    uint8_t size;
};

_Static_assert(sizeof(struct stencil_form) == 32, "both forms of a stencil fit one line of the cache");

struct stencil {
    _Alignas(64) struct stencil_form far;
    struct stencil_form near;
};

/* STENCIL_<name> */
enum stencil_name {
#define STENCIL_ROW(name) STENCIL_##name,
#include "stencils.def"
#undef STENCIL_ROW
    STENCIL_COUNT
};

/* Rows of 32: bits of the first eight bytes by register, whatever its kind; all zero in row 0. */
extern const uint64_t stencil_spread[];
/* Sixteen bytes may be read behind each form's code. */
extern const struct stencil stencils[STENCIL_COUNT];
extern const struct stencil_whole stencil_wholes[];
extern const uint8_t stencil_code[];
extern const struct stencil_field stencil_fields[];
extern const char *const stencil_names[STENCIL_COUNT];

static inline const struct stencil_field *stencil_fields_of(const struct stencil_form *form)
{
    return stencil_fields + stencil_wholes[form->whole].fields;
}

static inline unsigned stencil_field_count(const struct stencil_form *form)
{
    return stencil_wholes[form->whole].field_count;
}

static inline const uint8_t *stencil_code_of(const struct stencil_form *form)
{
    return stencil_code + 8u * stencil_wholes[form->whole].code;
}
/* Constants that stencils read, aligned to 16. */
extern const uint8_t stencil_pool[];
extern const uint32_t stencil_pool_size;

#endif
