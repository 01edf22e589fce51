#include "ops/attention/attention_route.h"

#include <math.h>

#include "mpi/slab_exchange.h"

/* ---- Choice --------------------------------------------------------------------- */

/* By heads every rank has equal work. On a ring the last rank has nearly twice the mean, unless a
 * window makes the work equal; then few rows travel. */
static rw_attention_route choose(const rw_attention_options *options, const rw_span *span)
{
    const int ranks = span->layout->sp;
    if (ranks == 1) return RW_ATTENTION_ALONE;
    if (options->exchange == RW_ATTENTION_BY_HEADS) return RW_ATTENTION_HEADS;
    if (options->exchange == RW_ATTENTION_BY_RING) return RW_ATTENTION_RING;
    bool halo = options->window > 0 && options->window - 1 <= rw_span_most_rows(span);
    return !halo && ranks <= options->kv_heads ? RW_ATTENTION_HEADS : RW_ATTENTION_RING;
}

/* ---- Memory --------------------------------------------------------------------- */

static void *take(rw_attention_plan *plan, real *memory, size_t bytes)
{
    size_t reals = (bytes + 63) / 64 * 64 / sizeof(real);
    real *at = memory ? memory + plan->reals : NULL;
    plan->reals += reals;
    return at;
}

static real *take_reals(rw_attention_plan *plan, real *memory, size_t reals)
{
    return take(plan, memory, reals * sizeof(real));
}

int rw_attention_whole_width(const rw_attention_plan *plan, int whole)
{
    switch (whole) {
    case WHOLE_K:
    case WHOLE_V:
    case WHOLE_DK:
    case WHOLE_DV:
        return plan->width;
    case WHOLE_LOGS:
    case WHOLE_DOTS:
        return plan->group;
    default:
        return plan->group * plan->width;
    }
}

size_t rw_attention_keys_width(const rw_attention_plan *plan)
{
    return 2 * (size_t)plan->width;
}

size_t rw_attention_queries_width(const rw_attention_plan *plan)
{
    return (size_t)plan->group * (2 * (size_t)plan->width + 2);
}

static void take_heads(rw_attention_plan *plan, real *memory)
{
    const rw_span *span = plan->span;
    for (int i = 0; i < WHOLES; i++)
        plan->whole[i] = take_reals(
            plan, memory, rw_slabs_reals(span, plan->slabs, rw_attention_whole_width(plan, i)));
    plan->buffer =
        take_reals(plan, memory, rw_slabs_buffer(span, plan->slabs, plan->group * plan->width));
}

/* As many slabs, then sequences, as fit: the same number on all ranks. */
static void set_wave(rw_attention_plan *plan, size_t most)
{
    const long rows = rw_span_most_rows(plan->span);
    size_t threads = rw_attention_pass_reals(&plan->work, 0, rows);
    size_t row = rw_attention_queries_width(plan);
    if (row < rw_attention_keys_width(plan)) row = rw_attention_keys_width(plan);
    size_t each = rw_attention_pass_reals(&plan->work, 1, rows) - threads + 2 * (size_t)rows * row;
    long slabs = (long)(most / each), sequences = slabs / plan->slabs;
    if (sequences > plan->span->most) sequences = plan->span->most;
    plan->wave_sequences = sequences > 0 ? sequences : 1;
    plan->wave_slabs = sequences > 0 ? plan->slabs : slabs > 0 ? (int)slabs : 1;
}

static void take_ring(rw_attention_plan *plan, real *memory)
{
    const size_t ranks = (size_t)plan->span->layout->sp;
    const size_t rows = (size_t)rw_span_most_rows(plan->span);
    const size_t slabs = (size_t)plan->wave_sequences * (size_t)plan->wave_slabs;
    size_t width = rw_attention_queries_width(plan);
    if (width < rw_attention_keys_width(plan)) width = rw_attention_keys_width(plan);
    for (int i = 0; i < 2; i++) plan->block[i] = take_reals(plan, memory, rows * slabs * width);
    plan->rows = take(plan, memory, ranks * sizeof(rw_range));
    plan->need = take(plan, memory, ranks * sizeof(rw_range));
}

static void take_all(rw_attention_plan *plan, const rw_node *node, real *memory)
{
    const rw_span *span = plan->span;
    const bool ring = plan->route == RW_ATTENTION_RING;
    const rw_attention_options *options = node->attributes;
    const size_t blocks = (size_t)rw_attention_blocks(&plan->mask), heads = node->size.saved;
    plan->first = take(plan, memory, (size_t)span->most * blocks * sizeof(long));
    plan->dots = take_reals(plan, memory, (size_t)(span->most * span->stride) * heads);
    if (ring) set_wave(plan, (size_t)options->ring_reals);
    plan->pass = take_reals(
        plan, memory,
        rw_attention_pass_reals(&plan->work, ring ? plan->wave_sequences * plan->wave_slabs : 0,
                                ring ? rw_span_most_rows(span) : 0));
    if (ring) take_ring(plan, memory);
    if (plan->route == RW_ATTENTION_HEADS) take_heads(plan, memory);
}

void rw_attention_plan_fill(const rw_node *node, const rw_span *span, real *memory,
                            rw_attention_plan *out)
{
    const rw_attention_options *options = node->attributes;
    const int block = span->chunk < RW_ATTENTION_BLOCK ? span->chunk : RW_ATTENTION_BLOCK;
    *out = (rw_attention_plan){.span = span,
                               .route = choose(options, span),
                               .slabs = options->kv_heads,
                               .group = options->heads / options->kv_heads,
                               .width = node->in_width[ATTENTION_Q] / options->heads};
    out->mask =
        (rw_attention_mask){.length = span->length, .window = options->window, .block = block};
    out->work = (rw_attention_work){.mask = &out->mask,
                                    .group = out->group,
                                    .width = out->width,
                                    .scale = (real)(1 / sqrt(out->width)),
                                    .threads = span->layout->threads,
                                    .sequences = {0, span->sequences},
                                    .slabs = out->slabs,
                                    .rows = span->rows,
                                    .arrived = span->rows};
    take_all(out, node, memory);
    out->mask.first = out->first;
    out->work.memory = out->pass;
}

/* ---- Matrices ------------------------------------------------------------------- */

rw_attention_rows rw_attention_in_place(const rw_attention_plan *plan, const real *at, int ld,
                                        int width)
{
    return (rw_attention_rows){at, (size_t)plan->span->stride * (size_t)ld, (size_t)width,
                               (size_t)ld, plan->span->rows.begin};
}

rw_attention_target rw_attention_to_place(const rw_attention_plan *plan, real *at, int ld,
                                          int width, bool add)
{
    return (rw_attention_target){at,
                                 (size_t)plan->span->stride * (size_t)ld,
                                 (size_t)width,
                                 (size_t)ld,
                                 plan->span->rows.begin,
                                 add};
}
