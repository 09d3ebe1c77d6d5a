/* One LLVM module under construction: types, attributes, metadata, declarations. */
#include "codegen/cpu.h"
#include "codegen/llvm/emit.h"

static void make_types(struct gen *g)
{
    g->none = LLVMVoidTypeInContext(g->llvm);
    g->i1 = LLVMInt1TypeInContext(g->llvm);
    g->i8 = LLVMInt8TypeInContext(g->llvm);
    g->i16 = LLVMInt16TypeInContext(g->llvm);
    g->i32 = LLVMInt32TypeInContext(g->llvm);
    g->i64 = LLVMInt64TypeInContext(g->llvm);
    g->f32 = LLVMFloatTypeInContext(g->llvm);
    g->f64 = LLVMDoubleTypeInContext(g->llvm);
    g->ptr = LLVMPointerTypeInContext(g->llvm, 0);
#define KIND(name, lanes, element) g->type[K_##name] = lanes ? LLVMVectorType(g->element, lanes) : g->element;
    KINDS(KIND)
#undef KIND
    LLVMTypeRef pad[] = {g->ptr, g->i32};
    g->landing = LLVMStructTypeInContext(g->llvm, pad, 2, false);
}

/* The one prototype of guest functions; docs/architecture.md, "Calling convention". */
static void make_prototype(struct gen *g)
{
    LLVMTypeRef vec = g->type[K_I64X2];
    LLVMTypeRef results[] = {g->i64, g->i64, vec, vec};
    LLVMTypeRef params[1 + CONTEXT_INT_REGS + CONTEXT_VEC_REGS] = {g->ptr};
    for (unsigned i = 0; i < CONTEXT_INT_REGS; i++)
        params[1 + i] = g->i64;
    for (unsigned i = 0; i < CONTEXT_VEC_REGS; i++)
        params[1 + CONTEXT_INT_REGS + i] = vec;
    g->results = LLVMStructTypeInContext(g->llvm, results, 4, false);
    g->proto = LLVMFunctionType(g->results, params, sizeof params / sizeof *params, false);
}

static LLVMAttributeRef enum_attribute(struct gen *g, const char *name, uint64_t value)
{
    return LLVMCreateEnumAttribute(g->llvm, LLVMGetEnumAttributeKindForName(name, strlen(name)), value);
}

static void add_attribute(struct gen *g, const char *key, const char *value)
{
    g->attributes[g->attribute_count++] =
        LLVMCreateStringAttribute(g->llvm, key, (unsigned)strlen(key), value, (unsigned)strlen(value));
}

static void make_attributes(struct gen *g)
{
    add_attribute(g, "frame-pointer", "all");
    add_attribute(g, "probe-stack", "inline-asm");
    /* A guest's copy loop must stay a loop: a library call would fault outside of guest code. */
    add_attribute(g, "no-builtins", "");
    /* A call that LLVM made a jump would be missing from backtraces, and endless recursion would not end. */
    add_attribute(g, "disable-tail-calls", "true");
    add_attribute(g, "target-cpu", CODEGEN_CPU);
    add_attribute(g, "target-features", "-fast-shld-rotate");
    g->attributes[g->attribute_count++] = enum_attribute(g, "noredzone", 0);
    /* Toolchains have inlined what is worth it; a function that LLVM inlined again would be missing by name. */
    g->attributes[g->attribute_count++] = enum_attribute(g, "noinline", 0);
}

static LLVMMetadataRef text(struct gen *g, const char *s)
{
    return LLVMMDStringInContext2(g->llvm, s, strlen(s));
}

static LLVMValueRef node(struct gen *g, LLVMMetadataRef *items, unsigned count)
{
    return LLVMMetadataAsValue(g->llvm, LLVMMDNodeInContext2(g->llvm, items, count));
}

static LLVMMetadataRef number(LLVMTypeRef type, uint64_t value)
{
    return LLVMValueAsMetadata(LLVMConstInt(type, value, false));
}

static void make_metadata(struct gen *g)
{
    static const char *const names[] = {"memory", "global", "table",   "size", "fixed",  "store",
                                        "header", "field",  "element", "heap", "context"};
    _Static_assert(sizeof names / sizeof *names == ACCESS_COUNT, "a name each");
    LLVMMetadataRef root_text = text(g, "guest"), zero = number(g->i64, 0);
    LLVMMetadataRef root = LLVMMDNodeInContext2(g->llvm, &root_text, 1);
    for (unsigned i = 0; i < ACCESS_COUNT; i++) {
        LLVMMetadataRef type[] = {text(g, names[i]), root, zero};
        LLVMMetadataRef scalar = LLVMMDNodeInContext2(g->llvm, type, 3);
        LLVMMetadataRef tag[] = {scalar, scalar, zero};
        g->tbaa[i] = node(g, tag, 3);
    }
    g->md_tbaa = LLVMGetMDKindIDInContext(g->llvm, "tbaa", 4);
    g->md_invariant = LLVMGetMDKindIDInContext(g->llvm, "invariant.load", 14);
    g->md_prof = LLVMGetMDKindIDInContext(g->llvm, "prof", 4);
    g->empty_node = node(g, NULL, 0);
    LLVMMetadataRef rare[] = {text(g, "branch_weights"), number(g->i32, 1), number(g->i32, 2000)};
    g->rare_node = node(g, rare, 3);
    LLVMMetadataRef usual[] = {rare[0], rare[2], rare[1]};
    g->usual_node = node(g, usual, 3);
}

