#include "measure/bench_run.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "measure/limits.h"

#define LIMIT_S 0.3 /* seconds for the measurement of a limit */
enum { OP_CHUNK = 256 };

bool rw_bench_recompute(const char *name, rw_recompute *out)
{
    static const char *const names[] = {[RW_RECOMPUTE_NONE] = "none",
                                        [RW_RECOMPUTE_BLOCK] = "block",
                                        [RW_RECOMPUTE_CHUNK] = "chunk"};
    for (int i = RW_RECOMPUTE_NONE; i <= RW_RECOMPUTE_CHUNK; i++)
        if (strcmp(name, names[i]) == 0) {
            *out = (rw_recompute)i;
            return true;
        }
    return false;
}

static bool is_asked_for(const rw_bench_parts *parts, const char *name)
{
    return !parts->only || strstr(name, parts->only);
}

static void measure_limits(const rw_layout *layout, rw_limits *out)
{
    static const int sizes[RW_FFT_SIZES] = {4096, 131072};
    rw_progress(false, "bench: limits of the machine");
    out->rates = rw_rates_measure(layout, LIMIT_S);
    out->products_bf16 =
        rw_over_ranks(layout, rw_measure_products_bf16(layout->threads, LIMIT_S), MPI_SUM);
    out->subnormal = rw_over_ranks(layout, rw_measure_subnormal(LIMIT_S), MPI_MAX);
    for (int i = 0; i < RW_FFT_SIZES; i++) {
        out->fft_size[i] = sizes[i];
        out->fft[i] =
            rw_over_ranks(layout, rw_measure_fft(layout->threads, sizes[i], LIMIT_S), MPI_SUM);
    }
}

/* ---- Ops ------------------------------------------------------------------------- */

static rw_status measure_uses(const rw_bench_parts *parts, const rw_layout *layout,
                              const rw_op_uses *uses, rw_bench_record *record)
{
    for (size_t i = 0; i < uses->count; i++) {
        const rw_op_use *use = &uses->use[i];
        rw_op_row row = {.op = use->op->name, .where = use->where};
        if (!is_asked_for(parts, row.op)) continue;
        rw_progress(false, "bench: op %s", row.op);
        RW_TRY(rw_op_speed_run(layout, use, parts->rounds, &row.figures));
        RW_TRY(rw_agree(layout, rw_bench_add(&record->ops, &row, sizeof row)));
    }
    return RW_OK;
}

static rw_status measure_ops(const rw_bench_parts *parts, const rw_layout *layout,
                             rw_bench_record *record)
{
    rw_op_uses uses;
    rw_status status = rw_agree(layout, rw_op_uses_new(parts->width, OP_CHUNK, &uses));
    if (status == RW_OK) status = measure_uses(parts, layout, &uses, record);
    rw_op_uses_free(&uses);
    return status;
}

/* ---- Mixers and steps ---------------------------------------------------------------- */

/* On a terminal the line follows the rounds; elsewhere a line for each length is enough. */
static void show_round(const char *name, long length, int round, int rounds)
{
    if (round == 1 || rw_on_terminal())
        rw_progress(false, "bench: %s, %ld tokens, round %d of %d", name, length, round, rounds);
}

static rw_status measure_lengths(const rw_bench_parts *parts, rw_model_speed *speed,
                                 rw_bench_rows *rows)
{
    speed->rounds = parts->rounds;
    speed->limit = parts->limit;
    rw_bench_recompute(parts->recompute, &speed->recompute);
    speed->precision = parts->precision;
    speed->progress = show_round;
    for (int i = 0; i < parts->length_count; i++) {
        rw_model_row row = {.name = speed->name};
        RW_TRY(rw_model_speed_run(speed, parts->lengths[i], &row.figures));
        RW_TRY(rw_agree(speed->layout, rw_bench_add(rows, &row, sizeof row)));
    }
    return RW_OK;
}

static rw_status measure_mixer(const rw_bench_parts *parts, const rw_layout *layout,
                               const rw_mixer *mixer, rw_bench_record *record)
{
    char blocks[128];
    snprintf(blocks, sizeof blocks, "width: %d, blocks: [{mixer: %.60s}]", parts->width,
             mixer->name);
    rw_model_speed speed = {.layout = layout, .name = mixer->name, .blocks = blocks};
    return measure_lengths(parts, &speed, &record->mixers);
}

static rw_status measure_steps(const rw_bench_parts *parts, const rw_layout *layout,
                               const rw_step_model *model, rw_bench_record *record)
{
    rw_model_speed speed = {
        .layout = layout, .name = model->name, .blocks = model->blocks, .updates = true};
    return measure_lengths(parts, &speed, &record->steps);
}

