#include "mpi/shift.h"

#include <string.h>

static void copy_within(long sequences, long local, size_t state, bool mirrored, const real *part,
                        real *out)
{
    size_t run = (size_t)(local - 1) * state;
    for (long b = 0; b < sequences && local > 1; b++) {
        const real *from = part + (size_t)b * (size_t)local * state;
        real *to = out + (size_t)b * (size_t)local * state;
        memcpy(mirrored ? to : to + state, mirrored ? from + state : from, run * sizeof(real));
    }
}

void rw_shift_start(rw_shift *shift, const rw_layout *layout, int tag, long sequences, long local,
                    size_t state, bool mirrored, const real *part, real *out, real *buffer)
{
    size_t all = (size_t)sequences * state, edge = mirrored ? 0 : (size_t)(local - 1);
    int left = layout->sp_rank > 0 ? layout->sp_rank - 1 : MPI_PROC_NULL;
    int right = layout->sp_rank < layout->sp - 1 ? layout->sp_rank + 1 : MPI_PROC_NULL;
    int to = mirrored ? left : right, from = mirrored ? right : left;
    *shift = (rw_shift){.layout = layout, .sequences = sequences, .local = local, .state = state};
    shift->mirrored = mirrored;
    shift->out = out;
    shift->flying = layout->sp > 1;
    if (shift->flying) {
        if (from != MPI_PROC_NULL) shift->received = buffer + all;
        for (long b = 0; b < sequences; b++)
            memcpy(buffer + (size_t)b * state, part + ((size_t)(b * local) + edge) * state,
                   state * sizeof(real));
        rw_swap_start(layout, tag, to, buffer, all * sizeof(real), from, buffer + all,
                      all * sizeof(real), &shift->flight);
    }
    copy_within(sequences, local, state, mirrored, part, out);
}

void rw_shift_progress(rw_shift *s)
{
    if (s->flying && rw_swap_landed(&s->flight)) s->flying = false;
}

void rw_shift_finish(rw_shift *s)
{
    size_t edge = s->mirrored ? (size_t)(s->local - 1) : 0;
    if (s->flying) rw_swap_finish(&s->flight);
    s->flying = false;
    for (long b = 0; b < s->sequences && s->received; b++)
        memcpy(s->out + ((size_t)(b * s->local) + edge) * s->state,
               s->received + (size_t)b * s->state, s->state * sizeof(real));
}

void rw_shift_run(const rw_layout *layout, long sequences, long local, size_t state, bool mirrored,
                  const real *part, real *out, real *buffer)
{
    rw_shift shift;
    rw_shift_start(&shift, layout, 0, sequences, local, state, mirrored, part, out, buffer);
    rw_shift_finish(&shift);
}

size_t rw_shift_bytes(const rw_layout *layout, long sequences, size_t state, bool mirrored)
{
    int last = mirrored ? 0 : layout->sp - 1;
    return layout->sp_rank == last ? 0 : (size_t)sequences * state * sizeof(real);
}
