/* Attention by an all-to-all on heads: every rank gets all rows of its slabs, computes without
 * further exchanges, and returns the results (Jacobs et al. 2023, DeepSpeed Ulysses, section 3.1).
 */
#include "mpi/slab_exchange.h"
#include "ops/attention/attention_route.h"

static int own_slabs(const rw_attention_plan *plan)
{
    rw_range own = rw_slabs_own(plan->span, plan->slabs);
    return (int)(own.end - own.begin);
}

static rw_attention_rows whole_of(const rw_attention_plan *plan, int i)
{
    const size_t width = (size_t)rw_attention_whole_width(plan, i);
    const size_t slab = (size_t)plan->span->length * width;
    return (rw_attention_rows){plan->whole[i], (size_t)own_slabs(plan) * slab, slab, width, 0};
}

static rw_attention_target to_whole(const rw_attention_plan *plan, int i)
{
    rw_attention_rows rows = whole_of(plan, i);
    return (rw_attention_target){plan->whole[i], rows.sequence, rows.slab, rows.ld, 0, false};
}

static rw_attention_rows gather(const rw_attention_plan *plan, int i, const real *rows, int ld)
{
    rw_slabs_gather(plan->span, plan->slabs, rw_attention_whole_width(plan, i), rows, ld,
                    plan->whole[i], plan->buffer);
    return whole_of(plan, i);
}

static void scatter(const rw_attention_plan *plan, int i, real *rows, int ld, bool add)
{
    if (rows)
        rw_slabs_scatter(plan->span, plan->slabs, rw_attention_whole_width(plan, i), plan->whole[i],
                         rows, ld, add, plan->buffer);
}

static rw_attention_work gather_inputs(const rw_attention_plan *plan, const rw_global *g)
{
    rw_attention_work work = plan->work;
    work.rows = work.arrived = (rw_range){0, plan->span->length};
    work.slabs = own_slabs(plan);
    work.q = gather(plan, WHOLE_Q, g->in[ATTENTION_Q], g->in_ld[ATTENTION_Q]);
    work.k = gather(plan, WHOLE_K, g->in[ATTENTION_K], g->in_ld[ATTENTION_K]);
    work.v = gather(plan, WHOLE_V, g->in[ATTENTION_V], g->in_ld[ATTENTION_V]);
    return work;
}

void rw_attention_heads_forward(const rw_attention_plan *plan, const rw_global *g)
{
    const rw_attention_work work = gather_inputs(plan, g);
    rw_attention_forward(&work, to_whole(plan, WHOLE_OUT), to_whole(plan, WHOLE_LOGS));
    scatter(plan, WHOLE_OUT, g->out, g->out_ld, false);
    scatter(plan, WHOLE_LOGS, g->saved, (int)g->node->size.saved, false);
}

void rw_attention_heads_backward(const rw_attention_plan *plan, const rw_global *g)
{
    static const int gradients[] = {WHOLE_DQ, WHOLE_DK, WHOLE_DV}; /* by input */
    const int heads = (int)g->node->size.saved;
    rw_attention_work work = gather_inputs(plan, g);
    work.dout = gather(plan, WHOLE_OUT, g->dout, g->dout_ld);
    work.logs = gather(plan, WHOLE_LOGS, g->saved, heads);
    work.dots = gather(plan, WHOLE_DOTS, plan->dots, heads);
    rw_attention_backward(&work, to_whole(plan, WHOLE_DQ), to_whole(plan, WHOLE_DK),
                          to_whole(plan, WHOLE_DV));
    for (int k = 0; k < ATTENTION_INS; k++)
        scatter(plan, gradients[k], g->din[k], g->din_ld[k], g->din_add[k]);
}
