/* The primitives of sequence parallelism, each with a prediction of its bytes: a single list for
 * `ropewalk bench primitives` and tests/test_volumes.c. A new primitive is an entry in
 * primitives.c. */
#ifndef RW_PRIMITIVES_H
#define RW_PRIMITIVES_H

#include <stdbool.h>
#include <stddef.h>

#include "mpi/layout.h"
#include "tensor/real.h"

/* A primitive with a size, on this rank. */
typedef struct {
    const rw_layout *layout;
    long sequences; /* of the step, over all ranks; at least dp */
    long chunks;    /* of a sequence; at least sp */
    size_t reals;   /* the payload: see rw_primitive.payload */
    bool mirrored;  /* the return direction, if a primitive has one */
    /* The entry's own, from open to close: */
    void *plan;
    real *memory;
    real **vector;
} rw_trial;

typedef struct {
    const char *name;
    const char *payload; /* the object with `reals` reals: "state", "slab" (of a row), ... */
    bool has_mirror;
    /* Allocates whatever run needs. Not collective. */
    rw_status (*open)(rw_trial *trial);
    /* Bytes that this rank sends in a run, as the primitive predicts. */
    size_t (*predict)(const rw_trial *trial);
    /* Collective over the layout. */
    void (*run)(rw_trial *trial);
    /* After open, also if open failed. */
    void (*close)(rw_trial *trial);
} rw_primitive;

extern const rw_primitive rw_primitives[]; /* the last has no name */

/* This rank's sequences and chunks. */
static inline rw_range rw_trial_sequences(const rw_trial *t)
{
    return rw_split(t->sequences, t->layout->dp, t->layout->dp_rank);
}
static inline rw_range rw_trial_chunks(const rw_trial *t)
{
    return rw_split(t->chunks, t->layout->sp, t->layout->sp_rank);
}

#endif
