/* Whole training steps: tokens a second, and the share of the float32 GEMM rate
 * measured in the same run, steps and products in turn; and how many times as fast
 * a step is in bf16, where the processor has it.
 *
 *   bench_step [LENGTH [ROUNDS]]
 *
 * Counted are the operations of the model's definition, forward once and
 * backward twice that; recomputed work does not count. */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "kernels/gemm.h"
#include "measure/limits.h"
#include "measure/rounds.h"
#include "model/engine.h"

typedef struct {
    const char *name;
    const char *text; /* the `model` part of a configuration */
} candidate;

static const candidate candidates[] = {
    {"ssd, width 512", "width: 512\nrepeat: 4\nblocks:\n  - {mixer: ssd, state: 64, heads: 8}\n"},
    {"ssd + mlp, width 512",
     "width: 512\nrepeat: 2\nblocks:\n  - {mixer: ssd, state: 64, heads: 8}\n"
     "  - {mlp: swiglu, expand: 2}\n"},
    {"ssd, width 256", "width: 256\nrepeat: 4\nblocks:\n  - {mixer: ssd, state: 64, heads: 8}\n"},
    {"lssl, width 256", "width: 256\nrepeat: 4\nblocks:\n  - {mixer: lssl, state: 64}\n"},
    {"s4d, width 256", "width: 256\nrepeat: 4\nblocks:\n  - {mixer: s4d, state: 64}\n"},
};

static const rw_format bytes = {.vocab = 256, .target_vocab = 256};

static rw_status make_batch(long sequences, long rows, rw_batch *batch)
{
    *batch = (rw_batch){.sequences = sequences, .rows = rows, .counted = sequences * rows};
    size_t n = (size_t)(sequences * rows);
    RW_TRY(rw_alloc(n, sizeof(int32_t), "tokens", &batch->tokens));
    RW_TRY(rw_alloc(n, sizeof(int32_t), "targets", &batch->targets));
    for (size_t i = 0; i < n; i++) batch->tokens[i] = batch->targets[i] = (int32_t)(i * 7919 % 251);
    return RW_OK;
}

static double seconds_of_step(rw_engine *engine, const rw_batch *batch, int step)
{
    rw_loss loss;
    double start = rw_seconds();
    rw_engine_train(engine, batch, 1, (uint64_t)step, &loss);
    return rw_seconds() - start;
}

/* Products by all threads for 50 ms: operations a second. */
static double products(int threads)
{
    return rw_measure_products(threads, 0.05);
}

/* narrow: the engine for bf16, or NULL. */
static void time_steps(const candidate *c, rw_model *model, rw_engine *engine, rw_engine *narrow,
                       const rw_batch *batch, int threads, int rounds)
{
    rw_rounds rate = {.count = 0}, share = {.count = 0}, faster = {.count = 0};
    double tokens = (double)(batch->sequences * batch->rows);
    double flops = rw_model_step_flops(model, batch->rows, tokens);
    for (int i = 0; i <= rounds; i++) {
        double gemm = products(threads), seconds = seconds_of_step(engine, batch, i);
        double in_bf16 = narrow ? seconds_of_step(narrow, batch, i) : 0;
        gemm = 0.5 * (gemm + products(threads));
        if (i == 0) continue; /* warm-up */
        rw_rounds_add(&rate, tokens / seconds);
        rw_rounds_add(&share, flops / seconds / gemm);
        if (narrow) rw_rounds_add(&faster, seconds / in_bf16);
    }
    printf("%-24s %8ld %10.0f %12.1f %10.2f", c->name, batch->rows, rw_rounds_median(&rate),
           flops / tokens * rw_rounds_median(&rate) * 1e-9, rw_rounds_median(&share));
    if (narrow)
        printf(" %8.2f\n", rw_rounds_median(&faster));
    else
        printf(" %8s\n", "no");
    fflush(stdout);
}

static rw_status run(const candidate *c, const rw_layout *layout, long length, int rounds)
{
    rw_status status = RW_OK;
    rw_config *config = NULL;
    rw_model *model = NULL;
    rw_engine *engine = NULL, *narrow = NULL;
    rw_batch batch = {.sequences = 0};
    rw_plan_options plan = {.length = length, .batch = 2, .accumulate = 1, .training = true};
    RW_TRY_DONE(rw_config_parse(c->text, c->name, NULL, 0, &config));
    RW_TRY_DONE(rw_model_new(config, &bytes, 1, true, &model));
    plan.chunk = model->chunk;
    RW_TRY_DONE(rw_engine_new(model, layout, &plan, &engine));
    plan.precision = RW_PRECISION_BF16;
    if (!rw_precision_missing(plan.precision))
        RW_TRY_DONE(rw_engine_new_sharing(model, layout, &plan, engine, &narrow));
    RW_TRY_DONE(make_batch(plan.batch, length, &batch));
    time_steps(c, model, engine, narrow, &batch, layout->threads, rounds);
done:
    rw_free(&batch.tokens);
    rw_free(&batch.targets);
    rw_engine_destroy(&narrow);
    rw_engine_destroy(&engine);
    rw_model_destroy(&model);
    rw_config_destroy(&config);
    return status;
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    rw_gemm_one_thread();
    long length = argc > 1 ? atol(argv[1]) : 4096;
    int rounds = argc > 2 ? atoi(argv[2]) : 7;
    rw_layout layout;
    rw_status status = rw_layout_alone(0, &layout);
    printf("%d threads, GEMM %.1f GFLOP/s\n", layout.threads, products(layout.threads) * 1e-9);
    printf("%-24s %8s %10s %12s %10s %8s\n", "model", "length", "tokens/s", "GFLOP/s", "of GEMM",
           "bf16");
    for (size_t i = 0; status == RW_OK && i < sizeof candidates / sizeof *candidates; i++)
        status = run(&candidates[i], &layout, length, rounds);
    if (status != RW_OK) fprintf(stderr, "%s\n", rw_message());
    rw_layout_free(&layout);
    MPI_Finalize();
    return status;
}
