/* The border between C and guest code on x86-64: see guest.h for what each entry promises, and the calling
 * convention in docs/architecture.md for the registers. */

    .text

    .globl guest_enter
    .type guest_enter, @function
guest_enter: /* rdi activation, rsi regs, rdx code, rcx context */
    .cfi_startproc
    push %rbp
    .cfi_def_cfa_offset 16
    .cfi_offset rbp, -16
    mov %rsp, %rbp
    .cfi_def_cfa_register rbp
    .cfi_offset rbx, -24
    .cfi_offset r12, -32
    .cfi_offset r13, -40
    .cfi_offset r14, -48
    .cfi_offset r15, -56
    push %rbx
    push %r12
    push %r13
    push %r14
    push %r15
    push %rsi
    mov %rsp, (%rdi)
    mov %rdx, %rax
    mov %rcx, %r12
    movups 48(%rsi), %xmm0
    movups 64(%rsi), %xmm1
    movups 80(%rsi), %xmm2
    movups 96(%rsi), %xmm3
    movups 112(%rsi), %xmm4
    movups 128(%rsi), %xmm5
    movups 144(%rsi), %xmm6
    movups 160(%rsi), %xmm7
    mov (%rsi), %r13
    mov 8(%rsi), %r14
    mov 16(%rsi), %r15
    mov 24(%rsi), %rdi
    mov 40(%rsi), %rdx
    mov 32(%rsi), %rsi
    call *%rax
    pop %rsi
    mov %rax, 176(%rsi)
    mov %rdx, 184(%rsi)
    movups %xmm0, 192(%rsi)
    movups %xmm1, 208(%rsi)
    mov $1, %eax
1:  pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbx
    pop %rbp
    ret
    .cfi_endproc
    .size guest_enter, . - guest_enter

    .globl guest_exit
    .type guest_exit, @function
guest_exit: /* rdi activation */
    mov (%rdi), %rsp
    pop %rsi
    xor %eax, %eax
    jmp 1b
    .size guest_exit, . - guest_exit

    .globl guest_land
    .type guest_land, @function
guest_land: /* rdi pad, rsi frame pointer, rdx stack pointer, rcx exception */
    mov %rsi, %rbp
    mov %rdx, %rsp
    mov %rcx, %rax
    xor %edx, %edx
    jmp *%rdi
    .size guest_land, . - guest_land

    .globl stack_switch
    .type stack_switch, @function
stack_switch: /* rdi where to save, rsi what to load */
    push %rbp
    push %rbx
    push %r12
    push %r13
    push %r14
    push %r15
    mov %rsp, (%rdi)
    mov %rsi, %rsp
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbx
    pop %rbp
    ret
    .size stack_switch, . - stack_switch

    .globl stack_begin
    .type stack_begin, @function
stack_begin: /* r12 argument, r13 function, which does not return */
    .cfi_startproc
    .cfi_undefined rip
    xor %ebp, %ebp
    mov %r12, %rdi
    call *%r13
    ud2
    .cfi_endproc
    .size stack_begin, . - stack_begin

    .globl guest_preempt
    .type guest_preempt, @function
guest_preempt: /* the interrupted address is on the stack */
    pushfq
    push %rax
    push %rcx
    push %rdx
    push %rbx
    push %rbp
    push %rsi
    push %rdi
    push %r8
    push %r9
    push %r10
    push %r11
    push %r12
    push %r13
    push %r14
    push %r15
    mov %rsp, %rbp
    cld
    sub guest_xsave_size(%rip), %rsp
    and $-64, %rsp
    xor %eax, %eax
    mov %rax, 512(%rsp)
    mov %rax, 520(%rsp)
    mov %rax, 528(%rsp)
    mov %rax, 536(%rsp)
    mov %rax, 544(%rsp)
    mov %rax, 552(%rsp)
    mov %rax, 560(%rsp)
    mov %rax, 568(%rsp)
    mov guest_xsave_mask(%rip), %eax
    mov guest_xsave_mask+4(%rip), %edx
    xsave64 (%rsp)
    call task_preempted
    mov guest_xsave_mask(%rip), %eax
    mov guest_xsave_mask+4(%rip), %edx
    xrstor64 (%rsp)
    mov %rbp, %rsp
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %r11
    pop %r10
    pop %r9
    pop %r8
    pop %rdi
    pop %rsi
    pop %rbp
    pop %rbx
    pop %rdx
    pop %rcx
    pop %rax
    popfq
    ret
    .size guest_preempt, . - guest_preempt

    .section .note.GNU-stack, "", @progbits
