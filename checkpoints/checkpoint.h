/* Checkpoints: a folder step-N for each checkpoint, logical tensors, any layout.
 * docs/checkpoint-format.md is the specification. A checkpoint holds the training state as logical
 * tensors (weights param/NAME, optimizer moments opt/MOMENT/NAME), and a manifest with the step,
 * the resolved configuration, the data cursor, sizes and hashes of all files, and its own hash. A
 * checkpoint does not depend on the layout of its writers, except for the record of the layout. */
#ifndef RW_CHECKPOINT_H
#define RW_CHECKPOINT_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/status.h"
#include "mpi/layout.h"
#include "tensor/real.h"

#define RW_MAX_DIMS 4

/* A logical tensor in memory: dense, row-major, type real. Borrowed. Of a sharded tensor a rank has
 * the elements [begin, end) alone; each element is on one rank. */
typedef struct {
    const char *name;
    int dims;
    size_t shape[RW_MAX_DIMS];
    real *data;
    bool sharded;
    size_t begin, end; /* sharded: the elements in `data` */
} rw_tensor;

/* The meaning of the model's tokens. */
typedef struct {
    const char *kind; /* "bytes", "letters", "ids" or "features"; NULL: an older checkpoint without
                         this entry */
    const char *alphabet;              /* of letters: token i is letter i; else "" */
    int vocab;                         /* ids of the input are 0 .. vocab - 1; 0 for features */
    int features;                      /* reals of a token of the input, where vocab is 0 */
    int target_vocab, target_features; /* the same of the targets */
} rw_checkpoint_tokens;

/* The values of a checkpoint besides its tensors. */
typedef struct {
    uint64_t step;           /* steps done; the next step to run has this number */
    uint64_t seed;           /* of order, weights, dropout, noise */
    uint64_t sequences_seen; /* data cursor */
    uint64_t skipped_steps;  /* steps that were skipped, in all */
    uint64_t data_fingerprint;
    int dp, sp, threads; /* layout of the writers, for the record only */
    const char *config;  /* resolved configuration, YAML text */
    const char *model;   /* a line with the shape of the model */
    rw_checkpoint_tokens tokens;
    const char *kernels; /* the arithmetic of the run, for people; NULL: not known */
    /* Not recorded by older programs; then 0. */
    bool counts_tokens;         /* tokens_seen is known */
    uint64_t tokens_seen;       /* tokens trained on */
    uint64_t skipped_in_a_row;  /* steps skipped since the weights changed last */
    bool known_good;            /* training went back to this checkpoint: its loss was good */
    uint64_t rollbacks;         /* number of rollbacks */
    uint64_t skipped_sequences; /* sequences skipped by rollbacks, in all */
    uint64_t running_count;     /* losses in the running mean */
    double running_loss;        /* the running mean (train.spike) */
    double running_jump;        /* of the difference from one step to the next */
    double last_loss;           /* of the last step that changed the weights */
    bool evaluated;             /* heldout_loss belongs to this step */
    double heldout_loss;        /* finite */
} rw_checkpoint_meta;

#define RW_KEEP_ALL INT_MAX

/* Writes DIR/step-N, commits the folder atomically, and prunes older checkpoints so that `keep`
 * remain (at least two; RW_KEEP_ALL: no pruning). Collective: all ranks hold the same tensors, or
 * parts of them; rank 0 writes, and has room for one sharded tensor at a time. On failure (no
 * space, ...) every rank gets the status, older checkpoints are intact, and no half-written file
 * has a final name. */
rw_status rw_checkpoint_save(const rw_layout *layout, const char *dir,
                             const rw_checkpoint_meta *meta, const rw_tensor *tensors, int count,
                             int keep);

/* Removes older checkpoints of DIR. These remain: the newest `keep` (at least two undamaged
 * checkpoints, and the checkpoint of `step`), the two newest of steps that are multiples of `every`
 * (see rw_checkpoint_find_before), and the `best` checkpoints with the lowest held-out loss. The
 * file DIR/best names the best checkpoint; with best = 0 there is no such file. A failure is a
 * warning only. Not collective: one rank calls it. */
