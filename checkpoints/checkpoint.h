/* Checkpoints: one folder step-N a checkpoint, logical tensors, any layout.
 * docs/checkpoint-format.md is the specification.
 *
 * A checkpoint holds the training state as logical tensors (weights
 * param/NAME, optimizer moments opt/MOMENT/NAME), and a manifest with the step,
 * the resolved configuration, the data cursor, sizes and hashes of all files,
 * and its own hash. Nothing in it depends on the layout that wrote it, except
 * the record of that layout. */
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

/* A logical tensor in memory: dense, row-major, type real. Borrowed. Of one that
 * is sharded a rank has the elements [begin, end) alone; each element is with
 * one rank. */
typedef struct {
    const char *name;
    int dims;
    size_t shape[RW_MAX_DIMS];
    real *data;
    bool sharded;
    size_t begin, end; /* if sharded: the elements that `data` holds */
} rw_tensor;

/* What the tokens of the model are. */
typedef struct {
    const char *kind;     /* "bytes", "letters", "ids" or "features"; NULL: the checkpoint is older
                             than this entry */
    const char *alphabet; /* of letters: token i is letter i; else "" */
    int vocab;            /* ids of the input are 0 .. vocab - 1; 0 for features */
    int features;         /* reals of a token of the input, where vocab is 0 */
    int target_vocab, target_features; /* the same of the targets */
} rw_checkpoint_tokens;

/* What a checkpoint says besides its tensors. */
typedef struct {
    uint64_t step;           /* steps done; the next step to run has this number */
    uint64_t seed;           /* of order, weights, dropout, noise */
    uint64_t sequences_seen; /* data cursor */
    uint64_t skipped_steps;  /* steps that were skipped, in all */
    uint64_t data_fingerprint;
    int dp, sp, threads; /* layout that wrote it, for the record only */
    const char *config;  /* resolved configuration, YAML text */
    const char *model;   /* one line that identifies the model's shape */
    rw_checkpoint_tokens tokens;
    const char *kernels; /* what it was computed with, for people; NULL: not known */
    /* What older programs did not record; 0 then. */
    bool counts_tokens;         /* tokens_seen is known */
    uint64_t tokens_seen;       /* tokens trained on */
    uint64_t skipped_in_a_row;  /* steps skipped since the weights changed last */
    bool known_good;            /* training went back to it: its loss was seen to be good */
    uint64_t rollbacks;         /* times that training went back to a checkpoint */
    uint64_t skipped_sequences; /* sequences that were passed over by that, in all */
    uint64_t running_count;     /* losses in the running mean */
    double running_loss;        /* the running mean (train.spike) */
    double running_jump;        /* of the difference from one step to the next */
    double last_loss;           /* of the last step that changed the weights */
    bool evaluated;             /* heldout_loss is that of this step */
    double heldout_loss;        /* finite */
} rw_checkpoint_meta;

#define RW_KEEP_ALL INT_MAX

/* Writes DIR/step-N, commits it atomically, and prunes older ones so that
 * `keep` remain (at least two; RW_KEEP_ALL: none is pruned). Collective: all ranks hold the same
 * tensors, or their parts of them; rank 0 writes, and has room for one sharded tensor at a time. On
 * failure (no space, ...) every rank gets the status, older checkpoints are intact, nothing
 * half-written carries a final name. */
rw_status rw_checkpoint_save(const rw_layout *layout, const char *dir,
                             const rw_checkpoint_meta *meta, const rw_tensor *tensors, int count,
                             int keep);

/* Removes older checkpoints of DIR so that the newest `keep` remain (at least two undamaged ones,
 * and that of `step`), and besides them the two newest of steps that are multiples of `every` (see
 * rw_checkpoint_find_before), and the `best` ones with the lowest held-out loss. The file
 * DIR/best names the best one; without `best` (0) there is no such file. A failure is a warning
 * only. Not collective: one rank calls it. */
