/* fermyon:spin/llm (2.0.0, and without a version): there are no models yet, and whoever asks one is told so by the
 * interface's own error. The interface is there all the same, because toolchains make a component import the whole of a
 * world: what those of Python build names these functions whether it calls them or not. */
#include "wasi/gen/fermyon_spin.h"
#include "wasi/gen/fermyon_spin_2.h"
#include "wasi/object.h"

#define NAME_SHOWN 64

static void note(struct host *h, struct str model)
{
    host_denied(h, PERMIT_NOTHING, model, "the model %.*s", model.len < NAME_SHOWN ? (int)model.len : NAME_SHOWN,
                model.ptr);
}

bool fermyon_spin_2_llm_infer(struct host *h, struct str model, struct str prompt,
                              const struct option_fermyon_spin_2_llm_inferencing_params *params,
                              struct result_fermyon_spin_2_llm_inferencing_result_fermyon_spin_2_llm_error *ret)
{
    (void)prompt, (void)params;
    note(h, model);
    ret->err = true;
    ret->error = (struct fermyon_spin_2_llm_error){.tag = FERMYON_SPIN_2_LLM_ERROR_MODEL_NOT_SUPPORTED};
    return true;
}

bool fermyon_spin_2_llm_generate_embeddings(
    struct host *h, struct str model, struct list_str text,
    struct result_fermyon_spin_2_llm_embeddings_result_fermyon_spin_2_llm_error *ret)
{
    (void)text;
    note(h, model);
    ret->err = true;
    ret->error = (struct fermyon_spin_2_llm_error){.tag = FERMYON_SPIN_2_LLM_ERROR_MODEL_NOT_SUPPORTED};
    return true;
}

bool fermyon_spin_llm_infer(struct host *h, struct str model, struct str prompt,
                            const struct option_fermyon_spin_llm_inferencing_params *params,
                            struct result_fermyon_spin_llm_inferencing_result_fermyon_spin_llm_error *ret)
{
    (void)prompt, (void)params;
    note(h, model);
    ret->err = true;
    ret->error = (struct fermyon_spin_llm_error){.tag = FERMYON_SPIN_LLM_ERROR_MODEL_NOT_SUPPORTED};
    return true;
}

bool fermyon_spin_llm_generate_embeddings(struct host *h, struct str model, struct list_str text,
                                          struct result_fermyon_spin_llm_embeddings_result_fermyon_spin_llm_error *ret)
{
    (void)text;
    note(h, model);
    ret->err = true;
    ret->error = (struct fermyon_spin_llm_error){.tag = FERMYON_SPIN_LLM_ERROR_MODEL_NOT_SUPPORTED};
    return true;
}
