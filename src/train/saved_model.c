#include "train/saved_model.h"

#include <string.h>

#include "train/shape_check.h"
#include "train/state.h"

static rw_status read_weights(rw_checkpoint *checkpoint, const rw_model *model)
{
    const rw_checkpoint_meta *meta = rw_checkpoint_about(checkpoint);
    if (strcmp(meta->model, model->identity) != 0)
        return rw_fail(RW_ERROR,
                       "the data does not fit the model: the checkpoint has %s, a model for this "
                       "data would have %s; use data with the vocabulary it was trained on",
                       meta->model, model->identity);
    rw_state state;
    RW_TRY(rw_state_new(model, NULL, &state));
    rw_status status = rw_checkpoint_read(checkpoint, state.tensors, state.count);
    const char *bad = status == RW_OK ? rw_state_not_finite(state.tensors, state.count) : NULL;
    if (bad)
        status = rw_fail(RW_ERROR,
                         "%s: %s is not finite, the training diverged; name an older "
                         "checkpoint (step-N)",
                         rw_checkpoint_path(checkpoint), bad);
    rw_state_free(&state);
    return status;
}

rw_status rw_saved_model_open(const char *path, const char *const *overrides, int count,
                              rw_saved_model *out)
{
    rw_status status = RW_OK;
    rw_checkpoint *checkpoint = NULL;
    memset(out, 0, sizeof *out);
    RW_TRY_DONE(rw_checkpoint_open(path, &checkpoint));
    const rw_checkpoint_meta *meta = rw_checkpoint_about(checkpoint);
    out->step = meta->step;
    RW_TRY_DONE(rw_settings_parse(meta->config, path, overrides, count, &out->settings));
    /* What follows begins anew, with data of any length. */
    RW_TRY_DONE(rw_config_set(out->settings.data, "carry", "false"));
    RW_TRY_DONE(rw_source_open(out->settings.data, meta->seed, &out->source));
    RW_TRY_DONE(rw_shapes_check(checkpoint, out->settings.model, rw_source_format(out->source),
                                "use data with the vocabulary it was trained on"));
    RW_TRY_DONE(rw_model_new(out->settings.model, rw_source_format(out->source), meta->seed, false,
                             &out->model));
    RW_TRY_DONE(read_weights(checkpoint, out->model));
done:
    rw_checkpoint_close(&checkpoint);
    return status;
}

void rw_saved_model_free(rw_saved_model *saved)
{
    rw_model_destroy(&saved->model);
    rw_source_close(&saved->source);
    rw_settings_free(&saved->settings);
}