void rw_checkpoint_prune(const char *dir, uint64_t step, int keep, uint64_t every, int best);

/* Would a checkpoint with this held-out loss be among the `best` ones of DIR? Collective: rank 0
 * looks, all get *yes. */
rw_status rw_checkpoint_is_best(const rw_layout *layout, const char *dir, int best, double loss,
                                bool *yes);

/* Takes the checkpoints of steps from `first` on out of the way: step-N becomes set-aside-step-N,
 * which no program takes for the newest, but which can be named. *count: how many they were.
 * Not collective: one rank calls it. */
rw_status rw_checkpoint_set_aside(const char *dir, uint64_t first, uint64_t *count);

/* The newest checkpoint of DIR whose hashes are right; damaged ones are named
 * in a warning and passed over. *path is NULL if there is none (RW_OK; also if
 * DIR does not exist); rw_free it. One that is of a newer format, or cannot be
 * read for a cause other than damage, is an error: to go on from an older one
 * would lose work. Collective: rank 0 chooses, all get it. */
rw_status rw_checkpoint_find(const rw_layout *layout, const char *dir, char **path);
/* The same among those of steps below `step` that are multiples of `every` (0: step 0 alone): those
 * that are there wherever the run was interrupted. */
rw_status rw_checkpoint_find_before(const rw_layout *layout, const char *dir, uint64_t step,
                                    uint64_t every, char **path);

typedef struct rw_checkpoint rw_checkpoint;

/* Opens and verifies the checkpoint in folder `path` (a step-N folder; a run or checkpoints
 * folder: its newest; a file that names one beside it: checkpoints/best, checkpoints/latest). Not
 * collective. */
rw_status rw_checkpoint_open(const char *path, rw_checkpoint **out);
void rw_checkpoint_close(rw_checkpoint **checkpoint);
/* The folder that it lies in; borrowed. */
const char *rw_checkpoint_path(const rw_checkpoint *checkpoint);
/* Step and digest as text: equal for equal checkpoints, wherever they lie. Ranks compare it,
 * since a host may have a stale copy of the folder. */
#define RW_CHECKPOINT_IDENTITY 64
void rw_checkpoint_identity(const rw_checkpoint *checkpoint, char out[RW_CHECKPOINT_IDENTITY]);
const rw_checkpoint_meta *rw_checkpoint_about(const rw_checkpoint *checkpoint);
/* Number of tensors, and the i-th: name and shape only (data NULL). */
int rw_checkpoint_count(const rw_checkpoint *checkpoint);
rw_tensor rw_checkpoint_tensor(const rw_checkpoint *checkpoint, int index);
/* Fills the tensors' data; of sharded ones this rank's part. A name that is missing or of another
 * shape is an error that names both shapes and says that the checkpoint is of another model.
 * Tensors in the file that are not asked for are left alone. On failure the data of those that are
 * may be overwritten in part. */
rw_status rw_checkpoint_read(rw_checkpoint *checkpoint, const rw_tensor *tensors, int count);

/* `ropewalk checkpoint ...`: */
rw_status rw_checkpoint_list(const char *dir, FILE *out);
rw_status rw_checkpoint_show(const char *path, FILE *out);
/* Checks all hashes and the contents of every tensor; of a run or checkpoints
 * folder, all its checkpoints. Fails if anything is damaged. */
rw_status rw_checkpoint_verify(const char *path, FILE *out);
/* One line a tensor (name, dtype, shape, hash), then `digest HEX` over weights,
 * optimizer and data cursor: equal for equal training states. */
rw_status rw_checkpoint_digest(const char *path, FILE *out);
/* Writes plain HDF5 (no filters) with the weights as single datasets. Replaces an earlier export;
 * anything else at `out_path` only with `force`, and no file of the checkpoint even then. One
 * writer at a time. */
rw_status rw_checkpoint_export(const char *path, const char *out_path, bool force);

#endif
