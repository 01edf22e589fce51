#include "measure/op_speed.h"

#include <math.h>
#include <stdio.h>

#include "measure/op_rig.h"
#include "measure/rounds.h"

/* Seconds for the measurement of a limit; least seconds of a round of an op. */
#define LIMIT_S 0.04
#define ROUND_S 0.04
#define OP_S    3.0 /* after so long no further round begins */
/* More than the caches of a rank's share of today's processors. */
#define WORKING_SET (128.0 * 1024 * 1024)
enum { MOST_REPEATS = 1000 };

typedef struct {
    double forward, backward, prepare;
} round_seconds;

static double timed(rw_op_rig *rig, void (*run)(rw_op_rig *))
{
    MPI_Barrier(rig->layout->world);
    double start = rw_seconds();
    run(rig);
    return rw_over_ranks(rig->layout, rw_seconds() - start, MPI_MAX);
}

/* Forward comes before each backward: some ops change in backward what forward saved. */
static round_seconds run_round(rw_op_rig *rig, int repeats)
{
    round_seconds sum = {0};
    for (int i = 0; i < repeats; i++) {
        sum.prepare += timed(rig, rw_op_rig_prepare) / repeats;
        sum.forward += timed(rig, rw_op_rig_forward) / repeats;
        sum.backward += timed(rig, rw_op_rig_backward) / repeats;
        sum.prepare += timed(rig, rw_op_rig_prepare_backward) / repeats;
    }
    return sum;
}

typedef struct {
    rw_rounds seconds, share, memory;
} timings;

static void add(timings *t, double seconds, double tokens, rw_cost cost, rw_rates rates)
{
    rw_rounds_add(&t->seconds, seconds / tokens);
    rw_rounds_add(&t->share, rw_roofline_seconds(cost, rates) / seconds);
    rw_rounds_add(&t->memory, rw_roofline_is_memory(cost, rates));
}

static rw_op_pass take(const timings *t, rw_cost cost, double tokens)
{
    return (rw_op_pass){.seconds = rw_rounds_median(&t->seconds),
                        .cost = {.flops = cost.flops / tokens, .bytes = cost.bytes / tokens},
                        .share = rw_rounds_median(&t->share),
                        .is_memory = rw_rounds_median(&t->memory) > 0.5};
}

static void measure(rw_op_rig *rig, int rounds, rw_op_figures *out)
{
    timings forward = {.seconds = {.count = 0}}, backward = forward;
    rw_rounds prepare = {.count = 0};
    double tokens = rw_op_rig_tokens(rig);
    rw_cost ahead = rw_op_rig_cost(rig, false), back = rw_op_rig_cost(rig, true);
    round_seconds warm = run_round(rig, 1);
    int repeats = (int)fmin(1 + ROUND_S / (warm.forward + warm.backward), MOST_REPEATS);
    double begin = rw_seconds(), used = 0;
    while (out->rounds < rounds && (out->rounds == 0 || used < OP_S)) {
        out->rounds++;
        rw_rates rates = rw_rates_measure(rig->layout, LIMIT_S);
        round_seconds took = run_round(rig, repeats);
        add(&forward, took.forward, tokens, ahead, rates);
        add(&backward, took.backward, tokens, back, rates);
        rw_rounds_add(&prepare, took.prepare);
        used = rw_over_ranks(rig->layout, rw_seconds() - begin, MPI_MAX);
    }
    out->forward = take(&forward, ahead, tokens);
    out->backward = take(&backward, back, tokens);
    out->prepare = rw_rounds_median(&prepare);
}

static void set_columns(const rw_node *node, rw_op_figures *out)
{
    out->out = node->out_width;
    for (int k = 0; k < node->ins; k++) out->in += node->in_width[k];
}

rw_status rw_op_speed_run(const rw_layout *layout, const rw_op_use *use, int rounds,
                          rw_op_figures *out)
{
    rw_op_rig rig;
    *out = (rw_op_figures){.rounds = 0};
    rw_status status =
        rw_agree(layout, rw_op_rig_open(layout, use->model, use->node, WORKING_SET, &rig));
    set_columns(&rig.node, out);
    if (status == RW_OK) measure(&rig, rounds, out);
    rw_op_rig_close(&rig);
    if (status != RW_USAGE) return status;
    snprintf(out->reason, sizeof out->reason, "%.*s", (int)sizeof out->reason - 1, rw_message());
    rw_clear_message();
    return RW_OK;
}
