/* What the tests of checkpoints share: a training state, a temporary folder,
 * and means to damage files. */
#ifndef RW_CHECKPOINT_FIXTURE_H
#define RW_CHECKPOINT_FIXTURE_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "checkpoints/checkpoint.h"

#define STATE_TENSORS 5
#define PATH_SIZE     512

/* A training state of a tiny model: tensors of 1 to 4 dimensions. */
typedef struct {
    rw_tensor tensors[STATE_TENSORS];
    rw_checkpoint_meta meta;
    rw_layout layout;
    char dir[256];  /* of checkpoints, inside a temporary folder */
    char root[200]; /* the temporary folder */
    size_t memory_at_start;
} state;

/* cmocka set-up and tear-down: a fresh state and folder; no leak at the end. */
int state_setup(void **out);
int state_teardown(void **in);

/* Values that depend on `step`, and the cursor of that step. */
void state_fill(state *s, uint64_t step);
/* Saves the state of `step` and expects success. */
void state_save(state *s, uint64_t step, int keep);
/* Expects that the checkpoint at `path` loads, and holds the state of `step`. */
void state_expect(state *s, const char *path, uint64_t step);
/* Expects that the newest checkpoint is of `step`. */
void state_expect_newest(state *s, uint64_t step);

/* Expects a failure whose message contains `part`, and clears it. */
void expect_failure(rw_status status, const char *part);
/* "ROOT/NAME", valid until the fourth call from now. */
const char *join(const char *root, const char *name);
/* Contents of a file; free() them. */
unsigned char *file_contents(const char *path, size_t *size);
void file_put(const char *path, const void *bytes, size_t size);
/* Number of entries of a folder whose names contain `part`. */
int folder_count(const char *path, const char *part);
/* HDF5 objects that are open: files, datasets, property lists. */
int64_t hdf5_open_objects(void);

#endif
