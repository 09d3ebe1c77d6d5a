/* Functions kept from one compile to the next: what did not change is not made again, and the image is byte for byte
 * the one that a compile without a pack makes, whatever changed. MUTATE_SEED repeats a run. */
#include "image/format.h" /* first: its macros have the names of others */

#include "wasm/build.h"

#include "codegen/pack.h"
#include "compile/build.h"
#include "support/differ.h"
#include "support/generate.h"
#include "support/mutate.h"

#define IMAGE_MAX ((size_t)1 << 30)
#define FUNCS 6
#define ENTRY_MAX 2048

/* A module of FUNCS functions: number i adds `constants[i]` to its parameter and calls number i + 1, or, the last one,
 * an entry of the table. */
struct recipe {
    uint32_t constants[FUNCS];
    bool front_func; /* one more function before them */
    bool front_type; /* one more type before theirs */
    uint8_t pages, table, global_mutable;
    uint32_t additions; /* more of them in function 2, one after the other */
    uint32_t targets;   /* of a br_table in it */
};

static const struct recipe usual = {.constants = {1, 2, 3, 4, 5, 6}, .pages = 1, .table = 2, .global_mutable = 1};

static struct buf body_of(const struct recipe *recipe, uint32_t i)
{
    struct buf b = build_new();
    uint8_t type = recipe->front_type, next = (uint8_t)(recipe->front_func + i + 1);
    BYTES(&b, 0, 0x20, 0, 0x41, (uint8_t)recipe->constants[i], 0x6a); /* local.get 0, i32.const, i32.add */
    if (i == 1)
        BYTES(&b, 0x23, 0, 0x6a); /* global.get 0, i32.add */
    if (i == 2)
        BYTES(&b, 0x28, 2, 0); /* i32.load */
    for (uint32_t k = 0; i == 2 && k < recipe->additions; k++)
        BYTES(&b, 0x20, 0, 0x6a); /* local.get 0, i32.add */
    if (i == 2 && recipe->targets) {
        BYTES(&b, 0x02, 0x40, 0x20, 0, 0x0e); /* block, local.get 0, br_table */
        build_u32(&b, recipe->targets);
        for (uint32_t k = 0; k <= recipe->targets; k++)
            BYTES(&b, 0);
        BYTES(&b, 0x0b);
    }
    if (i + 1 < FUNCS)
        BYTES(&b, 0x10, next); /* call */
    else
        BYTES(&b, 0x41, 0, 0x11, type, 0); /* i32.const 0, call_indirect */
    BYTES(&b, 0x0b);
    return b;
}

static void add_body(struct buf *section, struct buf body)
{
    build_u32(section, (uint32_t)body.size);
    buf_append(section, body.data, body.size);
    buf_free(&body);
}

static struct buf cook(const struct recipe *recipe)
{
    struct buf b = build_module(), types = build_new(), funcs = build_new(), code = build_new();
    uint8_t type = recipe->front_type, count = (uint8_t)(FUNCS + recipe->front_func);
    BYTES(&types, (uint8_t)(1 + recipe->front_type));
    if (recipe->front_type)
        BYTES(&types, 0x60, 2, 0x7e, 0x7e, 0);
    BYTES(&types, 0x60, 1, 0x7f, 1, 0x7f);
    build_section(&b, 1, types);
    BYTES(&funcs, count);
    for (uint8_t i = 0; i < count; i++)
        BYTES(&funcs, type);
    build_section(&b, 3, funcs);
    SECTION(&b, 4, 1, 0x70, 1, recipe->table, recipe->table);
    SECTION(&b, 5, 1, 0, recipe->pages);
    SECTION(&b, 6, 1, 0x7f, recipe->global_mutable, 0x41, 7, 0x0b);
    BYTES(&code, count);
    if (recipe->front_func) {
        struct buf front = build_new();
        BYTES(&front, 0, 0x20, 0, 0x0b);
        add_body(&code, front);
    }
    for (uint32_t i = 0; i < FUNCS; i++)
        add_body(&code, body_of(recipe, i));
    build_section(&b, 10, code);
    return b;
}

/* An image and the pack that came with it. */
struct made {
    struct buf image, pack;
    struct codegen_counts counts;
    bool done;
};

static struct made make_chosen(const uint8_t *source, size_t size, const struct buf *old_pack,
                               const struct codegen_name *chosen, uint32_t chosen_count)
{
    struct made made;
    struct err err = {0};
    buf_init(&made.image, IMAGE_MAX);
    buf_init(&made.pack, IMAGE_MAX);
    struct compile_options options = {.opt_level = 1, .ret_pack = &made.pack, .ret_counts = &made.counts};
    options.chosen = chosen;
    options.chosen_count = chosen_count;
    options.tier = chosen ? TIER_MIXED : TIER_BEST;
    if (old_pack)
        options.old_pack = (struct str){(const char *)old_pack->data, old_pack->size};
    made.done = compile_build(source, size, &options, codegen_llvm, &made.image, &err);
    if (!made.done)
        assert_int_not_equal(err.kind, ERR_NONE);
    return made;
}

