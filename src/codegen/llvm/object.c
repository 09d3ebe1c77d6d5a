/* From a module of LLVM's to a relocatable object: the passes, and the loads that must not vanish. */
#include "codegen/cpu.h"
#include "codegen/llvm/emit.h"

#include <llvm-c/Analysis.h>
#include <llvm-c/Error.h>
#include <llvm-c/Support.h>
#include <llvm-c/Target.h>
#include <llvm-c/Transforms/PassBuilder.h>

#include <stdio.h>

#define TRIPLE "x86_64-unknown-linux-gnu"

/* Turns locals into values; what is dead afterwards was dead in the Wasm. */
#define FIRST_PASSES "function(mem2reg)"

/* What default<O2> runs, without what does not pay here: nothing between functions (modules come inlined from
 * their own compiler, and every function is kept), no idioms that become library calls, fewer repetitions.
 * Half the time of default<O2> for code of the same speed. */
#define INSTCOMBINE "instcombine<max-iterations=1;no-use-loop-info;no-verify-fixpoint>"
#define SIMPLIFY(unswitch, more)                                                                                       \
    "simplifycfg,early-cse<memssa>,jump-threading,correlated-propagation,simplifycfg<switch-range-to-icmp>"            \
    "," INSTCOMBINE ",simplifycfg<switch-range-to-icmp>,reassociate,"                                                  \
    "loop-mssa(loop-instsimplify,loop-simplifycfg,licm<no-allowspeculation>,loop-rotate,licm<allowspeculation>,"       \
    "simple-loop-unswitch<" unswitch ";trivial>),"                                                                     \
    "simplifycfg<switch-range-to-icmp>," INSTCOMBINE ",loop(indvars,loop-deletion,loop-unroll-full),"                  \
    "gvn,sccp,bdce," INSTCOMBINE more ",adce,dse,loop-mssa(licm<allowspeculation>),"                                   \
    "simplifycfg<switch-range-to-icmp;hoist-common-insts;sink-common-insts>," INSTCOMBINE
/* At -O3 once more, on what the first round made plain. */
#define MORE                                                                                                           \
    ",aggressive-instcombine,constraint-elimination,jump-threading,correlated-propagation,gvn,"                        \
    "tailcallelim," INSTCOMBINE
#define VECTORIZE(level)                                                                                               \
    "loop(loop-rotate,loop-deletion),loop-vectorize,loop-load-elim," INSTCOMBINE ","                                   \
    "simplifycfg<forward-switch-cond;switch-range-to-icmp;switch-to-lookup;no-keep-loops;hoist-common-insts;"          \
    "sink-common-insts>,slp-vectorizer,vector-combine," INSTCOMBINE ",loop-unroll<" level ">," INSTCOMBINE ","         \
    "loop-mssa(licm<allowspeculation>),instsimplify,div-rem-pairs,simplifycfg<speculate-unpredictables>"

/* What runs while all loads are kept from vanishing (keep.c), and what runs after that. */
#define EACH(passes) "function<eager-inv>(" passes ")"
static const struct passes {
    const char *simplify, *finish;
} passes[] = {
    {NULL, EACH("instsimplify,simplifycfg")},
    {EACH("early-cse<memssa>," INSTCOMBINE ",simplifycfg<switch-range-to-icmp;switch-to-lookup>"), NULL},
    {EACH(SIMPLIFY("no-nontrivial", "")), EACH(VECTORIZE("O2"))},
    {EACH(SIMPLIFY("nontrivial", MORE)), EACH(VECTORIZE("O3"))},
};

static const LLVMCodeGenOptLevel levels[] = {LLVMCodeGenLevelNone, LLVMCodeGenLevelLess, LLVMCodeGenLevelDefault,
                                             LLVMCodeGenLevelAggressive};

static int opt_level(const struct codegen_options *options)
{
    return options->opt_level < 0 ? 0 : options->opt_level > 3 ? 3 : options->opt_level;
}

void object_prepare(void)
{
    static bool done;
    static const char *const options[] = {
        "mayfly",
        "-enable-shrink-wrap=false", /* every function has its frame from its first instruction on */
        /* A 32-bit counter that became a 64-bit one with its upper half masked off at each use hides from later
         * passes that the addresses made of it run in steps. */
        "-indvars-widen-indvars=false",
        "-instcombine-code-sinking=false", /* keep.c: a load stays where it traps ... */
        "-x86-cmov-converter-force-mem-operand=false", /* ... also one that a conditional move does */
        "-cgp-freq-ratio-to-skip-merge=1", /* dispatch.c: edges of their own stay */
        /* A short loop across two lines of decoded instructions takes two cycles where one would do. */
        "-x86-experimental-pref-innermost-loop-alignment=5",
    };
    if (!done)
        LLVMParseCommandLineOptions(sizeof options / sizeof *options, options, "");
    done = true;
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
    LLVMInitializeX86AsmParser();
    LLVMInitializeX86Disassembler();
}

