/* The binary codes that adapters are written with (core specification, section 5.4), and what only fuse*.c share. */
#ifndef MAYFLY_COMPONENT_FUSE_OP_H
#define MAYFLY_COMPONENT_FUSE_OP_H

#include "component/fuse.h"
#include "component/handles.h"

enum {
    OP_UNREACHABLE = 0x00,
    OP_BLOCK = 0x02,
    OP_LOOP = 0x03,
    OP_IF = 0x04,
    OP_END = 0x0b,
    OP_BR = 0x0c,
    OP_BR_IF = 0x0d,
    OP_BR_TABLE = 0x0e,
    OP_RETURN = 0x0f,
    OP_CALL = 0x10,
    OP_TRY_TABLE = 0x1f,
    OP_LOCAL_GET = 0x20,
    OP_LOCAL_SET = 0x21,
    OP_TABLE_GET = 0x25,
    OP_GLOBAL_GET = 0x23,
    OP_GLOBAL_SET = 0x24,
    OP_I32_LOAD = 0x28,
    OP_I64_LOAD = 0x29,
    OP_F32_LOAD = 0x2a,
    OP_F64_LOAD = 0x2b,
    OP_I32_LOAD8_S = 0x2c,
    OP_I32_LOAD8_U = 0x2d,
    OP_I32_LOAD16_S = 0x2e,
    OP_I32_LOAD16_U = 0x2f,
    OP_I32_STORE = 0x36,
    OP_I64_STORE = 0x37,
    OP_F32_STORE = 0x38,
    OP_F64_STORE = 0x39,
    OP_I32_STORE8 = 0x3a,
    OP_I32_STORE16 = 0x3b,
    OP_MEMORY_SIZE = 0x3f,
    OP_MEMORY_GROW = 0x40,
    OP_I32_CONST = 0x41,
    OP_I64_CONST = 0x42,
    OP_F32_CONST = 0x43,
    OP_F64_CONST = 0x44,
    OP_I32_EQZ = 0x45,
    OP_I32_EQ = 0x46,
    OP_I32_NE = 0x47,
    OP_I32_LE_U = 0x4d,
    OP_I32_GE_U = 0x4f,
    OP_I64_GT_U = 0x56,
    OP_I32_ADD = 0x6a,
    OP_I32_SUB = 0x6b,
    OP_I32_AND = 0x71,
    OP_I32_OR = 0x72,
    OP_I32_XOR = 0x73,
    OP_I64_ADD = 0x7c,
    OP_I64_MUL = 0x7e,
    OP_I64_SHL = 0x86,
    OP_I64_SHR_U = 0x88,
    OP_I32_WRAP = 0xa7,
    OP_I64_EXTEND_U = 0xad,
    OP_I32_OF_F32 = 0xbc,
    OP_I64_OF_F64 = 0xbd,
    OP_F32_OF_I32 = 0xbe,
    OP_F64_OF_I64 = 0xbf,
    OP_I32_EXTEND8_S = 0xc0,
    OP_I32_EXTEND16_S = 0xc1,
    OP_PREFIX_FB = 0xfb,
    OP_PREFIX_FC = 0xfc,
    BLOCK_EMPTY = 0x40,
    CATCH_ALL = 0x02,
};

#define ASYNC_MAX_FLAT_PARAMS 4u

/* Bytes of the number's LEB128. */
size_t fuse_leb(uint8_t to[10], uint64_t value);

/* fuse.c: what adapters in front of the host's functions need as well. */
const struct func_type *fuse_type_of(const struct canon_value *canon);
bool fuse_set_side(struct fuse *f, struct instance *in, const struct options *opts, struct fuse_side *side);
/* The function's parameters as one type; NULL: there are none. */
bool fuse_tuple(struct fuse *f, const struct func_type *func, const struct type **ret_tuple);
/* Traps unless the address in the local is one of a value of this type. */
void fuse_check_pointer(struct fuse *f, const struct fuse_side *side, const struct type *type, uint32_t at);
/* fuse_import.c: a row of host imports as a function of the adapter. */
uint32_t fuse_row(struct fuse *f, const struct host_import *row);
/* fuse_host.c: the adapter of an asynchronous lower of a function of the host. */
bool fuse_make_async_host(struct fuse *f, const struct canon_value *canon, struct plan_func *ret);

#endif
