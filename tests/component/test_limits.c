/* Each cap of limits.h at its value and one above it, where an input of that size is quick to make. The
 * others are listed with what keeps them from being tried here. */
#include "component/load.h"

#include "base/buf.h"

static void put(struct buf *to, const void *bytes, size_t size)
{
    assert_true(buf_append(to, bytes, size));
}

static void byte(struct buf *to, unsigned value)
{
    uint8_t small = (uint8_t)value;
    put(to, &small, 1);
}

static void number(struct buf *to, uint32_t value)
{
    for (; value >= 0x80; value >>= 7)
        byte(to, 0x80 | (value & 0x7f));
    byte(to, value);
}

/* A type index where a value type stands: a signed number. */
static void type_index(struct buf *to, uint32_t value)
{
    for (; value >= 0x40; value >>= 7)
        byte(to, 0x80 | (value & 0x7f));
    byte(to, value);
}

static struct buf new_buf(void)
{
    struct buf buf;
    buf_init(&buf, (size_t)64 << 20);
    return buf;
}

static struct buf new_component(void)
{
    static const uint8_t preamble[] = {0x00, 'a', 's', 'm', 0x0d, 0x00, 0x01, 0x00};
    struct buf buf = new_buf();
    put(&buf, preamble, sizeof preamble);
    return buf;
}

/* Takes `body` over. */
static void section(struct buf *to, unsigned id, struct buf body)
{
    byte(to, id);
    number(to, (uint32_t)body.size);
    if (body.size)
        put(to, body.data, body.size);
    buf_free(&body);
}

/* A name that no other index gives. */
static void label(struct buf *to, uint32_t index)
{
    char text[16];
    int size = snprintf(text, sizeof text, "n%u", index);
    number(to, (uint32_t)size);
    put(to, text, (size_t)size);
}

static enum err_kind outcome(struct buf component, char *ret_message)
{
    struct arena arena;
    struct plan *plan;
    struct err err = {0};
    arena_init(&arena, (size_t)1 << 30);
    bool done = component_plan(component.data, component.size, &arena, &plan, &err);
    memcpy(ret_message, err.message, sizeof err.message);
    arena_free(&arena);
    buf_free(&component);
    return done ? ERR_NONE : err.kind;
}

static void at_the_cap(enum component_limit limit, struct buf (*make)(uint32_t count))
{
    char message[sizeof((struct err *)0)->message], words[128];
    const struct component_limit_info *info = &component_limit_infos[limit];
    enum err_kind kind = outcome(make(info->value), message);
    if (kind != ERR_NONE)
        fail_msg("%u %s: %s", info->value, info->words, message);
    kind = outcome(make(info->value + 1), message);
    snprintf(words, sizeof words, "more than %u %s", info->value, info->words);
    if (kind != ERR_LIMIT || strcmp(message, words) != 0)
        fail_msg("one more than %u %s: kind %d: %s", info->value, info->words, kind, message);
}

/* A core module that exports its one function under so many names, and one that imports all of them. */
static void importing_modules(struct buf *to, uint32_t count)
{
    static const uint8_t begin[] = {0, 'a', 's', 'm', 0x01, 0, 0, 0, 0x01, 0x04, 0x01, 0x60, 0, 0};
    static const uint8_t func[] = {0x03, 0x02, 0x01, 0x00}, code[] = {0x0a, 0x04, 0x01, 0x02, 0x00, 0x0b};
    struct buf first = new_buf(), second = new_buf(), exports = new_buf(), imports = new_buf();
    number(&exports, count);
    number(&imports, count);
    for (uint32_t i = 0; i < count; i++) {
        label(&exports, i);
        put(&exports, (uint8_t[]){0x00, 0x00}, 2);
        byte(&imports, 0);
        label(&imports, i);
        put(&imports, (uint8_t[]){0x00, 0x00}, 2);
    }
    put(&first, begin, sizeof begin);
    put(&first, func, sizeof func);
    section(&first, 7, exports);
    put(&first, code, sizeof code);
    section(to, 1, first);
    put(&second, begin, sizeof begin);
    section(&second, 2, imports);
    section(to, 1, second);
}

/* A short file in which many instances of a module have many imports each. */
static struct buf importing(uint32_t instances, uint32_t imports)
{
    struct buf all = new_component(), list = new_buf();
    importing_modules(&all, imports);
    number(&list, instances + 1);
    put(&list, (uint8_t[]){0x00, 0x00, 0x00}, 3);
    for (uint32_t i = 0; i < instances; i++)
        put(&list, (uint8_t[]){0x00, 0x01, 0x01, 0x00, 0x12, 0x00}, 6);
    section(&all, 2, list);
    return all;
}

