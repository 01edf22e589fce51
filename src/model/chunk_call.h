/* The arguments of an op on one chunk. Inside src/model. */
#ifndef RW_CHUNK_CALL_H
#define RW_CHUNK_CALL_H

#include "model/pass.h"

/* A chunk of a sequence, and the places of its values. */
typedef struct {
    const rw_pass *pass;
    long sequence; /* of the micro-batch */
    long chunk;    /* of the sequence */
    /* Backward: these values were recomputed in scratch. */
    bool block_in_scratch;  /* all values that the block of the node computes */
    const bool *in_scratch; /* these values (rw_plan_recomputes); NULL: none */
    bool discards;          /* nobody reads the gradients of parameters */
    bool discards_input;    /* nor the gradient of the input of the block */
} rw_chunk;

/* Writes the call of node i, forward. */
void rw_chunk_call(const rw_chunk *at, int i, rw_call *call);
/* Adds to the call of rw_chunk_call what backward and adjoint need. The gradients of parameters go
 * to `leaf`. A value in scratch has no contents then unless it was recomputed: the plan stores
 * what backward reads. */
void rw_chunk_call_backward(const rw_chunk *at, real *leaf, rw_call *call);

/* Restricts a call to rows [first, first + rows) of the chunk. */
void rw_call_narrow(rw_call *call, int first, int rows);
/* Restricts the call of an op with a carry to the document part [first, end) of the chunk. Only
 * the part before the first document boundary sees the state at the start of the chunk; only the
 * part after the last boundary reaches its end. */
void rw_call_narrow_to_document(rw_call *call, const uint8_t *starts, int first, int end);

/* The call of node i, which has a sequence carry, for its recurrence over the chunk: summary
 * (mirrored: adjoint). The state goes to the next local chunk; if there is none, to `end` (one
 * state); after the last chunk of the sequence, to the next step. */
void rw_chunk_ordered_call(const rw_pass *pass, int i, long b, long c, bool mirrored, real *end,
                           rw_call *call);

#endif
