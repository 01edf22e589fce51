/* The arguments of an op's callbacks. All arrays are row-major (row, column), real; ld = reals from
 * one row to the next. A member without a meaning for the call is NULL or 0. */
#ifndef RW_CALL_H
#define RW_CALL_H

#include <stdint.h>

#include "base/barrier.h"
#include "graph/node.h"
#include "mpi/span.h"
#include "tensor/real.h"

/* Most sequences that summary and adjoint of a sequence carry get in one call. */
#define RW_MAX_TOGETHER 4

typedef struct rw_call rw_call;

/* Where in the data and in training the rows of a call stand. */
typedef struct {
    long sequence; /* index of the sequence in the batch of the step */
    long position; /* of the first row in the sequence */
    long passed;   /* rows of earlier steps that the sequence continues (data.carry): for ops
                      that depend on distances between rows */
    uint64_t seed, step;
    bool training; /* dropout is on */
} rw_call_place;

/* The data of the rows, for ops that read data (embedding, losses). */
typedef struct {
    const int32_t *tokens, *targets;
    const real *features;        /* (rows, feature_width) */
    const real *target_features; /* (rows, target_width) */
    int feature_width, target_width;
} rw_call_data;

/* For losses. A call adds to `sum` and `correct`: several calls may share them. */
typedef struct {
    double *sum;     /* over the rows that count; NULL: not wanted */
    real *rows;      /* (rows) the loss of each row, or NULL: not wanted */
    double *correct; /* in `forward`: rows whose best-scored id is the target */
    real scale;      /* factor of the gradient: 1 / number of targets */
    real *scores;    /* in `step`: predictions of the one row (vocabulary) */
} rw_call_loss;

/* Threads that make the same call together, each a part of the call. */
typedef struct {
    rw_barrier *barrier;
    int rank, size;
    real *scratch; /* of the first thread: all threads see it */
} rw_team;

/* The carry of a chunk. */
typedef struct {
    const real *state_in;   /* state at the start of the chunk; NULL: zero */
    real *transition;       /* tree: summary writes it */
    real *state;            /* summary writes it; step updates it in place */
    const real *dstate_out; /* d loss / d (state at the end of the chunk); NULL: zero */
    real *dstate_in;        /* adjoint writes it: d loss / d state_in */

    /* Sequence carry. summary and adjoint get whole chunks. */
    real *saved;           /* (rows, size.saved) */
    const uint8_t *starts; /* (rows) 1: the state is reset to zero before this row; NULL: never */
    const rw_team *team;   /* each thread makes the call, does its part of all rows and returns
                              when all threads are done; NULL: one thread alone */
} rw_call_carry;

typedef struct {
    const real *dout;
    int dout_ld;
    real *din[RW_MAX_INPUTS]; /* NULL: not wanted */
    int din_ld[RW_MAX_INPUTS];
    bool din_add[RW_MAX_INPUTS];    /* add to din instead of writing it */
    real *dparam[RW_MAX_OP_PARAMS]; /* always add */
    real *dderived;                 /* always add */
    bool discards;                  /* nobody reads dparam and dderived: an op may skip them */
} rw_call_backward;

struct rw_call {
    const rw_node *node;
    int rows; /* of the chunk, 1..T; the last chunk of a sequence may be short */

    /* Forward. */
    const real *in[RW_MAX_INPUTS];
    int in_ld[RW_MAX_INPUTS];
    real *out;
    int out_ld;
    const real *param[RW_MAX_OP_PARAMS];
    const real *derived;
    real *scratch; /* size.scratch reals */

    rw_call_place at;
    rw_call_data data;
    rw_call_loss loss;
    rw_call_carry carry;
    rw_call_backward back;
};

/* The arguments of an op with a global carry: all rows that this rank holds of the sequences
 * of a micro-batch. Row r of sequence b of a value is at (b * span.stride + r) * ld. Rows
 * beyond span.rows are not to be touched. */
typedef struct {
    const rw_node *node;
    rw_span span;
    const uint8_t *starts; /* (sequences, length) of whole sequences, 1: a document begins, and
                              nothing may cross into it; NULL: no documents */
    const real *in[RW_MAX_INPUTS];
    int in_ld[RW_MAX_INPUTS];
    real *out;
    int out_ld;
    real *saved;     /* (sequences, stride, size.saved): from forward to backward */
    real *workspace; /* as many reals as the op asked for */

    /* Backward. */
    const real *dout;
    int dout_ld;
    real *din[RW_MAX_INPUTS]; /* NULL: not wanted */
    int din_ld[RW_MAX_INPUTS];
    bool din_add[RW_MAX_INPUTS]; /* add to din instead of writing it */
} rw_global;

#endif