static void imports_are_work(void **state)
{
    char message[sizeof((struct err *)0)->message];
    (void)state;
    if (outcome(importing(100, 2000), message) != ERR_NONE)
        fail_msg("%s", message);
    assert_int_equal(outcome(importing(6000, 2000), message), ERR_LIMIT);
    assert_non_null(strstr(message, "imports that instantiation evaluates"));
}

/* Components inside each other; the outermost counts. */
static struct buf nested(uint32_t count)
{
    struct buf inner = new_component();
    for (uint32_t i = 1; i < count; i++) {
        struct buf outer = new_component();
        section(&outer, 4, inner);
        inner = outer;
    }
    return inner;
}

/* Instance types inside each other, in a component. */
static struct buf nested_types(uint32_t count)
{
    struct buf all = new_component(), types = new_buf();
    byte(&types, 1);
    for (uint32_t i = 1; i < count; i++) {
        byte(&types, 0x42);
        number(&types, i + 1 < count);
        if (i + 1 < count)
            byte(&types, 0x01);
    }
    section(&all, 7, types);
    return all;
}

static struct buf many_components(uint32_t count)
{
    struct buf all = new_component();
    for (uint32_t i = 1; i < count; i++)
        section(&all, 4, new_component());
    return all;
}

static struct buf many_modules(uint32_t count)
{
    static const uint8_t module[] = {0x00, 'a', 's', 'm', 0x01, 0x00, 0x00, 0x00};
    struct buf all = new_component();
    for (uint32_t i = 0; i < count; i++) {
        struct buf body = new_buf();
        put(&body, module, sizeof module);
        section(&all, 1, body);
    }
    return all;
}

static struct buf one_type(struct buf definition)
{
    struct buf all = new_component(), types = new_buf();
    byte(&types, 1);
    put(&types, definition.data, definition.size);
    buf_free(&definition);
    section(&all, 7, types);
    return all;
}

static struct buf record(uint32_t count)
{
    struct buf type = new_buf();
    byte(&type, 0x72);
    number(&type, count);
    for (uint32_t i = 0; i < count; i++) {
        label(&type, i);
        byte(&type, 0x7d);
    }
    return one_type(type);
}

static struct buf cases(uint32_t count)
{
    struct buf type = new_buf();
    byte(&type, 0x6d);
    number(&type, count);
    for (uint32_t i = 0; i < count; i++)
        label(&type, i);
    return one_type(type);
}

static struct buf params(uint32_t count)
{
    struct buf type = new_buf();
    byte(&type, 0x40);
    number(&type, count);
    for (uint32_t i = 0; i < count; i++) {
        label(&type, i);
        byte(&type, 0x7d);
    }
    byte(&type, 0x01);
    byte(&type, 0x00);
    return one_type(type);
}

/* list<list<...>>: a type without parts is one deep, and the function that takes it one more. */
static struct buf deep(uint32_t count)
{
    struct buf all = new_component(), types = new_buf();
    number(&types, count - 1);
    for (uint32_t i = 1; i < count; i++) {
        byte(&types, 0x70);
        if (i == 1)
            byte(&types, 0x7d);
        else
            type_index(&types, i - 2);
    }
    section(&all, 7, types);
    return all;
}

/* Tuples of the one before, so that the weight grows by what each has more; the last one makes it exact. */
static struct buf heavy(uint32_t count)
{
    struct buf all = new_component(), types = new_buf();
    uint32_t weight = 1000, copies = (count - 1) / weight, rest = (count - 1) % weight;
    number(&types, 2);
    byte(&types, 0x6f);
    number(&types, weight - 1);
    for (uint32_t i = 1; i < weight; i++)
        byte(&types, 0x7d);
    byte(&types, 0x6f);
    number(&types, copies + rest);
    for (uint32_t i = 0; i < copies; i++)
        byte(&types, 0x00);
    for (uint32_t i = 0; i < rest; i++)
        byte(&types, 0x7d);
    section(&all, 7, types);
    return all;
}

/* An empty component instantiated often; the outermost is an instance too. */
static struct buf instances(uint32_t count)
{
    struct buf all = new_component(), list = new_buf();
    section(&all, 4, new_component());
    number(&list, count - 1);
    for (uint32_t i = 1; i < count; i++) {
        byte(&list, 0x00);
        byte(&list, 0x00);
        byte(&list, 0x00);
    }
    section(&all, 5, list);
    return all;
}