/* Line tables carry the Wasm offset of each instruction: line number = offset. */
static void make_debug(struct gen *g)
{
    LLVMAddModuleFlag(g->module, LLVMModuleFlagBehaviorWarning, "Debug Info Version", 18,
                      number(g->i32, LLVMDebugMetadataVersion()));
    LLVMAddModuleFlag(g->module, LLVMModuleFlagBehaviorWarning, "Dwarf Version", 13, number(g->i32, 4));
    g->debug = LLVMCreateDIBuilder(g->module);
    g->debug_file = LLVMDIBuilderCreateFile(g->debug, "m", 1, "", 0);
    LLVMDIBuilderCreateCompileUnit(g->debug, LLVMDWARFSourceLanguageC, g->debug_file, "", 0, true, "", 0, 0, "", 0,
                                   LLVMDWARFEmissionLineTablesOnly, 0, false, false, "", 0, "", 0);
    g->debug_func_type = LLVMDIBuilderCreateSubroutineType(g->debug, g->debug_file, NULL, 0, LLVMDIFlagZero);
}

bool gen_init(struct gen *g, const struct unit *units, uint32_t unit_count, struct err *err)
{
    *g = (struct gen){.units = units, .unit_count = unit_count, .err = err};
    g->llvm = LLVMContextCreate();
    LLVMContextSetDiscardValueNames(g->llvm, true);
    g->module = LLVMModuleCreateWithNameInContext("m", g->llvm);
    g->builder = LLVMCreateBuilderInContext(g->llvm);
    make_types(g);
    make_prototype(g);
    make_attributes(g);
    make_metadata(g);
    make_debug(g);
    return true;
}

void gen_free(struct gen *g)
{
    if (g->debug)
        LLVMDisposeDIBuilder(g->debug);
    LLVMDisposeBuilder(g->builder);
    if (g->module)
        LLVMDisposeModule(g->module);
    LLVMContextDispose(g->llvm);
    VEC_FREE(&g->locals);
    VEC_FREE(&g->stack);
    VEC_FREE(&g->pool);
    VEC_FREE(&g->controls);
}

LLVMValueRef gen_function(struct gen *g, const char *name, LLVMTypeRef type)
{
    LLVMValueRef function = LLVMGetNamedFunction(g->module, name);
    if (function)
        return function;
    function = LLVMAddFunction(g->module, name, type);
    LLVMSetFunctionCallConv(function, PRESERVE_NONE);
    LLVMSetVisibility(function, LLVMHiddenVisibility);
    return function;
}

LLVMValueRef gen_unit_function(struct gen *g, enum code_func_kind kind, uint32_t unit, uint32_t func,
                               enum symbol_form form)
{
    char name[48];
    symbol_name(name, (struct piece_symbol){kind, unit, func}, form);
    LLVMValueRef function = LLVMGetNamedFunction(g->module, name);
    if (function)
        return function;
    LLVMTypeRef type = form == SYMBOL_WIDE ? g->proto : guest_type(g, wasm_func_type(g->units[unit].module, func));
    function = gen_function(g, name, type);
    if (form == SYMBOL_KEPT)
        promise_context(g, function);
    return function;
}

static void set_attributes(struct gen *g, LLVMValueRef function)
{
    for (unsigned i = 0; i < g->attribute_count; i++)
        LLVMAddAttributeAtIndex(function, LLVMAttributeFunctionIndex, g->attributes[i]);
}

void gen_define(struct gen *g, LLVMValueRef function)
{
    LLVMSetAlignment(function, 16);
    set_attributes(g, function);
    g->function = function;
    g->scope = LLVMDIBuilderCreateFunction(g->debug, g->debug_file, "", 0, "", 0, g->debug_file, 0, g->debug_func_type,
                                           false, true, 0, LLVMDIFlagZero, true);
    LLVMSetSubprogram(function, g->scope);
    g->entry = gen_block(g);
    LLVMSetCurrentDebugLocation2(g->builder, NULL);
    LLVMPositionBuilderAtEnd(g->builder, g->entry);
    keep_context(g);
}

LLVMValueRef gen_intrinsic(struct gen *g, const char *name, LLVMTypeRef overload, LLVMTypeRef *ret_type)
{
    unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
    size_t count = overload ? 1 : 0;
    *ret_type = LLVMIntrinsicGetType(g->llvm, id, &overload, count);
    return LLVMGetIntrinsicDeclaration(g->module, id, &overload, count);
}

LLVMBasicBlockRef gen_block(struct gen *g)
{
    return LLVMAppendBasicBlockInContext(g->llvm, g->function, "");
}
