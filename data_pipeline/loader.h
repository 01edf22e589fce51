/* Reads this rank's part of each step ahead of time, on a thread of its own
 * that makes no MPI calls. */
#ifndef RW_LOADER_H
#define RW_LOADER_H

#include "data_pipeline/source.h"
#include "mpi/layout.h"

/* This rank's part of one step: sequences x rows tokens, row-major. Arrays
 * that the format lacks are NULL. Owned by the loader. */
typedef struct {
    long sequences;   /* of this rank */
    long rows;        /* tokens of each sequence on this rank */
    int32_t *tokens;  /* (sequences, rows) */
    int32_t *targets; /* (sequences, rows) */
    real *features;   /* (sequences, rows, features) */
    real *target_features;
    uint8_t *starts; /* (sequences, rows), 1 where a document begins; NULL: nowhere */
    long position;   /* in its stream (data.carry), of the first token of each sequence; else 0 */
    int feature_width, target_width; /* reals a token of the last two */
    long counted;                    /* targets that are not ignored */
    double wait_s;                   /* how long rw_loader_next had to wait for it */
} rw_batch;

typedef struct rw_loader rw_loader;

/* Not collective. Sequences [sequences.begin, end) of each batch of `batch`,
 * tokens [rows.begin, end) of each sequence. Borrows the source. `seen`
 * sequences of the split have been used before: the first batch, which is read
 * at once, begins with sequence `seen`. With split RW_HELDOUT indices beyond the
 * split's end are clipped: such sequences are all RW_IGNORE. */
rw_status rw_loader_new(rw_source *source, rw_split_name split, long batch, rw_range sequences,
                        rw_range rows, uint64_t seen, rw_loader **out);
void rw_loader_destroy(rw_loader **loader);

/* The next step's part; valid until the next call. The one after it is read
 * meanwhile. */
rw_status rw_loader_next(rw_loader *loader, const rw_batch **out);

#endif