/* Each component instantiates the one before it. */
static struct buf chained(uint32_t count)
{
    struct buf all = new_component();
    for (uint32_t i = 0; i + 1 < count; i++) {
        struct buf one = new_component();
        if (i > 0) {
            struct buf alias = new_buf(), list = new_buf();
            put(&alias, (uint8_t[]){0x01, 0x04, 0x02, 0x01}, 4);
            number(&alias, i - 1);
            section(&one, 6, alias);
            put(&list, (uint8_t[]){0x01, 0x00, 0x00, 0x00}, 4);
            section(&one, 5, list);
        }
        section(&all, 4, one);
    }
    struct buf list = new_buf();
    put(&list, (uint8_t[]){0x01, 0x00}, 2);
    number(&list, count - 2);
    byte(&list, 0x00);
    section(&all, 5, list);
    return all;
}

static void caps(void **state)
{
    (void)state;
    at_the_cap(COMPONENT_LIMIT_NESTING, nested);
    at_the_cap(COMPONENT_LIMIT_COMPONENTS, many_components);
    at_the_cap(COMPONENT_LIMIT_MODULES, many_modules);
    at_the_cap(COMPONENT_LIMIT_FIELDS, record);
    at_the_cap(COMPONENT_LIMIT_CASES, cases);
    at_the_cap(COMPONENT_LIMIT_PARAMS, params);
    at_the_cap(COMPONENT_LIMIT_TYPE_DEPTH, deep);
    at_the_cap(COMPONENT_LIMIT_TYPE_WEIGHT, heavy);
    at_the_cap(COMPONENT_LIMIT_INSTANCES, instances);
}

/* Instance types count with the component they are in. */
static void nested_instance_types(void **state)
{
    (void)state;
    at_the_cap(COMPONENT_LIMIT_NESTING, nested_types);
}

/* As many components as may be, each in the one after it: the depth of instantiation stays in bounds. */
static void deep_instantiation(void **state)
{
    char message[sizeof((struct err *)0)->message];
    (void)state;
    assert_int_equal(outcome(chained(COMPONENT_MAX_COMPONENTS), message), ERR_NONE);
}

/* A type that would take ages to compare part by part. */
static void sharing_is_not_expanded(void **state)
{
    char message[sizeof((struct err *)0)->message];
    struct buf all = new_component(), types = new_buf();
    (void)state;
    number(&types, 64);
    for (uint32_t i = 0; i < 64; i++) {
        put(&types, (uint8_t[]){0x6f, 0x02}, 2);
        for (int part = 0; part < 2; part++)
            number(&types, i ? i - 1 : 0x7d);
    }
    section(&all, 7, types);
    assert_int_equal(outcome(all, message), ERR_LIMIT);
    assert_non_null(strstr(message, "parts of a type"));
}

/* A small file whose types are large (fixtures/adapters.py), and functions that are options of each other (chain.py).
 */
static void adapters(void **state)
{
    static const struct {
        const char *fixture;
        const char *words; /* NULL: it is planned */
    } cases[] = {
        {"adapter-large.wasm", NULL},
        {"adapter-over.wasm", "bytes of code between two component instances for one function"},
        {"adapters-over.wasm", "bytes of code between component instances"},
        {"chain-long.wasm", NULL},
        {"chain-over.wasm", "canonical functions that are options or callees of each other"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct input input = input_fixture(cases[i].fixture);
        struct arena arena;
        struct plan *plan;
        struct err err = {0};
        arena_init(&arena, (size_t)1 << 30);
        bool planned = component_plan(input.bytes, input.size, &arena, &plan, &err);
        assert_int_equal(planned, !cases[i].words);
        assert_int_equal(err.kind, planned ? ERR_NONE : ERR_LIMIT);
        assert_true(planned || strstr(err.message, cases[i].words));
        arena_free(&arena);
        input_free(&input);
    }
}

int main(void)
{
    print_message("not tried here: SIZE, SPACE, IMPORTS, EXPORTS, ARGUMENTS, DECLARATORS (megabytes of input), WORK, "
                  "PLAN_WORK, SIGNATURE (minutes), INSTANCE_DEPTH (COMPONENTS is reached first); OPTIONS, ATTRIBUTES "
                  "(repeats are refused first); VALUE_SIZE is in the official suite; ADAPTER_LOCALS (ADAPTER is "
                  "reached first)\n");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(caps),
        cmocka_unit_test(nested_instance_types),
        cmocka_unit_test(deep_instantiation),
        cmocka_unit_test(imports_are_work),
        cmocka_unit_test(sharing_is_not_expanded),
        cmocka_unit_test(adapters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
