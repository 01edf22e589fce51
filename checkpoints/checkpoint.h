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
    uint64_t skipped_steps;  /* steps skipped as non-finite, in all */
    uint64_t data_fingerprint;
    int dp, sp, threads; /* layout that wrote it, for the record only */
    const char *config;  /* resolved configuration, YAML text */
    const char *model;   /* one line that identifies the model's shape */
    rw_checkpoint_tokens tokens;
} rw_checkpoint_meta;

/* Writes DIR/step-N, commits it atomically, and prunes older ones so that
 * `keep` remain (at least two). Collective: all ranks hold the same tensors, or
 * their parts of them; rank 0 writes, and has room for one sharded tensor at a
 * time. On failure (no space, ...) every rank gets the status, older
 * checkpoints are intact, nothing half-written carries a final name. */
rw_status rw_checkpoint_save(const rw_layout *layout, const char *dir,
                             const rw_checkpoint_meta *meta, const rw_tensor *tensors, int count,
                             int keep);

/* The newest checkpoint of DIR whose hashes are right; damaged ones are named
 * in a warning and passed over. *path is NULL if there is none (RW_OK; also if
 * DIR does not exist); rw_free it. One that is of a newer format, or cannot be
 * read for a cause other than damage, is an error: to go on from an older one
 * would lose work. Collective: rank 0 chooses, all get it. */
rw_status rw_checkpoint_find(const rw_layout *layout, const char *dir, char **path);

typedef struct rw_checkpoint rw_checkpoint;

/* Opens and verifies the checkpoint in folder `path` (a step-N folder; or a
 * run or checkpoints folder: its newest). Not collective. */
rw_status rw_checkpoint_open(const char *path, rw_checkpoint **out);
void rw_checkpoint_close(rw_checkpoint **checkpoint);
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
/* Writes plain HDF5 (no filters) with the weights as single datasets. */
rw_status rw_checkpoint_export(const char *path, const char *out_path);

#endif
