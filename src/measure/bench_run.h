/* Runs the parts of `ropewalk bench`. */
#ifndef RW_BENCH_RUN_H
#define RW_BENCH_RUN_H

#include "measure/bench_record.h"
#include "mixers/mixer.h"

enum { RW_BENCH_MOST = 64 };

typedef struct {
    bool limits, ops, steps, scaling, invariance, primitives;
    const rw_mixer *mixers[RW_BENCH_MOST];
    int mixer_count;
    const char *only;            /* only ops and models with this text in their name; NULL: all */
    long lengths[RW_BENCH_MOST]; /* ascending */
    int length_count;
    int width, rounds;
    const char *recompute; /* none, block or chunk */
    rw_precision precision;
    double limit; /* seconds of a step */
} rw_bench_parts;

/* The value of the name `recompute`; false for an unknown name. */
bool rw_bench_recompute(const char *name, rw_recompute *out);

/* Fills the record. Collective over the layout of all ranks. The caller frees the record, also
 * after an error: it holds all measurements before the error. RW_ERROR if a primitive did not send
 * as many bytes as predicted. */
rw_status rw_bench_run(const rw_bench_parts *parts, const rw_layout *layout,
                       rw_bench_record *record);

#endif
