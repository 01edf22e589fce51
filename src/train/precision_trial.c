#include "train/precision_trial.h"

#include <math.h>

#include "data_pipeline/loader.h"
#include "model/engine.h"

enum { CHUNKS = 2, MOST_STEPS = 5, PASSES = 2 };
#define STEPS_S 0.1 /* steps in each precision, if there is time for several */
#define PASS_S  0.5 /* a longer pass is not repeated */

rw_precision rw_precision_choose(double float32_rate, double bf16_rate)
{
    bool faster = float32_rate > 0 && bf16_rate >= RW_PRECISION_GAIN * float32_rate;
    return faster && isfinite(bf16_rate) ? RW_PRECISION_BF16 : RW_PRECISION_FLOAT32;
}

/* A step of the same model, cut down to the smallest size that keeps all threads busy. */
static rw_plan_options small_step(const rw_settings *s, const rw_layout *layout, int chunk)
{
    rw_plan_options o = rw_settings_plan(s, chunk, true);
    long length = (long)CHUNKS * layout->sp * chunk, batch = (long)layout->threads * layout->dp;
    if (o.length > length) o.length = length;
    if (o.batch > batch) o.batch = batch;
    o.accumulate = 1;
    o.carry = false;
    return o;
}

static double slowest(const rw_layout *layout, double seconds)
{
    MPI_Allreduce(MPI_IN_PLACE, &seconds, 1, MPI_DOUBLE, MPI_MAX, layout->world);
    MPI_Bcast(&seconds, 1, MPI_DOUBLE, 0, layout->world);
    return seconds;
}

static double time_step(const rw_layout *layout, rw_engine *engine, const rw_batch *batch)
{
    rw_loss loss;
    MPI_Barrier(layout->world);
    double start = MPI_Wtime();
    rw_engine_train(engine, batch, 0, 0, &loss);
    return slowest(layout, MPI_Wtime() - start);
}

/* The first step warms up, and says how many there is time for. */
static void time_steps(const rw_layout *layout, rw_engine *engine, const rw_batch *batch,
                       double *best)
{
    double first = time_step(layout, engine, batch);
    int steps = (int)fmin(fmax(STEPS_S / first, 1), MOST_STEPS);
    for (int i = 0; i < steps; i++) *best = fmin(*best, time_step(layout, engine, batch));
}

static rw_status read_batch(rw_source *source, const rw_engine *engine, long batch,
                            rw_loader **loader, const rw_batch **out)
{
    RW_TRY(rw_loader_new(source, RW_TRAIN, batch, rw_engine_sequences(engine),
                         rw_engine_rows(engine), 0, loader));
    return rw_loader_next(*loader, out);
}

/* *best: the seconds of the fastest step so far. */
static rw_status time_precision(const rw_layout *layout, rw_source *source, rw_model *model,
                                const rw_plan_options *options, double *best)
{
    rw_status status = RW_OK;
    rw_engine *engine = NULL;
    rw_loader *loader = NULL;
    const rw_batch *batch;
    RW_TRY_DONE(rw_agree(layout, rw_engine_new(model, layout, options, &engine)));
    RW_TRY_DONE(rw_agree(layout, read_batch(source, engine, options->batch, &loader, &batch)));
    time_steps(layout, engine, batch, best);
done:
    rw_loader_destroy(&loader);
    rw_engine_destroy(&engine);
    return status;
}

/* Operations a token at length `whole`, over the operations at length `part`. */
static double longer(const rw_model *model, long whole, long part)
{
    return rw_model_step_flops(model, whole, 1) / rw_model_step_flops(model, part, 1);
}

rw_status rw_precision_try(const rw_settings *settings, const rw_layout *layout, rw_source *source,
                           rw_model *model, rw_precision rounded, rw_precision_trial *out)
{
    rw_plan_options options = small_step(settings, layout, model->chunk);
    double start = MPI_Wtime(), float32 = INFINITY, bf16 = INFINITY;
    for (int pass = 0; pass < PASSES; pass++) {
        options.precision = RW_PRECISION_FLOAT32;
        RW_TRY(time_precision(layout, source, model, &options, &float32));
        options.precision = rounded;
        RW_TRY(time_precision(layout, source, model, &options, &bf16));
        if (slowest(layout, MPI_Wtime() - start) > PASS_S) break;
    }
    double more = float32 * (longer(model, settings->length, options.length) - 1);
    out->tokens = options.batch * options.length;
    out->float32_rate = (double)out->tokens / (float32 + more);
    out->bf16_rate = (double)out->tokens / (bf16 + more);
    return RW_OK;
}
