#include "mpi/pipeline.h"

#include "base/memory.h"

struct rw_pipeline {
    const rw_layout *layout;
    real *in, *out; /* (sequences, state) */
    MPI_Request *arrival;
};

rw_status rw_pipeline_new(const rw_layout *layout, long sequences, size_t state, rw_pipeline **out)
{
    rw_status status = RW_OK;
    rw_pipeline *p = NULL;
    size_t n = (size_t)sequences;
    *out = NULL;
    RW_TRY(rw_check_message((double)state, "the state of a recurrence", "use a smaller width"));
    RW_TRY(rw_alloc(1, sizeof *p, "a pipeline", &p));
    p->layout = layout;
    RW_TRY_DONE(rw_alloc(n * state, sizeof(real), "states of a pipeline", &p->in));
    RW_TRY_DONE(rw_alloc(n * state, sizeof(real), "states of a pipeline", &p->out));
    RW_TRY_DONE(rw_alloc(n, sizeof *p->arrival, "a pipeline", &p->arrival));
done:
    if (status != RW_OK) rw_pipeline_destroy(&p);
    *out = p;
    return status;
}

void rw_pipeline_destroy(rw_pipeline **pipeline)
{
    rw_pipeline *p = *pipeline;
    if (!p) return;
    rw_free(&p->in);
    rw_free(&p->out);
    rw_free(&p->arrival);
    rw_free(pipeline);
}

/* All receives are posted at once: a state then has its place when it arrives,
 * and a rank that is ahead of the next one is not held up. */
static void post_arrivals(rw_pipeline *p, long sequences, size_t state, int from)
{
    for (long b = 0; b < sequences; b++)
        MPI_Irecv(p->in + (size_t)b * state, (int)state, RW_MPI_REAL, from, 0, p->layout->sp_comm,
                  &p->arrival[b]);
}

static void await(rw_pipeline *p, rw_range wave)
{
    double start = rw_comm_begin();
    MPI_Waitall((int)(wave.end - wave.begin), p->arrival + wave.begin, MPI_STATUSES_IGNORE);
    rw_comm_end_blocking(start, 0);
}

/* Blocking: a large state, which moves only while its sender is in MPI, is then
 * not held back by the sender's next turn. */
static void hand_over(rw_pipeline *p, rw_range wave, size_t state, int to)
{
    double start = rw_comm_begin();
    for (long b = wave.begin; b < wave.end; b++)
        MPI_Send(p->out + (size_t)b * state, (int)state, RW_MPI_REAL, to, 0, p->layout->sp_comm);
    rw_comm_end_blocking(start, (double)((size_t)(wave.end - wave.begin) * state * sizeof(real)));
}

void rw_pipeline_run(rw_pipeline *p, long sequences, size_t state, bool mirrored, long wave,
                     rw_pipeline_turn turn, void *context)
{
    int before = p->layout->sp_rank - 1, after = p->layout->sp_rank + 1;
    int from = mirrored ? after : before, to = mirrored ? before : after;
    bool first = from < 0 || from == p->layout->sp, last = to < 0 || to == p->layout->sp;
    if (!first) post_arrivals(p, sequences, state, from);
    for (long b = 0; b < sequences; b += wave) {
        rw_range now = {b, b + wave < sequences ? b + wave : sequences};
        size_t at = (size_t)b * state;
        if (!first) await(p, now);
        turn(context, now, first ? NULL : p->in + at, p->out + at);
        if (!last) hand_over(p, now, state, to);
    }
}

size_t rw_pipeline_bytes(const rw_pipeline *p, long sequences, size_t state, bool mirrored)
{
    int last = mirrored ? 0 : p->layout->sp - 1;
    return p->layout->sp_rank == last ? 0 : (size_t)sequences * state * sizeof(real);
}