void rw_checkpoint_prune(const char *dir, uint64_t step, int keep, uint64_t every, int best);

/* Would a checkpoint with this held-out loss be among the `best` of DIR? Collective: rank 0 looks,
 * all ranks get *yes. */
rw_status rw_checkpoint_is_best(const rw_layout *layout, const char *dir, int best, double loss,
                                bool *yes);

/* Sets aside the checkpoints of steps from `first` on: step-N becomes set-aside-step-N, which no
 * program takes for the newest, but a user can name. *count: their number. Not collective: one rank
 * calls it. */
rw_status rw_checkpoint_set_aside(const char *dir, uint64_t first, uint64_t *count);

/* The newest checkpoint of DIR with right hashes; damaged checkpoints are named in a warning and
 * skipped. *path is NULL without a checkpoint (RW_OK; also if DIR does not exist); free it with
 * rw_free. A checkpoint of a newer format, or unreadable for a cause other than damage, is an
 * error: continuing an older checkpoint would lose work. Collective: rank 0 chooses, all ranks get
 * the path. */
rw_status rw_checkpoint_find(const rw_layout *layout, const char *dir, char **path);
/* The same among checkpoints of steps below `step` that are multiples of `every` (0: step 0 alone):
 * they exist wherever the run was interrupted. */
rw_status rw_checkpoint_find_before(const rw_layout *layout, const char *dir, uint64_t step,
                                    uint64_t every, char **path);

typedef struct rw_checkpoint rw_checkpoint;

/* Opens and verifies the checkpoint in folder `path` (a step-N folder; a run or checkpoints folder:
 * its newest; a file that names a checkpoint: checkpoints/best, checkpoints/latest). Not
 * collective. */
rw_status rw_checkpoint_open(const char *path, rw_checkpoint **out);
void rw_checkpoint_close(rw_checkpoint **checkpoint);
/* The folder of the checkpoint; borrowed. */
const char *rw_checkpoint_path(const rw_checkpoint *checkpoint);
/* Step and digest as text: equal for equal checkpoints in any folder. Ranks compare it, since a
 * host may have a stale copy of the folder. */
#define RW_CHECKPOINT_IDENTITY 64
void rw_checkpoint_identity(const rw_checkpoint *checkpoint, char out[RW_CHECKPOINT_IDENTITY]);
const rw_checkpoint_meta *rw_checkpoint_about(const rw_checkpoint *checkpoint);
/* Number of tensors, and the i-th: name and shape only (data NULL). */
int rw_checkpoint_count(const rw_checkpoint *checkpoint);
rw_tensor rw_checkpoint_tensor(const rw_checkpoint *checkpoint, int index);
/* Fills the data of the tensors, or the part of this rank. A missing name or another shape is an
 * error that names both shapes and says that the checkpoint is of another model. Other tensors of
 * the file are ignored. On failure the data may be overwritten in part. */
rw_status rw_checkpoint_read(rw_checkpoint *checkpoint, const rw_tensor *tensors, int count);

/* `ropewalk checkpoint ...`: */
rw_status rw_checkpoint_list(const char *dir, FILE *out);
rw_status rw_checkpoint_show(const char *path, FILE *out);
/* Checks all hashes and the contents of every tensor; of a run or checkpoints folder, all its
 * checkpoints. Fails on any damage. */
rw_status rw_checkpoint_verify(const char *path, FILE *out);
/* A line for each tensor (name, dtype, shape, hash), then `digest HEX` over weights, optimizer and
 * data cursor: equal for equal training states. */
rw_status rw_checkpoint_digest(const char *path, FILE *out);
/* Writes plain HDF5 (no filters) with each weight as a dataset. Replaces an earlier export; another
 * file at `out_path` only with `force`, and a file of the checkpoint never. One writer at a time.
 */
rw_status rw_checkpoint_export(const char *path, const char *out_path, bool force);

#endif
