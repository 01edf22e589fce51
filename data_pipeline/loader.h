/* Reads the part of a rank of each step ahead of time, on a thread of its own without MPI calls. */
#ifndef RW_LOADER_H
#define RW_LOADER_H

#include "data/batch.h"
#include "data_pipeline/source.h"
#include "mpi/layout.h"

typedef struct rw_loader rw_loader;

/* Not collective. Sequences [sequences.begin, end) of each batch of `batch`, tokens [rows.begin,
 * end) of each sequence. Borrows the source. `seen` sequences of the split have been used before:
 * the first batch, which is read at once, begins with sequence `seen`. With split RW_HELDOUT,
 * sequences beyond the end of the split are all RW_IGNORE. */
rw_status rw_loader_new(rw_source *source, rw_split_name split, long batch, rw_range sequences,
                        rw_range rows, uint64_t seen, rw_loader **out);
void rw_loader_destroy(rw_loader **loader);

/* The part of the next step; valid until the next call. The step after it is read meanwhile. */
rw_status rw_loader_next(rw_loader *loader, const rw_batch **out);

#endif