bool object_machine(LLVMTargetMachineRef *ret_machine, const struct codegen_options *options, struct err *err)
{
    LLVMTargetRef target;
    char *message = NULL;
    if (LLVMGetTargetFromTriple(TRIPLE, &target, &message)) {
        err_set(err, ERR_SYSTEM, "LLVM: %s", message);
        LLVMDisposeMessage(message);
        return false;
    }
    LLVMTargetMachineRef machine = LLVMCreateTargetMachine(target, TRIPLE, CODEGEN_CPU, "", levels[opt_level(options)],
                                                           LLVMRelocPIC, LLVMCodeModelSmall);
    if (!machine)
        return err_set(err, ERR_SYSTEM, "LLVM cannot generate code for " TRIPLE);
    *ret_machine = machine;
    return true;
}

static bool run_passes(struct gen *g, LLVMTargetMachineRef machine, const char *passes, struct err *err)
{
    if (!passes)
        return true;
    LLVMPassBuilderOptionsRef options = LLVMCreatePassBuilderOptions();
    LLVMErrorRef error = LLVMRunPasses(g->module, passes, machine, options);
    LLVMDisposePassBuilderOptions(options);
    if (!error)
        return true;
    char *message = LLVMGetErrorMessage(error);
    err_set(err, ERR_SYSTEM, "LLVM: %s", message);
    LLVMDisposeErrorMessage(message);
    return false;
}

static void dump_module(struct gen *g, const struct codegen_options *options, const char *stage)
{
    if (!options->dump || strcmp(options->dump, stage) != 0)
        return;
    char *text = LLVMPrintModuleToString(g->module);
    fputs(text, stderr);
    LLVMDisposeMessage(text);
}

static bool verify(struct gen *g, struct err *err)
{
    char *message = NULL;
    if (!LLVMVerifyModule(g->module, LLVMReturnStatusAction, &message)) {
        LLVMDisposeMessage(message);
        return true;
    }
    err_set(err, ERR_SYSTEM, "the generated code is malformed: %.250s", message);
    LLVMDisposeMessage(message);
    return false;
}

static bool emit(struct gen *g, LLVMTargetMachineRef machine, LLVMModuleRef module, LLVMCodeGenFileType type,
                 struct buf *out, struct err *err)
{
    LLVMMemoryBufferRef memory;
    char *message = NULL;
    if (LLVMTargetMachineEmitToMemoryBuffer(machine, module, type, &message, &memory)) {
        err_set(err, ERR_SYSTEM, "LLVM: %s", message);
        LLVMDisposeMessage(message);
        return false;
    }
    bool done = buf_append(out, LLVMGetBufferStart(memory), LLVMGetBufferSize(memory));
    LLVMDisposeMemoryBuffer(memory);
    return done || err_memory(err);
}

/* Emitting uses a module up, so the text comes from a copy. */
static void dump_assembly(struct gen *g, LLVMTargetMachineRef machine, const struct codegen_options *options)
{
    if (!options->dump || strcmp(options->dump, "asm") != 0)
        return;
    struct buf text;
    buf_init(&text, (size_t)1 << 30);
    LLVMModuleRef copy = LLVMCloneModule(g->module);
    if (emit(g, machine, copy, LLVMAssemblyFile, &text, NULL))
        fwrite(text.data, 1, text.size, stderr);
    LLVMDisposeModule(copy);
    buf_free(&text);
}

static void set_target(struct gen *g, LLVMTargetMachineRef machine)
{
    LLVMTargetDataRef layout = LLVMCreateTargetDataLayout(machine);
    LLVMSetModuleDataLayout(g->module, layout);
    LLVMSetTarget(g->module, TRIPLE);
    LLVMDisposeTargetData(layout);
}

static bool optimize(struct gen *g, LLVMTargetMachineRef machine, const struct passes *level, struct err *err)
{
    if (!level->simplify) {
        keep_all_loads(g);
        return run_passes(g, machine, level->finish, err);
    }
    keep_loads(g);
    if (!run_passes(g, machine, level->simplify, err))
        return false;
    release_loads(g);
    if (!run_passes(g, machine, level->finish, err))
        return false;
    return !level->finish || !settle_dispatches(g) || run_passes(g, machine, EACH("break-crit-edges"), err);
}

bool object_make(struct gen *g, LLVMTargetMachineRef machine, const struct codegen_options *options,
                 struct buf *ret_object, struct err *err)
{
    LLVMDIBuilderFinalize(g->debug);
    set_target(g, machine);
    dump_module(g, options, "ir");
    if (!verify(g, err) || !run_passes(g, machine, FIRST_PASSES, err))
        return false;
    if (!optimize(g, machine, &passes[opt_level(options)], err))
        return false;
    keep_all_loads(g);
    dump_module(g, options, "opt");
    dump_assembly(g, machine, options);
    if (!emit(g, machine, g->module, LLVMObjectFile, ret_object, err))
        return false;
    return !g->unsound || err_set(err, ERR_SYSTEM, "LLVM cannot compile this function for " TRIPLE);
}
