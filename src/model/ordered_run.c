#include "model/ordered_run.h"

#include <omp.h>
#include <string.h>

#include "model/chunk_call.h"
#include "model/progress.h"

typedef struct {
    const rw_pass *pass;
    int node;
    bool mirrored;
} ordered;

/* Copies the state from the rank before to the place where the first chunk expects it. */
static void enter(const ordered *o, long b, long c, const real *from)
{
    const rw_plan *p = o->pass->e->plan;
    const rw_carry_place *place = &p->places[o->node].carry;
    size_t state = p->nodes[o->node].size.state;
    size_t slot = (size_t)(b * rw_local_chunks(p) + c - p->chunks.begin) * state;
    memcpy(o->pass->e->arena + (o->mirrored ? place->gradient : place->value) + slot, from,
           state * sizeof(real));
}

/* All local chunks of sequences [b, b + count), side by side. out: their states at
 * the end. */
static void run_together(const ordered *o, const rw_team *team, long b, int count, real *out)
{
    const rw_plan *p = o->pass->e->plan;
    const rw_op *op = p->nodes[o->node].op;
    size_t state = p->nodes[o->node].size.state;
    long local = rw_local_chunks(p);
    for (long k = 0; k < local; k++) {
        long c = o->mirrored ? p->chunks.end - 1 - k : p->chunks.begin + k;
        rw_call calls[RW_MAX_TOGETHER];
        for (int i = 0; i < count; i++) {
            rw_chunk_ordered_call(o->pass, o->node, b + i, c, o->mirrored, out + (size_t)i * state,
                                  &calls[i]);
            calls[i].carry.team = team;
        }
        (o->mirrored ? op->sequence->adjoint : op->sequence->summary)(calls, count);
        rw_pass_progress(o->pass);
    }
}

/* A rank's turn of the pipeline. A thread takes up to RW_MAX_TOGETHER sequences, which share each
 * read of the weights. With fewer sequences all threads share each sequence. */
static void take_turn(void *context, rw_range wave, const real *in, real *out)
{
    const ordered *o = context;
    const rw_plan *p = o->pass->e->plan;
    const long sequences = wave.end - wave.begin;
    const long first = o->mirrored ? p->chunks.end - 1 : p->chunks.begin;
    const size_t state = p->nodes[o->node].size.state;
    rw_barrier barrier = {0};
    real *scratch = rw_op_scratch(o->pass->e);
    for (long i = 0; in && i < sequences; i++)
        enter(o, wave.begin + i, first, in + (size_t)i * state);
#pragma omp parallel num_threads(o->pass->e->layout->threads)
    {
        const rw_team team = {&barrier, omp_get_thread_num(), omp_get_num_threads(), scratch};
        const bool share = team.size > 1 && sequences < (long)team.size * RW_MAX_TOGETHER;
        rw_range mine = rw_split(sequences, share ? 1 : team.size, share ? 0 : team.rank);
        for (long i = mine.begin, n; i < mine.end; i += n) {
            n = mine.end - i < RW_MAX_TOGETHER ? mine.end - i : RW_MAX_TOGETHER;
            run_together(o, share ? &team : NULL, wave.begin + i, (int)n, out + (size_t)i * state);
        }
    }
}

/* Sequences of a wave. A rank without a pipeline takes all sequences at once. In a pipeline, more
 * sequences in a wave save time but leave fewer waves: each rank needs at least two waves. */
static long wave_of(const rw_layout *layout, long sequences)
{
    if (layout->sp == 1) return sequences > 0 ? sequences : 1;
    const long most = (long)layout->threads * RW_MAX_TOGETHER, wave = sequences / (2L * layout->sp);
    return wave < 1 ? 1 : wave < most ? wave : most;
}

void rw_ordered_run(const rw_pass *w, int i, bool mirrored)
{
    rw_engine *e = w->e;
    long sequences = w->part.end - w->part.begin;
    ordered o = {w, i, mirrored};
    rw_pipeline_run(e->pipeline, sequences, e->plan->nodes[i].size.state, mirrored,
                    wave_of(e->layout, sequences), take_turn, &o);
}
