/* A trained model, read from a checkpoint, for eval and generate. */
#ifndef RW_SAVED_MODEL_H
#define RW_SAVED_MODEL_H

#include "checkpoints/checkpoint.h"
#include "model/model.h"
#include "train/settings.h"

/* The tokens of a dataset to evaluate. */
typedef enum {
    RW_PART_DEFAULT, /* of the run's own dataset the held-out part, of any other file all */
    RW_PART_HELDOUT,
    RW_PART_ALL,
} rw_saved_part;

typedef struct {
    const char *path; /* run folder or checkpoint */
    bool evaluates;   /* open the data too; false: only if the checkpoint lacks the meaning of its
                         tokens */
    const char *data; /* a dataset in the place of the run's own; NULL: the run's own */
    rw_saved_part part;
    const char *const *overrides; /* of the configuration: "data.length=64" */
    int override_count;
} rw_saved_model_options;

typedef struct {
    rw_settings settings; /* settings of the run that wrote the checkpoint, with the overrides */
    rw_checkpoint_tokens tokens;
    char *kind, *alphabet; /* of `tokens`, owned */
    rw_source *source;     /* NULL if not needed; its split RW_HELDOUT is evaluated */
    bool all;              /* of a dataset: does the split hold all tokens? */
    rw_model *model;
    uint64_t step;
    char identity[RW_CHECKPOINT_IDENTITY]; /* of the checkpoint */
} rw_saved_model;

/* Opens a run folder or checkpoint: configuration, weights and, if needed, the data. Not
 * collective. The caller frees *out with rw_saved_model_free, also after a failure. Errors
 * (RW_ERROR, RW_USAGE): no checkpoint; weights that are not finite; a dataset that is not found,
 * that has other tokens than the model, or that was rebuilt after the training: its held-out tokens
 * may have been trained on. With `data` a rebuilt dataset is a warning. */
rw_status rw_saved_model_open(const rw_saved_model_options *options, rw_saved_model *out);
void rw_saved_model_free(rw_saved_model *saved);

#endif
