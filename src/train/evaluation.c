#include "train/evaluation.h"

#include <math.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"

struct rw_evaluation {
    const rw_layout *layout;
    rw_source *source;
    rw_engine *engine;
    long batch;
    real *row_loss; /* (local sequences, local rows) */
};

rw_status rw_evaluation_new(rw_model *model, const rw_layout *layout, rw_source *source,
                            const rw_plan_options *options, rw_engine *with, rw_evaluation **out)
{
    rw_status status = RW_OK;
    rw_evaluation *v = NULL;
    RW_TRY(rw_alloc(1, sizeof *v, "evaluation", &v));
    v->layout = layout;
    v->source = source;
    v->batch = options->batch;
    RW_TRY_DONE(rw_engine_new_sharing(model, layout, options, with, &v->engine));
    rw_range b = rw_engine_sequences(v->engine), rows = rw_engine_rows(v->engine);
    RW_TRY_DONE(rw_alloc((size_t)((b.end - b.begin) * (rows.end - rows.begin)), sizeof(real),
                         "evaluation", &v->row_loss));
done:
    if (status != RW_OK) rw_evaluation_destroy(&v);
    *out = v;
    return status;
}

void rw_evaluation_destroy(rw_evaluation **evaluation)
{
    if (!*evaluation) return;
    rw_engine_destroy(&(*evaluation)->engine);
    rw_free(&(*evaluation)->row_loss);
    rw_free(evaluation);
}

static bool counts(const rw_batch *batch, long i)
{
    if (batch->targets) return batch->targets[i] != RW_IGNORE;
    real first = batch->target_features[i * batch->target_width];
    return first == first;
}

static void add_positions(const rw_evaluation *v, const rw_batch *batch, rw_by_position *sums)
{
    long first = rw_engine_rows(v->engine).begin;
    for (long i = 0; i < batch->sequences * batch->rows; i++) {
        if (!counts(batch, i)) continue;
        int bucket = 63 - __builtin_clzll((unsigned long long)(first + i % batch->rows + 1));
        sums->loss[bucket] += (double)v->row_loss[i];
        sums->counted[bucket]++;
    }
}

static uint64_t all_batches(const rw_evaluation *v)
{
    uint64_t sequences = rw_source_heldout_count(v->source), batch = (uint64_t)v->batch;
    return sequences ? (sequences + batch - 1) / batch : 8;
}

/* A batch. Every rank takes part, also a rank that could not read its data. */
static rw_status run_batch(rw_evaluation *v, rw_loader *loader, rw_by_position *positions,
                           rw_loss *out)
{
    const rw_batch *batch;
    RW_TRY(rw_agree(v->layout, rw_loader_next(loader, &batch)));
    rw_engine_evaluate(v->engine, batch, positions ? v->row_loss : NULL, out);
    if (positions) add_positions(v, batch, positions);
    return RW_OK;
}

rw_status rw_evaluation_run(rw_evaluation *v, uint64_t batches, rw_by_position *positions,
                            rw_loss *out)
{
    rw_status status = RW_OK;
    rw_loader *loader = NULL;
    uint64_t most = all_batches(v);
    if (!batches || (rw_source_heldout_count(v->source) && batches > most)) batches = most;
    memset(out, 0, sizeof *out);
    if (positions) memset(positions, 0, sizeof *positions);
    RW_TRY_DONE(rw_agree(v->layout, rw_loader_new(v->source, RW_HELDOUT, v->batch,
                                                  rw_engine_sequences(v->engine),
                                                  rw_engine_rows(v->engine), 0, &loader)));
    for (uint64_t i = 0; i < batches; i++) {
        rw_loss one;
        RW_TRY_DONE(run_batch(v, loader, positions, &one));
        if (one.counted > 0) out->loss += one.loss * one.counted;
        out->counted += one.counted;
        out->correct += one.correct;
        if (rw_on_terminal())
            rw_progress(false, "evaluating: batch %llu of %llu", (unsigned long long)i + 1,
                        (unsigned long long)batches);
    }
    out->loss = out->counted > 0 ? out->loss / out->counted : NAN;
    if (positions)
        MPI_Allreduce(MPI_IN_PLACE, positions, 2 * RW_POSITION_BUCKETS, MPI_DOUBLE, MPI_SUM,
                      v->layout->world);
done:
    rw_loader_destroy(&loader);
    return status;
}
