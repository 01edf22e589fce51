/* Beyond checkpoint.h: for the commands and the commit. Not collective. */
#ifndef RW_CHECKPOINT_READER_H
#define RW_CHECKPOINT_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "checkpoints/checkpoint.h"
#include "checkpoints/checkpoint_format.h"
#include "checkpoints/manifest.h"

struct rw_checkpoint {
    char *folder;
    rw_manifest *manifest;
};

/* A folder step-N, or step-N.old, of a folder of checkpoints. */
typedef struct {
    uint64_t step;
    bool aside;
    char name[RW_STEP_NAME_SIZE];
} rw_step_folder;

/* The checkpoints in `dir`, newest first; none without such a folder. The caller frees *out. */
rw_status rw_step_folders(const char *dir, rw_step_folder **out, size_t *count);

/* Opens the checkpoint in the folder `path` after a check of its manifest and of the hashes of its
 * files. *damaged: stored bytes differ from the written bytes; false if the checkpoint could not be
 * read for another cause. */
rw_status rw_checkpoint_load(const char *path, rw_checkpoint **out, bool *damaged);
/* Does the checkpoint exist wherever a run was interrupted: is its step 0 or a multiple of `every`?
 */
bool rw_step_regular(uint64_t step, uint64_t every);

/* The newest undamaged checkpoint of a regular step up to `last` in the folder `dir`, NULL without
 * one. Damaged checkpoints are skipped with a warning. A checkpoint of a newer format, or
 * unreadable for another cause, is an error: continuing an older checkpoint would lose work. */
rw_status rw_checkpoint_newest(const char *dir, uint64_t last, uint64_t every, rw_checkpoint **out);

/* The folder of checkpoints of `path`: `path`/checkpoints for the folder of a run, else `path`;
 * *step: `path` is a checkpoint itself, or a file (`best`, `latest`) that names a checkpoint. */
rw_status rw_checkpoint_locate(const char *path, char **folder, bool *step);
/* The checkpoint of `path`: itself, or the checkpoint with the highest step in its folder, damaged
 * or not. The caller frees *folder. */
rw_status rw_checkpoint_folder(const char *path, char **folder);

/* The name of the checkpoint with the lowest held-out loss among `count` step folders of `dir`;
 * false if none was evaluated. */
bool rw_best_name(const char *dir, const rw_step_folder *steps, size_t count,
                  char name[RW_STEP_NAME_SIZE]);
/* Marks the `best` checkpoints: marks[i]. Checkpoints with unreadable manifests do not count. */
rw_status rw_best_mark(const char *dir, const rw_step_folder *steps, size_t count, int best,
                       bool *marks);

/* Records that `dir` has no checkpoint, or no `kind` of checkpoint ("undamaged "). */
rw_status rw_no_checkpoint(const char *kind, const char *dir);

/* Hash of the training state: see rw_checkpoint_digest. */
uint64_t rw_digest_of(const rw_manifest *manifest);

/* Checks everything: hashes of files, contents of every tensor, digest. */
rw_status rw_checkpoint_check(const char *folder, const rw_manifest *manifest);

/* Saves and commits like rw_checkpoint_save, in this process alone, without MPI: also for a thread
 * beside training. No tensor is sharded. */
rw_status rw_checkpoint_write(const char *dir, const rw_checkpoint_meta *meta,
                              const rw_tensor *tensors, int count, int keep);

#endif
