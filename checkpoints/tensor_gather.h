/* Brings sharded tensors to rank 0, one at a time, on request: the rank that writes a checkpoint
 * decides the order, and may stop at any point. Collective over layout->world: while rank 0 opens,
 * fetches and closes, all other ranks serve. */
#ifndef RW_TENSOR_GATHER_H
#define RW_TENSOR_GATHER_H

#include "checkpoints/checkpoint.h"

typedef struct {
    const rw_layout *layout;
    const rw_tensor *tensors; /* the same on all ranks but for their parts */
    int count;
    real *whole;           /* rank 0: room for the largest sharded tensor */
    const rw_tensor *held; /* the tensor in the buffer, or NULL */
} rw_gather;

/* Rank 0. Close also after a failure to open (no memory): closing releases the others. */
rw_status rw_gather_open(rw_gather *gather);
void rw_gather_close(rw_gather *gather);
/* The whole of a sharded tensor, one of gather->tensors; valid until the next call. */
const real *rw_gather_fetch(rw_gather *gather, const rw_tensor *tensor);

/* Other ranks: serve requests until rank 0 closes. */
void rw_gather_serve(const rw_gather *gather);

#endif
