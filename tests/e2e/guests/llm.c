/* Asks the model whose name is the path, by fermyon:spin/llm@2.0.0 and then without a version, for a text, for a text
 * with parameters, and for embeddings; says a line for each: what came, or the error. */
#include "plain_answer.h"

#define LLM "fermyon:spin/llm"
#define LLM_2 "fermyon:spin/llm@2.0.0"
#define INFER(name)                                                                                                    \
    void name(const char *model, size_t model_size, const char *prompt, size_t prompt_size, int some, int tokens,      \
              float penalty, int last, float temperature, int top_k, float top_p, void *ret)
#define EMBED(name) void name(const char *model, size_t model_size, const void *texts, size_t count, void *ret)

IMPORT(LLM, "infer") INFER(infer_1);
IMPORT(LLM, "generate-embeddings") EMBED(embed_1);
IMPORT(LLM_2, "infer") INFER(infer_2);
IMPORT(LLM_2, "generate-embeddings") EMBED(embed_2);

static void say_result(const char *what)
{
    static const char *const errors[] = {"model-not-supported", "runtime-error: ", "invalid-input: "};
    say(what);
    say(" ");
    say(ret[0] ? errors[ret[4]] : "done");
    if (ret[0] && ret[4])
        say_text(text_at(ret + 8));
    say("\n");
}

static void try(struct text model, INFER((*infer)), EMBED((*embed)))
{
    static const struct text texts[] = {{"one", 3}, {"two", 3}};
    infer(model.ptr, model.len, "Hello", 5, 0, 0, 0, 0, 0, 0, 0, ret);
    say_result("text");
    infer(model.ptr, model.len, "", 0, 1, 100, 1.1f, 64, 0.8f, 40, 0.9f, ret);
    say_result("parameters");
    embed(model.ptr, model.len, texts, 2, ret);
    say_result("embeddings");
}

EXPORT("wasi:http/incoming-handler@0.2.12#handle") void handle(int request, int out)
{
    struct text path = request_path(request);
    struct text model = {path.ptr + 1, path.len - 1};
    try(model, infer_2, embed_2);
    try(model, infer_1, embed_1);
    answer_report(out);
}
