/* A training run in memory. Shared by the parts of the trainer (trainer.c, resume.c,
 * initial_weights.c, saving.c, divergence.c), and private to them. */
#ifndef RW_TRAINING_H
#define RW_TRAINING_H

#include "base/config_compare.h"
#include "optim/schedule.h"
#include "train/evaluation.h"
#include "train/precision_trial.h"
#include "train/run_folder.h"
#include "train/saved_carry.h"
#include "train/settings.h"
#include "train/state.h"
#include "train/trainer.h"

typedef struct {
    const rw_train_options *options;
    rw_settings settings;
    rw_layout layout;
    rw_source *source;
    rw_model *model;
    rw_trained *trained;
    rw_part *parts; /* the part of the trained tensors that this rank updates */
    rw_updater *updater;
    const rw_schedule *schedule;
    rw_engine *engine;
    rw_evaluation *evaluation;
    rw_loader *loader;
    rw_state state;
    rw_saved_carry all; /* the tensors of the state and of the carry */
    rw_run_folder folder;
    rw_checkpoint
        *checkpoint;          /* the checkpoint to continue, until its state is taken; NULL: none */
    rw_precision_trial trial; /* of train.precision: auto; no tokens: none was made */
    char precision_why[320];  /* with auto: the choice and the reason; "": not auto */
    uint64_t last;            /* stop after this many steps */
    uint64_t saved;           /* step of the newest checkpoint; UINT64_MAX: none */
    bool save_late;           /* a save was due while steps were being skipped */
    bool resumed;             /* from a checkpoint */
    bool elsewhere;           /* a checkpoint outside this run folder */
    bool spike_told;          /* no rollback is left */
    rw_changes changes;       /* of settings, since the checkpoint */
    struct rw_given *given;   /* weights taken by --init; NULL: none */

    /* Values of a checkpoint besides the tensors. */
    uint64_t step;              /* steps done */
    uint64_t seen;              /* sequences of the data used so far: the cursor */
    uint64_t tokens;            /* tokens trained on so far */
    uint64_t skipped;           /* steps skipped, in all */
    uint64_t skipped_in_a_row;  /* steps since the weights changed last */
    bool known_good;            /* step of the weights after a rollback */
    uint64_t rollbacks;         /* number of rollbacks */
    uint64_t skipped_sequences; /* sequences skipped by rollbacks, in all */
    uint64_t running_count;     /* losses in the running mean */
    double running_loss;        /* the running mean */
    double running_jump;        /* running mean of the difference of two steps */
    double last_loss;           /* the last step that changed the weights */
    uint64_t evaluated;         /* step of the newest evaluation; UINT64_MAX: none */
    double heldout_loss;        /* its loss */

    double step_seconds;               /* smoothed */
    char from[RW_CHECKPOINT_IDENTITY]; /* the continued checkpoint */
    char kernels[96];                  /* the arithmetic of this program */
    double save_seconds;               /* of the last checkpoint */
    double shown;                      /* when progress was last shown */
} rw_training;

/* A step before the decision whether it changes the weights. */
typedef struct {
    rw_loss loss;
    double norm, lr, seconds, wait;
    rw_comm_counters comm;
} rw_step_facts;

/* Starts reading at the cursor. Not collective. */
rw_status rw_training_start_loader(rw_training *t);

/* ---- resume.c ---- */

/* Finds the checkpoint to continue (--resume) and opens it; the same on all ranks. Changes nothing
 * on disk. Collective. */
rw_status rw_training_find(rw_training *t);
/* Takes the state of the found checkpoint, and closes it; refuses a checkpoint that this
 * configuration does not continue, and names the differences. Collective. */
rw_status rw_training_resume(rw_training *t);
/* Takes tensors, carry and counters of a checkpoint. An error if they are not finite. Not
 * collective: let the ranks agree. */
rw_status rw_training_load(rw_training *t, rw_checkpoint *checkpoint);
/* Reports the settings that changed since the checkpoint: a line for each in the log, and an event
 * in the metrics. On the rank that writes. */
void rw_training_tell_changes(rw_training *t);
/* Prepares the run folder for a new start or a step back: moves the files of the earlier run away.
 * By one rank. */
rw_status rw_training_clear_way(rw_training *t);

/* ---- precision_choice.c ---- */

/* Decides the precision of products with weights. With train.precision: auto: the precision of the
 * checkpoint, or for a new run the result of a trial; then float32 if a rank has no bf16. Before
 * the engine is planned. Collective. */
rw_status rw_training_choose_precision(rw_training *t);

/* ---- initial_weights.c ---- */

/* Takes weights by name from the checkpoint that --init names. Not collective: let the ranks
 * agree. */
rw_status rw_training_initialise(rw_training *t);
/* Reports the taken, new and skipped weights. On the rank that writes. */
void rw_training_tell_given(rw_training *t);
void rw_training_forget_given(rw_training *t);

/* ---- saving.c ---- */

/* Commits a checkpoint of the state, unless this step has a checkpoint. Values that are not finite
 * on any rank are an error, and nothing is committed. While steps are being skipped no older
 * checkpoint is pruned. Collective. */
rw_status rw_training_save(rw_training *t);
/* The same if a save is due: by checkpoint.every, checkpoint.keep_best, or `wanted` (the disk is
 * full or fails). A failure is a warning. Collective. */
void rw_training_save_if_due(rw_training *t, bool wanted);

/* ---- divergence.c ---- */

typedef enum {
    RW_STEP_GOOD,
    RW_STEP_EMPTY,      /* nothing to predict */
    RW_STEP_NOT_FINITE, /* loss or gradient */
    RW_STEP_SPIKE,      /* train.spike; only where train.rollback is on */
} rw_verdict;

/* The kind of a step, the same on all ranks. */
rw_verdict rw_training_judge(const rw_training *t, const rw_step_facts *f);
/* Notes the loss of a step that changed the weights. */
void rw_training_accept(rw_training *t, double loss);
/* Notes that a step changes nothing; too many in a row are an error. Before the step is counted.
 * Collective. */
rw_status rw_training_skip(rw_training *t, const rw_step_facts *f, rw_verdict verdict);
/* Goes back to the newest checkpoint with a good loss, and skips the batches since. *done: false
 * without such a checkpoint, or if train.rollback is used up. Collective. */
rw_status rw_training_roll_back(rw_training *t, const rw_step_facts *f, rw_verdict verdict,
                                bool *done);

#endif
