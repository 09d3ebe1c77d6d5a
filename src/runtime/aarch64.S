/* The border between C and guest code on aarch64: see guest.h for what each entry promises, and the calling
 * convention in docs/architecture.md for the registers. */

    .text

    /* What C wants to find again, in 160 bytes from sp on. */
    .macro save_registers
    stp x19, x20, [sp]
    stp x21, x22, [sp, #16]
    stp x23, x24, [sp, #32]
    stp x25, x26, [sp, #48]
    stp x27, x28, [sp, #64]
    stp x29, x30, [sp, #80]
    stp d8, d9, [sp, #96]
    stp d10, d11, [sp, #112]
    stp d12, d13, [sp, #128]
    stp d14, d15, [sp, #144]
    .endm
    .macro restore_registers
    ldp x19, x20, [sp]
    ldp x21, x22, [sp, #16]
    ldp x23, x24, [sp, #32]
    ldp x25, x26, [sp, #48]
    ldp x27, x28, [sp, #64]
    ldp x29, x30, [sp, #80]
    ldp d8, d9, [sp, #96]
    ldp d10, d11, [sp, #112]
    ldp d12, d13, [sp, #128]
    ldp d14, d15, [sp, #144]
    .endm

    .globl guest_enter
    .type guest_enter, @function
guest_enter: /* x0 activation, x1 regs, x2 code, x3 context */
    .cfi_startproc
    sub sp, sp, #176
    .cfi_def_cfa_offset 176
    save_registers
    .cfi_offset x19, -176
    .cfi_offset x20, -168
    .cfi_offset x21, -160
    .cfi_offset x22, -152
    .cfi_offset x23, -144
    .cfi_offset x24, -136
    .cfi_offset x25, -128
    .cfi_offset x26, -120
    .cfi_offset x27, -112
    .cfi_offset x28, -104
    .cfi_offset x29, -96
    .cfi_offset x30, -88
    str x1, [sp, #160]
    add x29, sp, #80
    .cfi_def_cfa x29, 96
    mov x9, sp
    str x9, [x0]
    mov x9, x2
    mov x20, x3
    ldp q0, q1, [x1, #48]
    ldp q2, q3, [x1, #80]
    ldp q4, q5, [x1, #112]
    ldp q6, q7, [x1, #144]
    ldp x21, x22, [x1]
    ldp x23, x24, [x1, #16]
    ldp x25, x26, [x1, #32]
    blr x9
    ldr x9, [sp, #160]
    stp x0, x1, [x9, #176]
    stp q0, q1, [x9, #192]
    mov w0, #1
1:  restore_registers
    add sp, sp, #176
    ret
    .cfi_endproc
    .size guest_enter, . - guest_enter

    .globl guest_exit
    .type guest_exit, @function
guest_exit: /* x0 activation */
    ldr x9, [x0]
    mov sp, x9
    mov w0, #0
    b 1b
    .size guest_exit, . - guest_exit

    .globl guest_land
    .type guest_land, @function
guest_land: /* x0 pad, x1 frame pointer, x2 stack pointer, x3 exception */
    mov x29, x1
    mov sp, x2
    mov x9, x0
    mov x0, x3
    br x9
    .size guest_land, . - guest_land

    .globl stack_switch
    .type stack_switch, @function
stack_switch: /* x0 where to save, x1 what to load */
    sub sp, sp, #160
    save_registers
    mov x9, sp
    str x9, [x0]
    mov sp, x1
    restore_registers
    add sp, sp, #160
    ret
    .size stack_switch, . - stack_switch

    .globl stack_begin
    .type stack_begin, @function
stack_begin: /* x19 argument, x20 function, which does not return */
    .cfi_startproc
    .cfi_undefined x30
    mov x29, #0
    mov x0, x19
    blr x20
    udf #0
    .cfi_endproc
    .size stack_begin, . - stack_begin

    .globl guest_preempt
    .type guest_preempt, @function
guest_preempt: /* the interrupted address is on the stack; x16 and x17 are not the guest's */
    sub sp, sp, #768
    stp x0, x1, [sp]
    stp x2, x3, [sp, #16]
    stp x4, x5, [sp, #32]
    stp x6, x7, [sp, #48]
    stp x8, x9, [sp, #64]
    stp x10, x11, [sp, #80]
    stp x12, x13, [sp, #96]
    stp x14, x15, [sp, #112]
    stp x18, x19, [sp, #128]
    stp x20, x21, [sp, #144]
    stp x22, x23, [sp, #160]
    stp x24, x25, [sp, #176]
    stp x26, x27, [sp, #192]
    stp x28, x29, [sp, #208]
    mrs x16, nzcv
    stp x30, x16, [sp, #224]
    mrs x16, fpcr
    mrs x17, fpsr
    stp x16, x17, [sp, #240]
    stp q0, q1, [sp, #256]
    stp q2, q3, [sp, #288]
    stp q4, q5, [sp, #320]
    stp q6, q7, [sp, #352]
    stp q8, q9, [sp, #384]
    stp q10, q11, [sp, #416]
    stp q12, q13, [sp, #448]
    stp q14, q15, [sp, #480]
    stp q16, q17, [sp, #512]
    stp q18, q19, [sp, #544]
    stp q20, q21, [sp, #576]
    stp q22, q23, [sp, #608]
    stp q24, q25, [sp, #640]
    stp q26, q27, [sp, #672]
    stp q28, q29, [sp, #704]
    stp q30, q31, [sp, #736]
    bl task_preempted
    ldp q0, q1, [sp, #256]
    ldp q2, q3, [sp, #288]
    ldp q4, q5, [sp, #320]
    ldp q6, q7, [sp, #352]
    ldp q8, q9, [sp, #384]
    ldp q10, q11, [sp, #416]
    ldp q12, q13, [sp, #448]
    ldp q14, q15, [sp, #480]
    ldp q16, q17, [sp, #512]
    ldp q18, q19, [sp, #544]
    ldp q20, q21, [sp, #576]
    ldp q22, q23, [sp, #608]
    ldp q24, q25, [sp, #640]
    ldp q26, q27, [sp, #672]
    ldp q28, q29, [sp, #704]
    ldp q30, q31, [sp, #736]
    ldp x16, x17, [sp, #240]
    msr fpcr, x16
    msr fpsr, x17
    ldp x30, x16, [sp, #224]
    msr nzcv, x16
    ldp x28, x29, [sp, #208]
    ldp x26, x27, [sp, #192]
    ldp x24, x25, [sp, #176]
    ldp x22, x23, [sp, #160]
    ldp x20, x21, [sp, #144]
    ldp x18, x19, [sp, #128]
    ldp x14, x15, [sp, #112]
    ldp x12, x13, [sp, #96]
    ldp x10, x11, [sp, #80]
    ldp x8, x9, [sp, #64]
    ldp x6, x7, [sp, #48]
    ldp x4, x5, [sp, #32]
    ldp x2, x3, [sp, #16]
    ldp x0, x1, [sp]
    ldr x17, [sp, #768]
    add sp, sp, #784
    br x17
    .size guest_preempt, . - guest_preempt

    .section .note.GNU-stack, "", %progbits
