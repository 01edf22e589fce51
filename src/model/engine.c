#include "model/engine.h"

#include "base/memory.h"
#include "kernels/gemm.h"
#include "model/carry_exchange.h"
#include "model/global_run.h"
#include "model/pass.h"
#include "model/step_carry.h"

/* ---- Making -------------------------------------------------------------- */

static bool same_places(const rw_plan *a, const rw_plan *b)
{
    for (int i = 0; i < a->node_count; i++)
        if (a->places[i].derived != b->places[i].derived) return false;
    return true;
}

/* Do both plans place the derived data alike? prepare does not write all of it. */
static bool same_derived(const rw_plan *a, const rw_plan *b)
{
    return a->node_count == b->node_count && a->derived_total == b->derived_total &&
           same_places(a, b);
}

/* The memory of the other engine if it is large enough, else memory of its own. */
static rw_status allocate_shared(rw_engine *e)
{
    const rw_plan *p = e->plan, *other = e->with ? e->with->plan : NULL;
    const size_t scratch = rw_plan_thread_scratch(p);
    if (other && other->arena >= p->arena) e->arena = e->with->arena;
    if (other && rw_plan_thread_scratch(other) >= scratch) e->scratch = e->with->scratch;
    if (other && same_derived(other, p)) e->derived = e->with->derived;
    if (!e->arena) RW_TRY(rw_alloc(p->arena, sizeof(real), "activations", &e->arena));
    if (!e->scratch)
        RW_TRY(rw_alloc((size_t)e->layout->threads * scratch, sizeof(real), "scratch memory",
                        &e->scratch));
    if (e->derived) return RW_OK;
    return rw_alloc(p->derived_total, sizeof(real), "derived parameters", &e->derived);
}

static void free_shared(rw_engine *e)
{
    const rw_engine *with = e->with;
    if (!with || e->arena != with->arena) rw_free(&e->arena);
    if (!with || e->scratch != with->scratch) rw_free(&e->scratch);
    if (!with || e->derived != with->derived) rw_free(&e->derived);
}

static rw_status allocate(rw_engine *e)
{
    const rw_plan *p = e->plan;
    size_t threads = (size_t)e->layout->threads, ordered = 0;
    for (int i = 0; i < p->node_count; i++) {
        const rw_node *node = &p->nodes[i];
        if (node->op->sequence && node->size.state > ordered) ordered = node->size.state;
    }
    long local = p->chunks.end - p->chunks.begin;
    long sequences = p->sequences.end - p->sequences.begin;
    RW_TRY(allocate_shared(e));
    if (p->options.training && p->options.recompute == RW_RECOMPUTE_CHUNK)
        RW_TRY(rw_alloc(threads * p->largest_leaf, sizeof(real), "gradients to throw away",
                        &e->discarded));
    RW_TRY(rw_alloc((size_t)(sequences * local), sizeof(double), "losses", &e->losses));
    RW_TRY(rw_alloc((size_t)(sequences * local), sizeof(double), "losses", &e->corrects));
    RW_TRY(rw_alloc((size_t)(p->micro * local), 1, "documents", &e->cuts));
    RW_TRY(rw_pipeline_new(e->layout, p->micro, ordered, &e->pipeline));
    RW_TRY(rw_carry_exchange_new(e, &e->exchange));
    RW_TRY(rw_global_allocate(e));
    RW_TRY(rw_step_carry_new(p, &e->carry));
    return rw_gradient_sum_new(p, e->layout, &e->sum);
}

rw_status rw_engine_new(rw_model *model, const rw_layout *layout, const rw_plan_options *options,
                        rw_engine **out)
{
    return rw_engine_new_sharing(model, layout, options, NULL, out);
}

rw_status rw_engine_new_sharing(rw_model *model, const rw_layout *layout,
                                const rw_plan_options *options, rw_engine *with, rw_engine **out)
{
    rw_status status = RW_OK;
    rw_engine *e = NULL;
    if (layout->threads > 1 && !rw_gemm_is_thread_safe())
        return rw_fail(RW_ERROR,
                       "this OpenBLAS was built for one thread: several threads would get wrong "
                       "products; install another (apt install libopenblas0-pthread), or use "
                       "--threads 1 and more ranks");
    const char *missing = rw_precision_missing(options->precision);
    if (missing)
        return rw_fail(RW_USAGE, "no products in bf16: %s; use float32 or bf16_emulated", missing);
    RW_TRY(rw_alloc(1, sizeof *e, "the engine", &e));
    e->model = model;
    e->layout = layout;
    e->with = with;
    RW_TRY_DONE(rw_plan_new(model->graph, layout, options, &e->plan));
    RW_TRY_DONE(allocate(e));
    if (!with && !rw_gemm_take_buffers(layout->threads))
        status = rw_fail(RW_ERROR,
                         "out of memory: beside what is in use, OpenBLAS needs 128 MiB of address "
                         "space for each of %d threads; raise the limits of this process (ulimit "
                         "-v, ulimit -d), or use fewer threads or a smaller model",
                         layout->threads);
done:
    if (status != RW_OK) rw_engine_destroy(&e);
    *out = e;
    return status;
}

void rw_engine_destroy(rw_engine **engine)
{
    rw_engine *e = *engine;
    if (!e) return;
    rw_gradient_sum_destroy(&e->sum);
    rw_carry_exchange_destroy(&e->exchange);
    rw_pipeline_destroy(&e->pipeline);
    rw_step_carry_destroy(&e->carry);
    free_shared(e);
    rw_free(&e->losses);
    rw_free(&e->corrects);
    rw_free(&e->cuts);
    rw_free(&e->discarded);
    rw_free(&e->workspace);
    rw_free(&e->starts);
    rw_free(&e->extended);
    rw_free(&e->extended_starts);
    rw_plan_destroy(&e->plan);
    rw_free(engine);
}

rw_range rw_engine_sequences(const rw_engine *engine)
{
    return engine->plan->sequences;
}

rw_range rw_engine_rows(const rw_engine *engine)
{
    long begin = engine->plan->chunks.begin * engine->plan->options.chunk;
    return (rw_range){begin, begin + rw_plan_rows(engine->plan)};
}

void rw_engine_let_stop(rw_engine *e, bool (*stop)(void *state), void *state)
{
    e->stop = stop;
    e->stop_state = state;
}

void rw_engine_carry_on(rw_engine *e)
{
    rw_step_carry_hand_on(e->carry, e->layout);
}

int rw_engine_carried(const rw_engine *e, const rw_carried **out)
{
    return rw_step_carry_list(e->carry, out);
}