static struct made make(const uint8_t *source, size_t size, const struct buf *old_pack)
{
    return make_chosen(source, size, old_pack, NULL, 0);
}

static void throw_away(struct made *made)
{
    buf_free(&made->image);
    buf_free(&made->pack);
}

static void same_images(const struct made *a, const struct made *b)
{
    assert_int_equal(a->done, b->done);
    assert_int_equal(a->image.size, b->image.size);
    if (a->image.size)
        assert_memory_equal(a->image.data, b->image.data, a->image.size);
}

/* Compile with the pack of `before`; the image must be as without it. The number of functions that were made. */
static uint32_t make_after(const struct recipe *before, const struct recipe *after)
{
    struct buf first = cook(before), second = cook(after);
    struct made old = make(first.data, first.size, NULL);
    struct made with = make(second.data, second.size, &old.pack), without = make(second.data, second.size, NULL);
    assert_true(old.done && with.done);
    same_images(&with, &without);
    uint32_t count = with.counts.made;
    assert_int_equal(without.counts.kept, 0);
    assert_int_equal(with.counts.kept + count, without.counts.made);
    throw_away(&old);
    throw_away(&with);
    throw_away(&without);
    buf_free(&first);
    buf_free(&second);
    return count;
}

static const struct image_func *find_func(const struct made *made, uint32_t func)
{
    const struct image image = {made->image.data, (const struct image_header *)made->image.data};
    for (uint64_t i = 0; i < image_funcs_count(&image); i++)
        if (image_funcs(&image)[i].kind == IMAGE_FUNC && image_funcs(&image)[i].func == func)
            return &image_funcs(&image)[i];
    fail();
    return NULL;
}

/* Is its code the same in both, by all that is seen? */
static bool has(const struct made *made, const struct made *piece_of, uint32_t func)
{
    const struct image_func *a = find_func(made, func), *b = find_func(piece_of, func);
    return a->code_size == b->code_size && a->frame_size == b->frame_size;
}

/* What is chosen is LLVM's, the rest is not, and only the former is kept; each round adds to what there was. */
static void chosen_functions(void **state)
{
    static const struct codegen_name first[] = {{0, 3}, {0, 1}, {7, 0}, {0, 99}}, second = {0, 4};
    struct buf source = cook(&usual);
    struct made all = make(source.data, source.size, NULL),
                none = make_chosen(source.data, source.size, NULL, first, 0);
    struct made some = make_chosen(source.data, source.size, NULL, first, 4);
    struct made more = make_chosen(source.data, source.size, &some.pack, &second, 1);
    struct made rest = make(source.data, source.size, &more.pack);
    assert_true(all.done && none.done && some.done && more.done && rest.done);
    for (uint32_t i = 0; i < FUNCS; i++) {
        assert_false(has(&none, &all, i));
        assert_int_equal(has(&some, &all, i), i == 1 || i == 3);
        assert_int_equal(has(&more, &all, i), i == 1 || i == 3 || i == 4);
    }
    assert_int_equal(none.counts.kept + some.counts.kept, 0);
    assert_int_equal(more.counts.kept, 2);
    assert_int_equal(rest.counts.kept, 3);
    same_images(&rest, &all);
    struct made *every[] = {&all, &none, &some, &more, &rest};
    for (size_t i = 0; i < sizeof every / sizeof *every; i++)
        throw_away(every[i]);
    buf_free(&source);
}

/* What LLVM takes too long for is the fast generator's in every image, and never kept; the rest is as it was. */
static void is_left(const struct recipe *recipe)
{
    struct buf short_source = cook(&usual), source = cook(recipe);
    struct made shorter = make(short_source.data, short_source.size, NULL);
    struct made all = make(source.data, source.size, NULL), again = make(source.data, source.size, &all.pack);
    struct made none = make_chosen(source.data, source.size, NULL, (struct codegen_name[]){{0, 2}}, 0);
    struct made chosen = make_chosen(source.data, source.size, NULL, (struct codegen_name[]){{0, 2}}, 1);
    assert_true(shorter.done && all.done && again.done && none.done && chosen.done);
    for (uint32_t i = 0; i < FUNCS; i++) {
        assert_int_equal(has(&all, &none, i), i == 2);
        assert_int_equal(has(&all, &shorter, i), i != 2);
    }
    assert_int_equal(all.counts.made, FUNCS);
    assert_int_equal(again.counts.kept, FUNCS - 1);
    same_images(&all, &again);
    same_images(&none, &chosen);
    struct made *every[] = {&shorter, &all, &again, &none, &chosen};
    for (size_t i = 0; i < sizeof every / sizeof *every; i++)
        throw_away(every[i]);
    buf_free(&short_source);
    buf_free(&source);
}

static void long_runs_and_tables_are_left(void **state)
{
    struct recipe longer = usual, wider = usual;
    longer.additions = 16384;
    wider.targets = 2049;
    is_left(&longer);
    is_left(&wider);
}

