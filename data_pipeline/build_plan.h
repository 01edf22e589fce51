/* What a build of a dataset reads and where it writes, found out before anything
 * is written: inputs by name, the dataset that is added to, the held-out part. */
#ifndef RW_BUILD_PLAN_H
#define RW_BUILD_PLAN_H

#include "data_pipeline/dataset.h"
#include "data_pipeline/dataset_file.h"
#include "data_pipeline/dataset_output.h"
#include "data_pipeline/heldout.h"
#include "data_pipeline/input_list.h"

typedef struct {
    const char *path;
    rw_output_mode mode;
    rw_input_list inputs; /* those for training, then those to be held out */
    size_t heldout_from;  /* the first that is held out */
    rw_dataset *old;      /* what is added to; NULL: nothing */
    const char **names;   /* of all sources of the new file, in their order */
    int sources;
    rw_heldout_rule rule;
} rw_build_plan;

/* The caller frees *out. Borrows what it is given. Sources are ordered: those of
 * the old dataset for training, inputs for training, those of the old dataset
 * that are held out as files, inputs to be held out. */
rw_status rw_build_plan_make(const char *path, const char *const *inputs, int count,
                             const rw_dataset_options *options, rw_build_plan *out);
void rw_build_plan_free(rw_build_plan *plan);

/* May the file be written now? What was checked when the plan was made may have
 * changed since. */
rw_status rw_build_plan_recheck(const rw_build_plan *plan);

#endif
