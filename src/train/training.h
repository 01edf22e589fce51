/* A training run in memory: what the parts of the trainer share (trainer.c, resume.c,
 * initial_weights.c, saving.c, divergence.c). Private to them. */
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
    rw_part *parts; /* of the trained tensors: what this rank updates */
    rw_updater *updater;
    const rw_schedule *schedule;
    rw_engine *engine;
    rw_evaluation *evaluation;
    rw_loader *loader;
    rw_state state;
    rw_saved_carry all; /* the state, and what is carried from step to step */
    rw_run_folder folder;
    rw_checkpoint *checkpoint; /* to go on from, until its state is taken; NULL: none */
    rw_precision_trial trial;  /* of train.precision: auto; no tokens: none was made */
    char precision_why[320];   /* of auto: what was chosen and why; "": not auto */
    uint64_t last;             /* stop after this many steps */
    uint64_t saved;            /* step of the newest checkpoint; UINT64_MAX: none */
    bool save_late;            /* a save was due while steps were being skipped */
    bool resumed;              /* from a checkpoint */
    bool elsewhere;            /* which is not one of this run folder */
    bool spike_told;           /* that no rollback is left */
    rw_changes changes;        /* of settings, since the checkpoint */
    struct rw_given *given;    /* weights that --init took; NULL: none */

    /* What a checkpoint holds besides the tensors. */
    uint64_t step;              /* steps done */
    uint64_t seen;              /* sequences of the data used so far: the cursor */
    uint64_t tokens;            /* tokens trained on so far */
    uint64_t skipped;           /* steps skipped, in all */
    uint64_t skipped_in_a_row;  /* of these, since the weights changed last */
    bool known_good;            /* the weights: training went back to them */
    uint64_t rollbacks;         /* times that training went back */
    uint64_t skipped_sequences; /* passed over by that, in all */
    uint64_t running_count;     /* losses in the running mean */
    double running_loss;        /* the running mean */
    double running_jump;        /* of the difference from one step to the next */
    double last_loss;           /* of the last step that changed the weights */
    uint64_t evaluated;         /* step of the newest evaluation; UINT64_MAX: none */
    double heldout_loss;        /* its loss */

    double step_seconds;               /* smoothed */
    char from[RW_CHECKPOINT_IDENTITY]; /* the checkpoint that it goes on from */
    char kernels[96];                  /* what this program computes with */
    double save_seconds;               /* of the last checkpoint */
    double shown;                      /* when progress was last shown */
} rw_training;

/* One step, before it is known whether it changes the weights. */
typedef struct {
    rw_loss loss;
    double norm, lr, seconds, wait;
    rw_comm_counters comm;
} rw_step_facts;

/* Starts reading at the cursor. Not collective. */
rw_status rw_training_start_loader(rw_training *t);

/* ---- resume.c ---- */

/* Finds the checkpoint to go on from (--resume) and opens it; the same on all ranks. Nothing on
 * disk changes. Collective. */
rw_status rw_training_find(rw_training *t);
/* Takes the state of the checkpoint that was found, and closes it; refuses one that this
 * configuration does not continue, naming what differs. Collective. */
rw_status rw_training_resume(rw_training *t);
/* Takes tensors, carry and counters of a checkpoint. An error if they are not finite. Not
 * collective: let the ranks agree. */
rw_status rw_training_load(rw_training *t, rw_checkpoint *checkpoint);
/* Tells which settings changed since the checkpoint: a line each in the log, and one event in
 * the metrics. On the rank that writes. */
void rw_training_tell_changes(rw_training *t);
/* Makes the run folder ready for what resume decided: moves away what a new start, or a step
 * back, would otherwise mix with. By one rank. */
rw_status rw_training_clear_way(rw_training *t);

/* ---- precision_choice.c ---- */

/* Settles the precision of products with weights. With train.precision: auto it is that of the
 * checkpoint, or of a new run what a trial says; then, where a rank has no bf16, float32.
 * Before the engine is planned. Collective. */
rw_status rw_training_choose_precision(rw_training *t);

/* ---- initial_weights.c ---- */

/* Takes weights by name from the checkpoint that --init names. Not collective: let the ranks
 * agree. */
rw_status rw_training_initialise(rw_training *t);
/* Says which were taken, which stay new, which were left. On the rank that writes. */
void rw_training_tell_given(rw_training *t);
void rw_training_forget_given(rw_training *t);

/* ---- saving.c ---- */

/* Commits a checkpoint of the state, unless this step has one. What is not finite on any rank is
 * not committed: an error. While steps are being skipped no older one is pruned. Collective. */
rw_status rw_training_save(rw_training *t);
/* The same where a save is due, by checkpoint.every or checkpoint.keep_best, or since it is
 * `wanted` now: the disk is full or fails. A failure is a warning. Collective. */
void rw_training_save_if_due(rw_training *t, bool wanted);

/* ---- divergence.c ---- */

typedef enum {
    RW_STEP_GOOD,
    RW_STEP_EMPTY,      /* nothing to predict */
    RW_STEP_NOT_FINITE, /* loss or gradient */
    RW_STEP_SPIKE,      /* train.spike; only where train.rollback is on */
} rw_verdict;

/* What a step is, the same on all ranks. */
rw_verdict rw_training_judge(const rw_training *t, const rw_step_facts *f);
/* Notes the loss of a step that changed the weights. */
void rw_training_accept(rw_training *t, double loss);
/* Notes that a step changes nothing; too many in a row are an error. Before the step is counted.
 * Collective. */
rw_status rw_training_skip(rw_training *t, const rw_step_facts *f, rw_verdict verdict);
/* Goes back to the newest checkpoint whose loss was seen to be good, past the batches since.
 * *done: false if there is none, or train.rollback times are used up. Collective. */
rw_status rw_training_roll_back(rw_training *t, const rw_step_facts *f, rw_verdict verdict,
                                bool *done);

#endif
