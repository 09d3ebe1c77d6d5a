/* See build.h. */
#include "compile/build.h"

#include "base/phase.h"
#include "base/sha256.h"
#include "component/embed.h"
#include "component/plan.h"
#include "image/write.h"
#include "wasm/body.h"

#include <string.h>

#define ARENA_MAX ((size_t)4 << 30)

uint64_t compile_options_word(const struct compile_options *options)
{
    uint64_t level = options->tier == TIER_FAST ? 0 : (uint64_t)options->opt_level;
    return level | (uint64_t)options->open << 8 | (uint64_t)options->tier << 16 | (uint64_t)options->mix_seed << 32;
}

/* The layer field behind the version tells components (1) from modules (0): Binary.md, "Component Definitions". */
static bool is_component(const uint8_t *source, size_t size)
{
    return size >= 8 && memcmp(source, "\0asm", 4) == 0 && source[6] == 1 && source[7] == 0;
}

/* Function bodies are read by the generator, so late. Where something else stands in the way before that, a module
 * that is invalid is called that. */
static bool blame_bodies(const struct wasm_module *module, struct err *err)
{
    struct wasm_body_scratch *scratch = wasm_body_scratch_new(err);
    for (uint32_t i = module->imported_funcs; scratch && i < module->func_count; i++)
        if (!wasm_body_read(module, i, scratch, NULL, NULL, err))
            break;
    wasm_body_scratch_free(scratch);
    return false;
}

static bool make_plan(const uint8_t *source, size_t size, const struct compile_options *options, struct arena *arena,
                      struct plan **ret_plan, struct err *err)
{
    struct wasm_module *module;
    if (is_component(source, size))
        return component_plan(source, size, arena, ret_plan, err);
    const struct plan_options plan = {options->open, str_of(options->host ? options->host : "")};
    if (!wasm_load(source, size, arena, &module, err))
        return false;
    bool planned = !options->open && component_is_embedded(module)
                       ? component_plan_embedded(module, arena, ret_plan, err)
                       : plan_module(module, &plan, arena, ret_plan, err);
    return planned || blame_bodies(module, err);
}

static struct image_func func_row(const struct code_func *func)
{
    return (struct image_func){.code_off = func->code_off,
                               .code_size = func->code_size,
                               .unit = func->unit,
                               .func = func->func,
                               .kind = func->kind,
                               .frame_size = func->frame_size,
                               .sites_first = func->sites_first,
                               .sites_size = func->sites_size};
}

bool compile_write(const struct plan *plan, const struct geometry *geometry, struct code *code,
                   const uint8_t digest[32], uint64_t options, const struct image_sink *sink, struct err *err)
{
    struct image_func *funcs = mem_alloc(code->funcs.count + 1, sizeof *funcs);
    if (!funcs)
        return err_memory(err);
    bool done = code_encode_sites(code, err);
    for (size_t i = 0; i < code->funcs.count; i++)
        funcs[i] = func_row(&code->funcs.items[i]);
    _Static_assert(sizeof(struct code_pad) == sizeof(struct image_pad), "same shape");
    const struct code_part whole = {code->text.data, code->text.size};
    struct code_parts parts = {.text = code->parts.count ? code->parts.items : &whole,
                               .text_count = code->parts.count ? code->parts.count : 1,
                               .exec_size = code->exec_size,
                               .funcs = funcs,
                               .func_count = code->funcs.count,
                               .sites = {(const char *)code->site_bytes.data, code->site_bytes.size},
                               .pads = (const struct image_pad *)code->pads.items,
                               .pad_count = code->pads.count};
    for (size_t i = 0; i < parts.text_count; i++)
        parts.size += parts.text[i].size;
    done = done && image_write(plan, geometry, &parts, digest, options, sink, err);
    mem_free(funcs);
    return done;
}

static bool generate_and_write(const struct plan *plan, const struct geometry *geometry, const uint8_t digest[32],
                               const struct compile_options *options, generator_fn *generate,
                               const struct image_sink *sink, struct err *err)
{
    struct code code;
    struct codegen_options codegen = {.opt_level = options->opt_level,
                                      .mix_seed = options->mix_seed,
                                      .chosen = options->chosen,
                                      .chosen_count = options->chosen_count,
                                      .dump = options->dump,
                                      .old_pack = options->old_pack,
                                      .ret_pack = options->ret_pack,
                                      .ret_counts = options->ret_counts,
                                      .progress = options->progress,
                                      .progress_arg = options->progress_arg};
    code_init(&code);
    bool done = generate(plan->units, plan->unit_count, &codegen, &code, err);
    phase_end("code made");
    done = done && compile_write(plan, geometry, &code, digest, compile_options_word(options), sink, err);
    phase_end("image written");
    if (done && options->written)
        options->written(options->written_arg);
    code_free(&code);
    return done;
}

static bool lay_out(const struct plan *plan, struct arena *arena, struct geometry *ret_geometry, struct err *err)
{
    bool done = layout_compute(plan->units, plan->unit_count, plan->handle_tables, arena, ret_geometry, err);
    for (uint32_t i = 0; !done && i < plan->unit_count; i++)
        blame_bodies(plan->units[i].module, err);
    return done;
}

bool compile_to(const uint8_t *source, size_t size, const struct compile_options *options, generator_fn *generate,
                const struct image_sink *sink, struct err *err)
{
    struct arena arena;
    struct plan *plan;
    struct geometry geometry;
    uint8_t digest[32];
    arena_init(&arena, ARENA_MAX);
    if (options->source)
        memcpy(digest, options->source, sizeof digest);
    else
        sha256(source, size, digest);
    bool done = make_plan(source, size, options, &arena, &plan, err) && lay_out(plan, &arena, &geometry, err);
    phase_end("decoded and laid out");
    done = done && generate_and_write(plan, &geometry, digest, options, generate, sink, err);
    arena_free(&arena);
    return done;
}

/* Parts come in order; the header was left out. */
static bool put_in_buffer(void *arg, uint64_t at, const void *bytes, uint64_t size, struct err *err)
{
    struct buf *image = arg;
    uint64_t before = at > image->size ? at - image->size : 0;
    void *gap = before ? buf_extend(image, before) : NULL;
    if (gap)
        memset(gap, 0, before);
    if (at + size <= image->size) {
        memcpy(image->data + at, bytes, size);
        return true;
    }
    return buf_append(image, bytes, size) ||
           (image->full ? err_set(err, ERR_LIMIT, "the image is over 4 GiB") : err_memory(err));
}

struct image_sink compile_buffer(struct buf *image)
{
    return (struct image_sink){.put = put_in_buffer, .arg = image, .digest = true};
}

bool compile_build(const uint8_t *source, size_t size, const struct compile_options *options, generator_fn *generate,
                   struct buf *ret_image, struct err *err)
{
    struct image_sink sink = compile_buffer(ret_image);
    return compile_to(source, size, options, generate, &sink, err);
}
