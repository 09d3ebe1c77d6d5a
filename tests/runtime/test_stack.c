/* Guest stacks: which of them stay once nobody uses them, and how much of each. */
#include "runtime/stack.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#define PAGE 4096u
#define COUNT 4u
#define KEPT 3u
#define PAGES ((STACK_RESERVE + STACK_SIZE) / PAGE)

static size_t resident(const struct stack *stack)
{
    unsigned char rows[PAGES];
    size_t count = 0;
    assert_int_equal(mincore((void *)stack->low, stack->high - stack->low, rows), 0);
    for (size_t i = 0; i < PAGES; i++)
        count += rows[i] & 1;
    return count;
}

static void used_stacks(struct stack *stacks[COUNT])
{
    for (uint32_t i = 0; i < COUNT; i++) {
        stacks[i] = stack_acquire(NULL);
        assert_non_null(stacks[i]);
        memset((void *)stacks[i]->low, 1, stacks[i]->high - stacks[i]->low);
        assert_int_equal(resident(stacks[i]), PAGES);
    }
    for (uint32_t i = COUNT; i-- > 0;) /* the first one last, which comes first */
        stack_release(stacks[i]);
}

static void kept_stacks_give_back_what_deep_calls_took(void **state)
{
    (void)state;
    struct stack *stacks[COUNT];
    unsigned char row;
    used_stacks(stacks);
    void *last = (void *)stacks[KEPT]->low;
    stack_trim(KEPT);
    assert_int_equal(mincore(last, PAGE, &row), -1);
    assert_int_equal(errno, ENOMEM);
    for (uint32_t i = 0; i < KEPT; i++) {
        assert_int_equal(resident(stacks[i]), STACK_WARM / PAGE);
        assert_int_equal(*(uint8_t *)(stacks[i]->high - STACK_WARM), 1);
        assert_int_equal(*(uint8_t *)stacks[i]->low, 0);
        assert_ptr_equal(stack_acquire(NULL), stacks[i]);
    }
    for (uint32_t i = 0; i < KEPT; i++)
        stack_release(stacks[i]);
    stack_drain();
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(kept_stacks_give_back_what_deep_calls_took)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
