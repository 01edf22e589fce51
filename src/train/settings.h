/* The settings of a run: the configuration, checked as a whole, and values computed from it. */
#ifndef RW_SETTINGS_H
#define RW_SETTINGS_H

#include "base/config.h"
#include "data_pipeline/source.h"
#include "model/plan.h"
#include "mpi/layout.h"

typedef struct {
    rw_config *root; /* owned */
    rw_config *model, *data, *train, *optimizer, *schedule, *parallel, *checkpoint, *eval;
    long length, batch;
    uint64_t seed;
    uint64_t steps;
    rw_precision precision; /* asked for; in force after rw_settings_precision */
    bool precision_open;    /* auto: to be chosen; float32 until then */
} rw_settings;

/* Tables of sections without a file of their own. */
extern const rw_key rw_train_keys[], rw_parallel_keys[], rw_checkpoint_keys[], rw_eval_keys[];

/* Loads CONFIG and checks every section but `model`, which needs the format of the data. RW_USAGE
 * with a message on any mistake. Not collective. */
rw_status rw_settings_load(const char *path, const char *const *overrides, int count,
                           rw_settings *out);
/* The same from the text in a checkpoint. */
rw_status rw_settings_parse(const char *text, const char *name, const char *const *overrides,
                            int count, rw_settings *out);
/* Fails on all ranks if a rank has another configuration (a stale copy on one host), and names the
 * first difference. Collective over MPI_COMM_WORLD. */
rw_status rw_settings_compare(const rw_settings *settings);
void rw_settings_free(rw_settings *settings);

/* Makes the layout of parallel.dp, sp and threads; auto shares the batch first, then sequences.
 * Collective over MPI_COMM_WORLD. */
rw_status rw_settings_layout(const rw_settings *settings, rw_layout *out);

/* Sets the choice of train.precision: auto, also in the configuration, so that files of the run
 * name the choice. Errors: no memory. Not collective, but every rank must make the same call. */
rw_status rw_settings_set_precision(rw_settings *settings, rw_precision precision);

/* Does a rank lack products in bf16, by its processor or its build? `why`: the reason of the first
 * such rank, half a sentence; the same on all ranks. Collective over the layout. */
#define RW_WHY_SIZE 160
bool rw_settings_lack_bf16(const rw_layout *layout, char why[RW_WHY_SIZE]);

/* If bf16 is asked for and a rank has no products in bf16, all ranks continue in float32; rank 0
 * says why. Collective over the layout. */
void rw_settings_precision(rw_settings *settings, const rw_layout *layout);

/* Sets the layout back to auto: for another number of ranks than the run's. */
rw_status rw_settings_forget_layout(rw_settings *settings);

/* The plan options of the engine, for training or evaluation with these sizes. */
rw_plan_options rw_settings_plan(const rw_settings *settings, int chunk, bool training);

#endif
