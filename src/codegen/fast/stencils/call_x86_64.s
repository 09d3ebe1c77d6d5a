# Entering, leaving and calling: what C has no words for. Numbers of registers and offsets are those of
# docs/architecture.md ("Calling convention") and image/context.h; fast/arch_x86_64.h and fast/call.c assert them.
#
# A call leaves nothing in registers, so that all but the arguments are free here. The reference of an indirect call is
# in r11.

# The frame's size is IMM; the context goes to its cell.
s_enter:
    pushq %rbp
    movq %rsp, %rbp
    subq $IMM, %rsp
    movq %r12, -8(%rbp)
    jmp CONT

# The same where it may be larger than a page: each is touched, so that none jumps over the guard region. IMM is the size
# negated.
s_enter_large:
    pushq %rbp
    movq %rsp, %rbp
    leaq IMM(%rsp), %rax
.Lprobe:
    subq $4096, %rsp
    movq $0, (%rsp)
    cmpq %rax, %rsp
    ja .Lprobe
    movq %rax, %rsp
    movq %r12, -8(%rbp)
    jmp CONT

s_leave:
    leave
    ret

s_unframe:
    leave
    jmp CONT

s_trap:
    ud1l IMM(%eax), %eax

s_call:
    call CALLEE
    jmp CONT

s_jump_to:
    jmp CALLEE

# Through import words at CONTEXT + IMM: code, context.
s_call_words:
    leaq IMM(%r12), %rax
    movq 8(%rax), %r12
    call *(%rax)
    jmp CONT

s_jump_words:
    leaq IMM(%r12), %rax
    movq 8(%rax), %r12
    jmpq *(%rax)

# r11: offset of the code in the low half, of the context from the store in units of 1024 in the high half.
s_call_reference:
    movq %r11, %rcx
    movl %r11d, %eax
    shrq $32, %rcx
    shlq $10, %rcx
    addq 8(%r12), %rcx
    movq %rcx, %r12
    addq (%r12), %rax
    call *%rax
    jmp CONT

s_jump_reference:
    movq %r11, %rcx
    movl %r11d, %eax
    shrq $32, %rcx
    shlq $10, %rcx
    addq 8(%r12), %rcx
    movq %rcx, %r12
    addq (%r12), %rax
    jmpq *%rax

# A = the type hash of the function that reference B names: eight bytes before its code.
s_reference_hash:
    movq %r15, %rcx
    movl %r15d, %eax
    shrq $32, %rcx
    shlq $10, %rcx
    addq 8(%r12), %rcx
    addq (%rcx), %rax
    movq -8(%rax), %r14
    jmp CONT

# A = the reference of a function of this image, whose context is this one + IMM.
s_reference_here:
    leaq IMM(%r12), %rax
    leaq CALLEE(%rip), %r14
    subq (%rax), %r14
    subq 8(%rax), %rax
    shlq $22, %rax
    orq %rax, %r14
    jmp CONT

# A = the reference of the function in the import words at B.
s_reference_words:
    movq 8(%r15), %rax
    movq (%r15), %r14
    subq (%rax), %r14
    subq 8(%rax), %rax
    shlq $22, %rax
    orq %rax, %r14
    jmp CONT

# Go to row A of the table that follows, or to row IMM where A is not below it: each row counts from its end.
s_table_jump:
    movl $IMM, %eax
    cmpl %eax, %r14d
    cmovbl %r14d, %eax
    leaq CONT(%rip), %rcx
    leaq (%rcx,%rax,4), %rcx
    movslq (%rcx), %rax
    leaq 4(%rcx,%rax), %rax
    jmpq *%rax

# Leave the guest: the stack must have its reserve, and backtraces begin here.
s_host_enter:
    movq 8(%r12), %rax
    cmpq (%rax), %rsp
    jb TRAP_STACK_OVERFLOW
    movq %rbp, 24(%rax)
    jmp CONT

# The host function of the import words at CONTEXT + IMM, with the cells at FRAME + IMM2.
s_host_call:
    movq 8(%r12), %rdi
    leaq IMM(%r12), %rax
    movq 8(%rax), %rsi
    leaq IMM2(%rbp), %rdx
    call *(%rax)
    testb %al, %al
    je TRAP_PENDING
    jmp CONT

# The helper at IMM in the table, its arguments in place.
s_helper_call:
    movq %r12, %rdi
    movq 16(%r12), %rax
    call *IMM(%rax)
    jmp CONT

s_helper_check:
    testl %eax, %eax
    je TRAP_PENDING
    jmp CONT

s_helper_check_reference:
    testq %rax, %rax
    je TRAP_PENDING
    jmp CONT

# X = the constant at CALLEE.
s_constant_v:
    movups CALLEE(%rip), %xmm1
    jmp CONT

s_constant_f64:
    movsd CALLEE(%rip), %xmm1
    jmp CONT

# IMM2 cells of eight bytes from FRAME + IMM on become zero.
s_clear_frame:
    leaq IMM(%rbp), %rax
    movl $IMM2, %ecx
    pxor %xmm0, %xmm0
.Lclear:
    movq %xmm0, -8(%rax,%rcx,8)
    subl $1, %ecx
    jne .Lclear
    jmp CONT
