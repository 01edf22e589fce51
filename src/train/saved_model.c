#include "train/saved_model.h"

#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/memory.h"
#include "train/dataset_place.h"
#include "train/shape_check.h"
#include "train/state.h"
#include "train/token_meaning.h"

/* ---- Data ------------------------------------------------------------------------ */

static bool is_same_file(const char *one, const char *other)
{
    struct stat a, b;
    return stat(one, &a) == 0 && stat(other, &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

/* Sets data.dataset to the file to read. *own: the file lies at the place of the run's data. */
static rw_status choose_dataset(const rw_saved_model_options *o, const rw_checkpoint_meta *meta,
                                rw_config *data, bool *own)
{
    *own = !o->data;
    if (!o->data)
        return rw_dataset_of_run(data, o->path, meta->data_fingerprint, !meta->tokens.kind);
    if (!rw_config_has(data, "dataset"))
        return rw_fail(RW_USAGE,
                       "%s was trained on a generated task, not on a dataset; leave out --data %s",
                       o->path, o->data);
    *own = is_same_file(o->data, rw_config_string(data, "dataset"));
    return rw_dataset_set(data, o->data);
}

/* Is the evaluated data free of training data? */
static rw_status check_overlap(const rw_saved_model_options *o, const rw_checkpoint_meta *meta,
                               const rw_source *source, bool own, bool all)
{
    rw_overlap overlap = rw_source_overlap(source, meta->data_fingerprint);
    const char *name = rw_source_name(source);
    if (overlap == RW_OVERLAP_CERTAIN)
        rw_warn("%s is the dataset of the run: the tokens that it was trained on are among those "
                "evaluated",
                name);
    if (overlap != RW_OVERLAP_POSSIBLE) return RW_OK;
    if (!o->data)
        return rw_fail(RW_ERROR,
                       "%s is not the dataset that the run was trained on: it was built again, "
                       "with other text or another held-out part, so that tokens it holds out may "
                       "have been trained on; restore it, or evaluate all the same with --data %s",
                       name, name);
    if (own || !all)
        rw_warn("%s is not the dataset that the run was trained on: tokens of its held-out part "
                "may have been trained on",
                name);
    return RW_OK;
}

static const char advice[] = "use data with the vocabulary of the model";

static rw_status fit_tokens(const rw_checkpoint_tokens *of_model, rw_source *source)
{
    RW_TRY(rw_tokens_check_some(of_model, source, advice));
    return rw_source_set_alphabet(source, of_model->alphabet[0] ? of_model->alphabet : NULL);
}

static rw_status open_data(const rw_saved_model_options *o, const rw_checkpoint_meta *meta,
                           rw_saved_model *out)
{
    bool own;
    rw_config *data = out->settings.data;
    RW_TRY(choose_dataset(o, meta, data, &own));
    bool foreign = o->data && !own && !rw_dataset_is(o->data, meta->data_fingerprint);
    out->all = o->part == RW_PART_ALL || !o->evaluates || (o->part == RW_PART_DEFAULT && foreign);
    RW_TRY(rw_source_open_to_evaluate(
        data, meta->seed, out->all ? RW_EVALUATE_ALL : RW_EVALUATE_HELDOUT, &out->source));
    if (meta->tokens.kind) RW_TRY(fit_tokens(&meta->tokens, out->source));
    return o->evaluates ? check_overlap(o, meta, out->source, own, out->all) : RW_OK;
}

/* ---- The model ------------------------------------------------------------------- */

static rw_status copy_tokens(const rw_checkpoint_tokens *tokens, rw_saved_model *out)
{
    out->tokens = *tokens;
    RW_TRY(rw_strdup(tokens->kind, &out->kind));
    RW_TRY(rw_strdup(tokens->alphabet, &out->alphabet));
    out->tokens.kind = out->kind;
    out->tokens.alphabet = out->alphabet;
    return RW_OK;
}

static rw_status read_weights(rw_checkpoint *checkpoint, const rw_model *model)
{
    const rw_checkpoint_meta *meta = rw_checkpoint_about(checkpoint);
    if (strcmp(meta->model, model->identity) != 0)
        return rw_fail(RW_ERROR,
                       "the data does not fit the model: the checkpoint has %s, a model for this "
                       "data would have %s; %s",
                       meta->model, model->identity, advice);
    rw_state state;
    RW_TRY(rw_state_new(model, NULL, &state));
    rw_status status = rw_checkpoint_read(checkpoint, state.tensors, state.count);
    const char *bad = status == RW_OK ? rw_state_not_finite(state.tensors, state.count) : NULL;
    if (bad)
        status = rw_fail(RW_ERROR,
                         "the weights of %s are not finite (%s): the training diverged; use an "
                         "earlier checkpoint (ropewalk checkpoint list)",
                         rw_checkpoint_path(checkpoint), bad);
    rw_state_free(&state);
    return status;
}

rw_status rw_saved_model_open(const rw_saved_model_options *options, rw_saved_model *out)
{
    rw_status status = RW_OK;
    rw_checkpoint *checkpoint = NULL;
    memset(out, 0, sizeof *out);
    RW_TRY_DONE(rw_checkpoint_open(options->path, &checkpoint));
    const rw_checkpoint_meta *meta = rw_checkpoint_about(checkpoint);
    out->step = meta->step;
    rw_checkpoint_identity(checkpoint, out->identity);
    RW_TRY_DONE(rw_settings_parse(meta->config, options->path, options->overrides,
                                  options->override_count, &out->settings));
    /* Evaluation begins with zero states, with data of any length. */
    RW_TRY_DONE(rw_config_set(out->settings.data, "carry", "false"));
    if (options->evaluates || options->data || !meta->tokens.kind)
        RW_TRY_DONE(open_data(options, meta, out));
    rw_checkpoint_tokens tokens = meta->tokens.kind ? meta->tokens : rw_tokens_of(out->source);
    RW_TRY_DONE(copy_tokens(&tokens, out));
    rw_format format = rw_tokens_format(&out->tokens);
    RW_TRY_DONE(rw_shapes_check(checkpoint, out->settings.model, &format,
                                "use data with the vocabulary it was trained on"));
    RW_TRY_DONE(rw_model_new(out->settings.model, &format, meta->seed, false, &out->model));
    RW_TRY_DONE(read_weights(checkpoint, out->model));
done:
    rw_checkpoint_close(&checkpoint);
    return status;
}

void rw_saved_model_free(rw_saved_model *saved)
{
    rw_model_destroy(&saved->model);
    rw_source_close(&saved->source);
    rw_free(&saved->kind);
    rw_free(&saved->alphabet);
    rw_settings_free(&saved->settings);
}