static void only_what_changed_is_made(void **state)
{
    (void)state;
    struct recipe after = usual;
    assert_int_equal(make_after(&usual, &after), 0);
    after.constants[3] = 9;
    assert_int_equal(make_after(&usual, &after), 1);
    after = usual;
    after.front_func = true; /* every function has another number */
    assert_int_equal(make_after(&usual, &after), 1);
    after = usual;
    after.front_type = true;
    assert_int_equal(make_after(&usual, &after), 0);
    after = usual;
    after.pages = 9;
    assert_int_equal(make_after(&usual, &after), 0);
}

static void what_depends_on_it_is_made_again(void **state)
{
    (void)state;
    struct recipe after = usual;
    after.global_mutable = 0; /* its value becomes a constant, and its table closed or not has no say in it */
    assert_int_equal(make_after(&usual, &after), 1);
    after = usual;
    after.table = 3; /* of constant length */
    assert_int_equal(make_after(&usual, &after), 1);
}

static void a_pack_of_another_level_is_of_no_use(void **state)
{
    (void)state;
    struct buf source = cook(&usual), image;
    struct made made = make(source.data, source.size, NULL);
    struct codegen_counts counts;
    struct err err;
    buf_init(&image, IMAGE_MAX);
    const struct compile_options options = {
        .opt_level = 2, .old_pack = {(const char *)made.pack.data, made.pack.size}, .ret_counts = &counts};
    assert_true(compile_build(source.data, source.size, &options, codegen_llvm, &image, &err));
    assert_int_equal(counts.kept, 0);
    buf_free(&image);
    throw_away(&made);
    buf_free(&source);
}

/* Whatever the pack's bytes are, there is an answer; keys that fit are believed. */
static void damaged_packs(void **state)
{
    (void)state;
    struct buf source = cook(&usual);
    struct made made = make(source.data, source.size, NULL);
    size_t step = made.pack.size / 150 + 1;
    for (size_t at = 0; at < made.pack.size; at += step) {
        made.pack.data[at] ^= 0x41;
        struct made again = make(source.data, source.size, &made.pack);
        throw_away(&again);
        made.pack.data[at] ^= 0x41;
    }
    struct buf cut = made.pack;
    for (cut.size = 0; cut.size < made.pack.size; cut.size += step) {
        struct made again = make(source.data, source.size, &cut);
        assert_int_equal(again.counts.kept, 0);
        throw_away(&again);
    }
    throw_away(&made);
    buf_free(&source);
}

static uint32_t kept_in_all, compared;

static void compare(const uint8_t *first, size_t first_size, const uint8_t *second, size_t second_size)
{
    struct made old = make(first, first_size, NULL);
    struct made with = make(second, second_size, &old.pack), without = make(second, second_size, NULL);
    same_images(&with, &without);
    if (with.done) {
        kept_in_all += with.counts.kept;
        compared++;
    }
    throw_away(&old);
    throw_away(&with);
    throw_away(&without);
}

static void mutated_modules(void **state)
{
    (void)state;
    struct corpus corpus = {0};
    uint64_t seed = mutate_seed();
    uint32_t count = mutate_count(300, 6000);
    corpus_fill(&corpus, SOURCE_DIR, ENTRY_MAX);
    kept_in_all = compared = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct dice dice = dice_of(seed + i);
        const struct corpus_entry *entry = &corpus.entries[dice_roll(&dice, corpus.count)];
        struct corpus one = {.entries = {*entry}, .count = 1};
        size_t size;
        uint8_t *bytes = mutate_any(&one, &dice, &size);
        assert_non_null(bytes);
        compare(entry->bytes, entry->size, bytes, size);
        free(bytes);
    }
    print_message("%u of %u still valid, %u functions kept\n", compared, count, kept_in_all);
    assert_true(kept_in_all > 0);
    corpus_free(&corpus);
}

/* One byte of what the module was made from differs. */
static void generated_modules(void **state)
{
    (void)state;
    uint64_t seed = mutate_seed();
    uint32_t count = mutate_count(30, 600);
    kept_in_all = compared = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct generated first, second;
        uint8_t bytes[900];
        differ_bytes(seed + i, bytes, sizeof bytes);
        generate_module(bytes, sizeof bytes, &first);
        struct dice dice = dice_of(seed + i);
        bytes[dice_roll(&dice, sizeof bytes)] ^= (uint8_t)(1 + dice_roll(&dice, 255));
        generate_module(bytes, sizeof bytes, &second);
        compare(first.module.data, first.module.size, second.module.data, second.module.size);
        generate_free(&first);
        generate_free(&second);
    }
    print_message("%u modules, %u functions kept\n", compared, kept_in_all);
    assert_true(kept_in_all > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_changed_is_made),
        cmocka_unit_test(what_depends_on_it_is_made_again),
        cmocka_unit_test(a_pack_of_another_level_is_of_no_use),
        cmocka_unit_test(damaged_packs),
        cmocka_unit_test(chosen_functions),
        cmocka_unit_test(long_runs_and_tables_are_left),
        cmocka_unit_test(mutated_modules),
        cmocka_unit_test(generated_modules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
