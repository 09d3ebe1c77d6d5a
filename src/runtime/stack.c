/* See stack.h. */
#include "runtime/stack.h"

#include "base/alloc.h"
#include "image/format.h"

#include <sys/mman.h>

static struct stack *free_stacks;
static uint64_t stack_size = STACK_SIZE;

void stack_set_size(uint64_t size)
{
    stack_size = (size + IMAGE_PAGE - 1) & ~(uint64_t)(IMAGE_PAGE - 1);
}

struct stack *stack_acquire(struct err *err)
{
    struct stack *stack = free_stacks;
    if (stack) {
        free_stacks = stack->next;
        return stack;
    }
    stack = mem_alloc(1, sizeof *stack);
    if (!stack) {
        err_memory(err);
        return NULL;
    }
    uint64_t size = STACK_GUARD + STACK_RESERVE + stack_size;
    void *base = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED || mprotect((char *)base + STACK_GUARD, size - STACK_GUARD, PROT_READ | PROT_WRITE) != 0) {
        err_errno(err, "cannot make a guest stack");
        if (base != MAP_FAILED)
            munmap(base, size);
        mem_free(stack);
        return NULL;
    }
    uint64_t at = (uint64_t)base;
    *stack = (struct stack){at, at + STACK_GUARD, at + STACK_GUARD + STACK_RESERVE, at + size, NULL};
    return stack;
}

void stack_release(struct stack *stack)
{
    stack->next = free_stacks;
    free_stacks = stack;
}

void stack_trim(uint32_t kept)
{
    struct stack **at = &free_stacks;
    for (uint32_t i = 0; *at && i < kept; i++) {
        (void)madvise((void *)(*at)->low, (*at)->high - (*at)->low - STACK_WARM, MADV_DONTNEED); /* or it stays */
        at = &(*at)->next;
    }
    while (*at) {
        struct stack *stack = *at;
        *at = stack->next;
        munmap((void *)stack->base, stack->high - stack->base);
        mem_free(stack);
    }
}

void stack_drain(void)
{
    stack_trim(0);
}
