#include "model/ordered_run.h"

#include <omp.h>
#include <string.h>

typedef struct {
    const rw_pass *pass;
    int node;
    bool mirrored;
} ordered;

/* Puts what the rank before handed over to where its first chunk looks for it. */
static void enter(const ordered *o, long b, long c, const real *from)
{
    const rw_plan *p = o->pass->e->plan;
    const rw_carry_place *place = &p->carry[o->node];
    size_t state = p->nodes[o->node].state;
    size_t slot = (size_t)(b * rw_local_chunks(p) + c - p->chunks.begin) * state;
    memcpy(o->pass->e->arena + (o->mirrored ? place->gradient : place->value) + slot, from,
           state * sizeof(real));
}

/* All local chunks of sequences [b, b + count), side by side. in (NULL: zero)
 * and out: their states at the two ends. */
static void run_together(const ordered *o, long b, int count, const real *in, real *out)
{
    const rw_plan *p = o->pass->e->plan;
    const rw_op *op = p->nodes[o->node].op;
    size_t state = p->nodes[o->node].state;
    long local = rw_local_chunks(p);
    for (long k = 0; k < local; k++) {
        long c = o->mirrored ? p->chunks.end - 1 - k : p->chunks.begin + k;
        rw_call call[RW_MAX_TOGETHER];
        for (int i = count - 1; i >= 0; i--) {
            if (k == 0 && in) enter(o, b + i, c, in + (size_t)i * state);
            rw_chunk_ordered_call(o->pass, o->node, b + i, c, o->mirrored, out + (size_t)i * state,
                                  &call[i]);
            call[i].beside = i + 1 < count ? &call[i + 1] : NULL;
        }
        (o->mirrored ? op->adjoint : op->summary)(call);
        rw_pass_progress(o->pass);
    }
}

/* A rank's turn of the pipeline. */
static void take_turn(void *context, rw_range wave, const real *in, real *out)
{
    const ordered *o = context;
    size_t state = o->pass->e->plan->nodes[o->node].state;
#pragma omp parallel num_threads(o->pass->e->layout->threads)
    {
        rw_range mine =
            rw_split(wave.end - wave.begin, omp_get_num_threads(), omp_get_thread_num());
        for (long i = mine.begin, n; i < mine.end; i += n) {
            n = mine.end - i < RW_MAX_TOGETHER ? mine.end - i : RW_MAX_TOGETHER;
            size_t at = (size_t)i * state;
            run_together(o, wave.begin + i, (int)n, in ? in + at : NULL, out + at);
        }
    }
}

/* Sequences of a wave. A rank alone takes all at once. In a pipeline, sequences
 * side by side save time but shorten the row of waves: they are taken so only
 * where at least two waves a rank remain. */
static long wave_of(const rw_layout *layout, long sequences)
{
    if (layout->sp == 1) return sequences > 0 ? sequences : 1;
    long together = sequences / (2L * layout->sp * layout->threads);
    if (together > RW_MAX_TOGETHER) together = RW_MAX_TOGETHER;
    return layout->threads * (together > 1 ? together : 1);
}

void rw_ordered_run(const rw_pass *w, int i, bool mirrored)
{
    rw_engine *e = w->e;
    long sequences = w->part.end - w->part.begin;
    ordered o = {w, i, mirrored};
    rw_pipeline_run(e->pipeline, sequences, e->plan->nodes[i].state, mirrored,
                    wave_of(e->layout, sequences), take_turn, &o);
}
