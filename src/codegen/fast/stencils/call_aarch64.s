// Entering, leaving and calling: what C has no words for. Numbers of registers and offsets are those of
// docs/architecture.md ("Calling convention") and image/context.h; fast/arch_aarch64.h and fast/call.c assert them.
//
// A call leaves nothing in registers, so that all but the arguments are free here. The reference of an indirect call is
// in x2.

// The frame's size is IMM; the context goes to its cell.
s_enter:
    stp x29, x30, [sp, #-16]!
    mov x29, sp
    movz w8, #IMM_0
    movk w8, #IMM_1, lsl #16
    sub sp, sp, x8
    stur x20, [x29, #-8]
    b CONT

// The same where it may be larger than a page: each is touched, so that none jumps over the guard region. IMM is the size
// negated.
s_enter_large:
    stp x29, x30, [sp, #-16]!
    mov x29, sp
    movz w8, #IMM_0
    movk w8, #IMM_1, lsl #16
    add x8, x29, w8, sxtw
.Lprobe:
    sub sp, sp, #4096
    str xzr, [sp]
    cmp sp, x8
    b.hi .Lprobe
    mov sp, x8
    stur x20, [x29, #-8]
    b CONT

s_leave:
    mov sp, x29
    ldp x29, x30, [sp], #16
    ret

s_unframe:
    mov sp, x29
    ldp x29, x30, [sp], #16
    b CONT

s_trap:
    udf #IMM_0

s_call:
    bl CALLEE
    b CONT

s_jump_to:
    b CALLEE

// Through import words at CONTEXT + IMM: code, context.
s_call_words:
    movz w8, #IMM_0
    movk w8, #IMM_1, lsl #16
    add x8, x20, w8, sxtw
    ldp x9, x20, [x8]
    blr x9
    b CONT

s_jump_words:
    movz w8, #IMM_0
    movk w8, #IMM_1, lsl #16
    add x8, x20, w8, sxtw
    ldp x9, x20, [x8]
    br x9

// x2: offset of the code in the low half, of the context from the store in units of 1024 in the high half.
s_call_reference:
    ldr x9, [x20, #8]
    lsr x8, x2, #32
    add x20, x9, x8, lsl #10
    ldr x9, [x20]
    add x9, x9, w2, uxtw
    blr x9
    b CONT

s_jump_reference:
    ldr x9, [x20, #8]
    lsr x8, x2, #32
    add x20, x9, x8, lsl #10
    ldr x9, [x20]
    add x9, x9, w2, uxtw
    br x9

// A = the type hash of the function that reference B names: eight bytes before its code.
s_reference_hash:
    ldr x9, [x20, #8]
    lsr x8, x23, #32
    add x9, x9, x8, lsl #10
    ldr x9, [x9]
    add x9, x9, w23, uxtw
    ldur x22, [x9, #-8]
    b CONT

// A = the reference of a function of this image, whose context is this one + IMM.
s_reference_here:
    movz w8, #IMM_0
    movk w8, #IMM_1, lsl #16
    add x8, x20, w8, sxtw
    adrp x22, CALLEE
    add x22, x22, :lo12:CALLEE
    ldp x9, x10, [x8]
    sub x22, x22, x9
    sub x8, x8, x10
    orr x22, x22, x8, lsl #22
    b CONT

// A = the reference of the function in the import words at B.
s_reference_words:
    ldp x22, x8, [x23]
    ldp x9, x10, [x8]
    sub x22, x22, x9
    sub x8, x8, x10
    orr x22, x22, x8, lsl #22
    b CONT

// Go to row A of the table that follows, or to row IMM where A is not below it: each row is a branch.
s_table_jump:
    movz w8, #IMM_0
    movk w8, #IMM_1, lsl #16
    cmp w22, w8
    csel w8, w22, w8, lo
    adr x9, CONT
    add x9, x9, x8, lsl #2
    br x9

// Leave the guest: the stack must have its reserve, and backtraces begin here.
s_host_enter:
    ldr x8, [x20, #8]
    ldr x9, [x8]
    cmp sp, x9
    b.lo TRAP_STACK_OVERFLOW
    str x29, [x8, #24]
    b CONT

// The host function of the import words at CONTEXT + IMM, with the cells at FRAME + IMM2.
s_host_call:
    movz w8, #IMM_0
    movk w8, #IMM_1, lsl #16
    add x8, x20, w8, sxtw
    ldp x9, x1, [x8]
    ldr x0, [x20, #8]
    movz w8, #IMM2_0
    movk w8, #IMM2_1, lsl #16
    add x2, x29, w8, sxtw
    blr x9
    tst w0, #0xff
    b.eq TRAP_PENDING
    b CONT

// The helper at IMM in the table, its arguments in place.
s_helper_call:
    mov x0, x20
    movz w8, #IMM_0
    movk w8, #IMM_1, lsl #16
    ldr x9, [x20, #16]
    ldr x9, [x9, w8, sxtw]
    blr x9
    b CONT

s_helper_check:
    cbz w0, TRAP_PENDING
    b CONT

s_helper_check_reference:
    cbz x0, TRAP_PENDING
    b CONT

// X = the constant at CALLEE + IMM.
s_constant_v:
    adrp x8, CALLEE
    add x8, x8, :lo12:CALLEE
    movz w9, #IMM_0
    movk w9, #IMM_1, lsl #16
    ldr q1, [x8, x9]
    b CONT

s_constant_f64:
    adrp x8, CALLEE
    add x8, x8, :lo12:CALLEE
    movz w9, #IMM_0
    movk w9, #IMM_1, lsl #16
    ldr d1, [x8, x9]
    b CONT

// IMM2 cells of eight bytes from FRAME + IMM on become zero.
s_clear_frame:
    movz w8, #IMM_0
    movk w8, #IMM_1, lsl #16
    add x8, x29, w8, sxtw
    movz w9, #IMM2_0
    movk w9, #IMM2_1, lsl #16
.Lclear:
    str xzr, [x8], #8
    subs w9, w9, #1
    b.ne .Lclear
    b CONT
