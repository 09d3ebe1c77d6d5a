/* Reading WIT text in tests. */
#ifndef TESTS_WIT_SUPPORT_H
#define TESTS_WIT_SUPPORT_H

#include "base/alloc.h"
#include "wit/wit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* Read one text as "test.wit"; false with *ret_err set. */
static inline bool wit_read(struct wit *wit, const char *text, struct err *ret_err)
{
    wit_init(wit);
    return wit_add(wit, STR("test.wit"), str_of(text), ret_err) && wit_resolve(wit, ret_err);
}

/* The same, which must succeed. */
static inline void wit_good(struct wit *wit, const char *text)
{
    struct err err = {0};
    if (!wit_read(wit, text, &err))
        fail_msg("%s\n%s", err.message, text);
}

/* The type named `name` of interface "a:b/i". */
static inline const struct type *wit_type(const struct wit *wit, const char *name)
{
    const struct wit_interface *interface = wit_find(wit, STR("a:b/i"));
    assert_non_null(interface);
    for (uint32_t i = 0; i < interface->def_count; i++)
        if (str_eq(interface->defs[i].name, str_of(name)))
            return interface->defs[i].type;
    fail_msg("no type %s", name);
    return NULL;
}

static inline const struct wit_func *wit_func(const struct wit *wit, const char *name)
{
    const struct wit_interface *interface = wit_find(wit, STR("a:b/i"));
    assert_non_null(interface);
    for (uint32_t i = 0; i < interface->func_count; i++)
        if (str_eq(interface->funcs[i].name, str_of(name)))
            return &interface->funcs[i];
    fail_msg("no function %s", name);
    return NULL;
}

#endif
