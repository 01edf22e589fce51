/* A trained model, as eval and generate use it: read from a checkpoint. */
#ifndef RW_SAVED_MODEL_H
#define RW_SAVED_MODEL_H

#include "model/model.h"
#include "train/settings.h"

typedef struct {
    rw_settings settings; /* of the run that wrote it, with the overrides */
    rw_source *source;
    rw_model *model;
    uint64_t step;
} rw_saved_model;

/* Opens a run folder or checkpoint: configuration, data and weights. Overrides
 * apply to the configuration ("data.dataset=other.h5"). Not collective. The
 * caller frees *out with rw_saved_model_free, also after a failure. */
rw_status rw_saved_model_open(const char *path, const char *const *overrides, int count,
                              rw_saved_model *out);
void rw_saved_model_free(rw_saved_model *saved);

#endif