/* ---- Ranks -------------------------------------------------------------------------- */

static rw_status measure_scaling(const rw_bench_parts *parts, const rw_layout *layout,
                                 const rw_step_model *model, rw_bench_record *record)
{
    for (int i = 0; i < parts->length_count; i++) {
        rw_scaling_row row = {.name = model->name};
        rw_progress(false, "bench: scaling of %s, %ld tokens", row.name, parts->lengths[i]);
        RW_TRY(rw_scaling_run(layout, model, parts->lengths[i], parts->rounds, &row.figures));
        RW_TRY(rw_agree(layout, rw_bench_add(&record->scaling, &row, sizeof row)));
    }
    return RW_OK;
}

static rw_status measure_invariance(const rw_bench_parts *parts, const rw_layout *layout,
                                    const rw_step_model *model, rw_bench_record *record)
{
    for (int i = 0; i < parts->length_count; i++) {
        rw_invariance_row row = {.name = model->name};
        rw_progress(false, "bench: invariance of %s, %ld tokens", row.name, parts->lengths[i]);
        RW_TRY(rw_invariance_run(layout, model, parts->lengths[i], parts->rounds, &row.figures));
        RW_TRY(rw_agree(layout, rw_bench_add(&record->invariance, &row, sizeof row)));
    }
    return RW_OK;
}

/* Payloads of 4 KiB, 64 KiB and 1 MiB; two sequences a rank, with two chunks of each sequence a
 * rank, so that every rank has a single maximal node. */
static rw_status measure_primitive(const rw_layout *layout, const rw_primitive *primitive,
                                   int rounds, rw_bench_record *record)
{
    rw_progress(false, "bench: %s", primitive->name);
    for (size_t reals = 1 << 10; reals <= 1 << 18; reals <<= 4) {
        rw_trial trial = {.layout = layout,
                          .sequences = 2 * layout->dp,
                          .chunks = 2 * layout->sp,
                          .reals = reals};
        rw_primitive_row row = {.primitive = primitive};
        RW_TRY(rw_primitive_measure(primitive, &trial, rounds, &row.figures));
        RW_TRY(rw_agree(layout, rw_bench_add(&record->primitives, &row, sizeof row)));
        if (!row.figures.exact)
            return rw_fail(RW_ERROR, "%s did not send the predicted number of bytes: see the table",
                           primitive->name);
    }
    return RW_OK;
}

/* ---- All ---------------------------------------------------------------------------- */

typedef rw_status (*of_model)(const rw_bench_parts *parts, const rw_layout *layout,
                              const rw_step_model *model, rw_bench_record *record);

static rw_status measure_models(const rw_bench_parts *parts, const rw_layout *layout,
                                of_model measure, rw_bench_record *record)
{
    for (const rw_step_model *m = rw_step_models; m->name; m++)
        if (is_asked_for(parts, m->name)) RW_TRY(measure(parts, layout, m, record));
    return RW_OK;
}

rw_status rw_bench_run(const rw_bench_parts *parts, const rw_layout *layout,
                       rw_bench_record *record)
{
    *record = (rw_bench_record){.dp = layout->dp,
                                .sp = layout->sp,
                                .threads = layout->threads,
                                .width = parts->width,
                                .chunk = OP_CHUNK,
                                .recompute = parts->recompute,
                                .precision = rw_precision_name(parts->precision),
                                .has_limits = parts->limits};
    if (parts->limits) measure_limits(layout, &record->limits);
    if (parts->ops) RW_TRY(measure_ops(parts, layout, record));
    for (int i = 0; i < parts->mixer_count; i++)
        RW_TRY(measure_mixer(parts, layout, parts->mixers[i], record));
    if (parts->steps) RW_TRY(measure_models(parts, layout, measure_steps, record));
    if (parts->scaling) RW_TRY(measure_models(parts, layout, measure_scaling, record));
    if (parts->invariance) RW_TRY(measure_models(parts, layout, measure_invariance, record));
    for (const rw_primitive *p = rw_primitives; parts->primitives && p->name; p++)
        RW_TRY(measure_primitive(layout, p, parts->rounds, record));
    bool some =
        record->ops.count + record->steps.count + record->scaling.count + record->invariance.count;
    if (parts->only && !some)
        return rw_fail(RW_USAGE, "no requested op or model has %.60s in the name", parts->only);
    rw_progress(true, "bench: done");
    return RW_OK;
}
