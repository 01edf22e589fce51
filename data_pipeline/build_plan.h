/* The plan of a dataset build, made before anything is written: inputs by name, the dataset to
 * append to, the held-out part. */
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
    rw_input_list inputs; /* inputs for training, then inputs to hold out */
    size_t heldout_from;  /* the first held-out input */
    rw_dataset *old;      /* the dataset to append to; NULL: none */
    const char **names;   /* of all sources of the new file, in their order */
    int sources;
    rw_heldout_rule rule;
} rw_build_plan;

/* The caller frees *out. Borrows its arguments. Order of the sources: training sources of the old
 * dataset, training inputs, held-out files of the old dataset, held-out inputs. */
rw_status rw_build_plan_make(const char *path, const char *const *inputs, int count,
                             const rw_dataset_options *options, rw_build_plan *out);
void rw_build_plan_free(rw_build_plan *plan);

/* May the file be written now? Conditions may have changed since the plan was made. */
rw_status rw_build_plan_recheck(const rw_build_plan *plan);

#endif
