#include "model/pass.h"

#include <omp.h>
#include <string.h>

int rw_pass_groups(const rw_pass *w)
{
    return rw_plan_groups(w->e->layout, rw_pass_sequences(w));
}

rw_range rw_pass_group(const rw_pass *w, int group)
{
    return rw_split(rw_pass_sequences(w), rw_pass_groups(w), group);
}

size_t rw_pass_chunk(const rw_pass *w, long b, long c)
{
    const rw_plan *p = w->e->plan;
    return (size_t)(b * rw_local_chunks(p) + c - p->chunks.begin);
}

static real *thread_scratch(const rw_engine *e)
{
    return e->scratch + (size_t)omp_get_thread_num() * rw_plan_thread_scratch(e->plan);
}

real *rw_op_scratch(const rw_engine *e)
{
    return thread_scratch(e) + rw_whole_lines(e->plan->scratch);
}

real *rw_pass_rows(const rw_pass *w, const rw_place *place, long b, long c)
{
    if (!place->stored) return thread_scratch(w->e) + place->offset;
    return w->e->arena + place->offset +
           rw_pass_chunk(w, b, c) * (size_t)w->e->plan->options.chunk * (size_t)place->ld;
}

const uint8_t *rw_pass_starts(const rw_pass *w, long b, long c)
{
    const rw_plan *p = w->e->plan;
    if (!w->batch->starts) return NULL;
    return w->batch->starts + (w->part.begin + b) * w->batch->rows +
           (c - p->chunks.begin) * p->options.chunk;
}

void rw_pass_find_cuts(const rw_pass *w)
{
    const rw_plan *p = w->e->plan;
    long local = rw_local_chunks(p);
    for (long i = 0; w->batch->starts && i < rw_pass_sequences(w) * local; i++) {
        long c = p->chunks.begin + i % local;
        const uint8_t *starts = rw_pass_starts(w, i / local, c);
        w->e->cuts[i] = memchr(starts, 1, (size_t)rw_plan_chunk_rows(p, c)) != NULL;
    }
}
