/* Runs the parts of `ropewalk bench`. */
#ifndef RW_BENCH_RUN_H
#define RW_BENCH_RUN_H

#include "cli/bench_record.h"

enum { RW_BENCH_MOST = 64 };

typedef struct {
    bool limits, primitives;
    const rw_mixer *mixers[RW_BENCH_MOST];
    int mixer_count;
    long lengths[RW_BENCH_MOST]; /* ascending */
    int length_count;
    int width, rounds;
    double limit; /* seconds of a step */
} rw_bench_parts;

/* Fills the record. Collective over the layout. The caller frees the record,
 * also after an error: it holds what was measured until then. RW_ERROR where a
 * primitive did not send what it predicts. */
rw_status rw_bench_run(const rw_bench_parts *parts, const rw_layout *layout,
                       rw_bench_record *record);

#endif
