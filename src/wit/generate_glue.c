/* Prototypes and glue of the bindings generator: one of each per function (CanonicalABI.md, "canon lower",
 * seen from the callee's side). */
#include "wit/generate.h"

static const char *spaced(struct generator *g, const char *ctype)
{
    return ctype[0] && ctype[strlen(ctype) - 1] == '*' ? ctype : gen_text(g, "%s ", ctype);
}

void gen_prototype(struct generator *g, struct gen_package *p, const struct wit_interface *interface,
                   const struct wit_func *func)
{
    struct buf *out = &p->protos;
    buf_printf(out, "bool %s(struct host *h", gen_function(g, interface, func));
    for (uint32_t i = 0; i < func->type.param_count; i++) {
        const struct func_param *param = &func->type.params[i];
        const char *ctype = gen_ctype(g, param->type);
        if (gen_by_pointer(param->type))
            ctype = gen_text(g, "const %s *", ctype);
        buf_printf(out, ", %s%s", spaced(g, ctype), gen_member(g, param->name));
    }
    if (func->type.result)
        buf_printf(out, ", %s*ret", spaced(g, gen_ctype(g, func->type.result)));
    buf_printf(out, ");\n");
}

struct glue {
    struct gen_place place;
    const struct wit_func *func;
    struct flat_func flat;
    bool lends_inside; /* a borrow inside a parameter */
};

/* Where parameter `i` lies when all of them are passed through memory. */
static uint32_t param_offset(const struct func_type *func, uint32_t index)
{
    uint32_t at = 0;
    for (uint32_t i = 0; i <= index; i++) {
        const struct type *type = func->params[i].type;
        at = (at + type->align - 1) & ~(type->align - 1);
        if (i < index)
            at += type->size;
    }
    return at;
}

/* Size and alignment of the tuple of all parameters. */
static void params_extent(const struct func_type *func, uint32_t *ret_size, uint32_t *ret_align)
{
    uint32_t align = 1, last = func->param_count - 1;
    for (uint32_t i = 0; i < func->param_count; i++)
        align = func->params[i].type->align > align ? func->params[i].type->align : align;
    uint32_t size = param_offset(func, last) + func->params[last].type->size;
    *ret_size = (size + align - 1) & ~(align - 1);
    *ret_align = align;
}

/* Guest memory, or scratch memory for lenders. */
static bool needs_memory(const struct glue *glue)
{
    if (glue->flat.params_indirect || glue->flat.result_indirect)
        return true;
    for (uint32_t i = 0; i < glue->func->type.param_count; i++) {
        const struct type *type = glue->func->type.params[i].type;
        if (gen_uses_memory(type) || (type->has_borrow && type->kind != TYPE_BORROW))
            return true;
    }
    return false;
}

static void write_params_place(struct generator *g, const struct glue *glue)
{
    uint32_t size, align;
    params_extent(&glue->func->type, &size, &align);
    gen_check(glue->place, gen_text(g, "canon_range(c, v[0].u32, %u, %u)", size, align));
    gen_line(glue->place, "const uint8_t *at = c->memory + v[0].u32;");
}

/* Declare a local for the parameter and lift into it. `cell`: its first, unless it comes through memory. */
static void write_param(struct generator *g, const struct glue *glue, uint32_t i, uint32_t cell)
{
    const struct func_param *param = &glue->func->type.params[i];
    const char *name = gen_text(g, "p_%s", gen_member(g, param->name));
    const char *at = gen_text(g, "at + %u", param_offset(&glue->func->type, i));
    gen_line(glue->place, "%s%s;", spaced(g, gen_ctype(g, param->type)), name);
    if (param->type->kind == TYPE_BORROW) {
        const char *index =
            glue->flat.params_indirect ? gen_text(g, "canon_load_u32(%s)", at) : gen_text(g, "v[%u].u32", cell);
        gen_line(glue->place, "struct handle *lender_%u;", i);
        gen_handle(g, glue->place, param->type, index, gen_text(g, "lender_%u", i), name);
    } else if (glue->flat.params_indirect) {
        gen_load(g, glue->place, param->type, at, name);
    } else {
        gen_lift(g, glue->place, param->type, cell, name);
    }
}

static void write_params(struct generator *g, struct glue *glue)
{
    uint32_t cell = 0;
    if (glue->flat.params_indirect)
        write_params_place(g, glue);
    for (uint32_t i = 0; i < glue->func->type.param_count; i++) {
        const struct type *type = glue->func->type.params[i].type;
        write_param(g, glue, i, cell);
        cell += type->flat_count;
        glue->lends_inside |= type->has_borrow && type->kind != TYPE_BORROW;
    }
}

static void write_call(struct generator *g, const struct glue *glue, const char *function)
{
    const struct func_type *func = &glue->func->type;
    const char *args = "c->host";
    for (uint32_t i = 0; i < func->param_count; i++)
        args = gen_text(g, "%s, %sp_%s", args, gen_by_pointer(func->params[i].type) ? "&" : "",
                        gen_member(g, func->params[i].name));
    if (func->result) {
        bool plain = !gen_by_pointer(func->result) && func->result->kind != TYPE_STRING &&
                     func->result->kind != TYPE_LIST && func->result->kind != TYPE_MAP;
        gen_line(glue->place, "%sret = %s;", spaced(g, gen_ctype(g, func->result)), plain ? "0" : "{0}");
        args = gen_text(g, "%s, &ret", args);
    }
    gen_check(glue->place, gen_text(g, "%s(%s)", function, args));
    for (uint32_t i = 0; i < func->param_count; i++)
        if (func->params[i].type->kind == TYPE_BORROW)
            gen_line(glue->place, "canon_return(lender_%u);", i);
    if (glue->lends_inside)
        gen_line(glue->place, "canon_return_all(c);");
}

static void write_result(struct generator *g, const struct glue *glue)
{
    const struct type *result = glue->func->type.result;
    if (!result)
        return;
    if (!glue->flat.result_indirect) {
        gen_lower(g, glue->place, result, "ret");
        return;
    }
    uint32_t cell = glue->flat.param_count - 1;
    gen_line(glue->place, "canon_refresh(c);");
    gen_check(glue->place, gen_text(g, "canon_range(c, v[%u].u32, %u, %u)", cell, result->size, result->align));
    gen_line(glue->place, "uint8_t *to = c->memory + v[%u].u32;", cell);
    gen_store(g, glue->place, result, "to", "ret");
}

void gen_glue(struct generator *g, struct gen_package *p, const struct wit_interface *interface,
              const struct wit_func *func)
{
    struct glue glue = {.place = {p, &p->glue, 1}, .func = func};
    const char *function = gen_function(g, interface, func);
    type_flatten_func(&func->type, true, &glue.flat);
    buf_printf(&p->glue, "bool glue_%s(struct store *store, const void *env, union cell *v)\n{\n", function);
    gen_line(glue.place, "struct canon context, *c = &context;");
    gen_check(glue.place, "canon_enter(c, store, env)");
    if (needs_memory(&glue))
        gen_line(glue.place, "canon_memory(c);");
    write_params(g, &glue);
    write_call(g, &glue, function);
    write_result(g, &glue);
    if (needs_memory(&glue))
        gen_line(glue.place, "canon_leave(c);");
    gen_line(glue.place, "return true;");
    buf_printf(&p->glue, "}\n\n");
}
