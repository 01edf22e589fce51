#include "measure/mixer_speed.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "measure/limits.h"
#include "measure/rounds.h"
#include "model/engine.h"

enum { STEP_TOKENS = 4096, CHUNK = 256 };
#define PRODUCTS_S 0.05

static const rw_format bytes_format = {.vocab = 256, .target_vocab = 256};

/* The model at one length. */
typedef struct {
    rw_config *config;
    rw_model *model;
    rw_engine *engine;
    rw_batch batch;
    double memory; /* bytes a token of this rank */
} bench;

/* ---- Setting up -------------------------------------------------------------- */

/* A sequence has at least one chunk a rank: short ones have shorter chunks. */
static int chunk_of(const rw_mixer_speed *s, long length)
{
    int chunk = CHUNK;
    while (chunk > 1 && length < (long)chunk * s->layout->sp) chunk /= 2;
    return chunk;
}

static rw_plan_options options_of(const rw_mixer_speed *s, long length)
{
    long dp = s->layout->dp, batch = (STEP_TOKENS + length - 1) / length;
    return (rw_plan_options){.length = length,
                             .batch = (batch + dp - 1) / dp * dp,
                             .chunk = chunk_of(s, length),
                             .accumulate = 1,
                             .training = true};
}

static rw_status fill_batch(const rw_engine *engine, rw_batch *batch)
{
    rw_range own = rw_engine_sequences(engine), rows = rw_engine_rows(engine);
    batch->sequences = own.end - own.begin;
    batch->rows = rows.end - rows.begin;
    batch->counted = batch->sequences * batch->rows;
    size_t n = (size_t)batch->counted;
    RW_TRY(rw_alloc(n, sizeof(int32_t), "tokens", &batch->tokens));
    RW_TRY(rw_alloc(n, sizeof(int32_t), "targets", &batch->targets));
    for (size_t i = 0; i < n; i++) batch->tokens[i] = batch->targets[i] = (int32_t)(i * 7919 % 251);
    return RW_OK;
}

static rw_status open_bench(const rw_mixer_speed *s, const rw_plan_options *options, bench *out)
{
    char text[256];
    snprintf(text, sizeof text, "{width: %d, chunk: %d, blocks: [{mixer: %s}]}", s->width,
             options->chunk, s->mixer->name);
    RW_TRY(rw_config_parse(text, "bench", NULL, 0, &out->config));
    RW_TRY(rw_model_new(out->config, &bytes_format, 1, true, &out->model));
    size_t before = rw_memory_in_use();
    RW_TRY(rw_engine_new(out->model, s->layout, options, &out->engine));
    size_t held = rw_memory_in_use() - before;
    RW_TRY(fill_batch(out->engine, &out->batch));
    out->memory = (double)held / (double)out->batch.counted;
    return RW_OK;
}

static void close_bench(bench *b)
{
    rw_free(&b->batch.tokens);
    rw_free(&b->batch.targets);
    rw_engine_destroy(&b->engine);
    rw_model_destroy(&b->model);
    rw_config_destroy(&b->config);
}

/* ---- Timing ------------------------------------------------------------------ */

static double over_ranks(const rw_layout *layout, double value, MPI_Op op)
{
    MPI_Allreduce(MPI_IN_PLACE, &value, 1, MPI_DOUBLE, op, layout->world);
    return value;
}

/* Rate of products of all ranks, at the same time. */
static double products(const rw_layout *layout)
{
    MPI_Barrier(layout->world);
    return over_ranks(layout, rw_measure_products(layout->threads, PRODUCTS_S), MPI_SUM);
}

/* One evaluation, or one training step: seconds of the slowest rank, and bytes
 * sent by all. */
static double time_pass(const rw_mixer_speed *s, bench *b, bool training, uint64_t step,
                        double *bytes)
{
    rw_loss loss;
    double before = rw_comm_count.bytes;
    MPI_Barrier(s->layout->world);
    double start = rw_seconds();
    if (training)
        rw_engine_train(b->engine, &b->batch, 1, step, &loss);
    else
        rw_engine_evaluate(b->engine, &b->batch, NULL, &loss);
    double seconds = over_ranks(s->layout, rw_seconds() - start, MPI_MAX);
    *bytes = over_ranks(s->layout, rw_comm_count.bytes - before, MPI_SUM);
    return seconds;
}

typedef struct {
    rw_rounds forward, step, forward_share, step_share;
} timings;

static void run_round(const rw_mixer_speed *s, bench *b, double flops, uint64_t round, timings *t)
{
    double sent, before = products(s->layout);
    double forward = time_pass(s, b, false, round, &sent);
    double between = products(s->layout);
    double step = time_pass(s, b, true, round, &sent);
    double after = products(s->layout);
    rw_rounds_add(&t->forward, forward);
    rw_rounds_add(&t->step, step);
    rw_rounds_add(&t->forward_share, flops / 3 / forward / (0.5 * (before + between)));
    rw_rounds_add(&t->step_share, flops / step / (0.5 * (between + after)));
}

/* The first passes warm up; their bytes are those of all. Stops early once the
 * time for one step is used up. */
static void run_rounds(const rw_mixer_speed *s, bench *b, rw_mixer_figures *out)
{
    timings t = {.forward = {.count = 0}};
    double tokens = (double)out->length * (double)out->batch;
    double flops = rw_model_step_flops(b->model, out->length, tokens), sent;
    time_pass(s, b, false, 0, &sent);
    out->forward_bytes = sent / tokens;
    double used = time_pass(s, b, true, 0, &sent);
    out->step_bytes = sent / tokens;
    while (out->rounds < s->rounds && (out->rounds == 0 || used < s->limit)) {
        out->rounds++;
        if (s->progress) s->progress(s->mixer->name, out->length, out->rounds, s->rounds);
        run_round(s, b, flops, (uint64_t)out->rounds, &t);
        used += t.step.value[out->rounds - 1];
    }
    out->forward = rw_rounds_median(&t.forward);
    out->step = rw_rounds_median(&t.step);
    out->forward_share = rw_rounds_median(&t.forward_share);
    out->step_share = rw_rounds_median(&t.step_share);
}

/* ---- What a length will take -------------------------------------------------- */

static void remember(rw_mixer_speed *s, long length, double seconds, double bytes)
{
    if (s->known_count == 2) s->known[0] = s->known[--s->known_count];
    s->known[s->known_count].length = length;
    s->known[s->known_count].seconds = seconds;
    s->known[s->known_count++].bytes = bytes;
}

/* Extrapolates a cost a token by the power of the length that the last two
 * lengths show, which is between 0 (linear mixers) and 1 (quadratic ones). */
static double extrapolate(const rw_mixer_speed *s, double older, double newer, long length)
{
    double ratio = (double)s->known[1].length / (double)s->known[0].length;
    double power = fmin(fmax(log(newer / older) / log(ratio), 0), 1);
    return newer * pow((double)length / (double)s->known[1].length, power);
}

/* What the rank may take of the memory that its host has to give. */
static double memory_left(const rw_layout *layout)
{
    MPI_Comm host;
    int ranks;
    double left = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE);
    MPI_Comm_split_type(layout->world, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &host);
    MPI_Comm_size(host, &ranks);
    MPI_Comm_free(&host);
    return over_ranks(layout, left / ranks - (double)rw_memory_in_use(), MPI_MIN);
}

/* Says why the length is not to be tried; false if it is, or if too little is known. */
static bool is_too_much(const rw_mixer_speed *s, long length, rw_mixer_figures *out)
{
    if (s->known_count < 2) return false;
    double tokens = (double)length * (double)options_of(s, length).batch, ranks = s->layout->size;
    double seconds = tokens * extrapolate(s, s->known[0].seconds, s->known[1].seconds, length);
    double bytes = tokens / ranks * extrapolate(s, s->known[0].bytes, s->known[1].bytes, length);
    double left = memory_left(s->layout);
    if (seconds > s->limit) {
        snprintf(out->reason, sizeof out->reason,
                 "a step would take about %.3g s, more than --limit %g", seconds, s->limit);
        return true;
    }
    if (bytes <= 0.8 * left) return false;
    snprintf(out->reason, sizeof out->reason,
             "a rank would hold about %.3g GB, and there are %.3g GB for it", 1e-9 * bytes,
             1e-9 * left);
    return true;
}

/* ---- One length --------------------------------------------------------------- */

/* Runs the length; two steps only where out is NULL, the faster of which counts. */
static rw_status run_length(rw_mixer_speed *s, long length, rw_mixer_figures *out)
{
    bench b = {.config = NULL};
    rw_plan_options options = options_of(s, length);
    double seconds, sent, tokens = (double)length * (double)options.batch;
    rw_status status = rw_agree(s->layout, open_bench(s, &options, &b));
    if (status != RW_OK) goto done;
    double memory = over_ranks(s->layout, b.memory, MPI_MAX);
    if (out) {
        run_rounds(s, &b, out);
        out->memory = memory;
        seconds = out->step;
    } else {
        seconds = time_pass(s, &b, true, 0, &sent);
        seconds = fmin(seconds, time_pass(s, &b, true, 1, &sent));
    }
    remember(s, length, seconds / tokens, memory);
done:
    close_bench(&b);
    return status;
}

/* Are the known lengths close enough to judge this one by? What they are off by
 * grows with the distance. */
static bool is_near(const rw_mixer_speed *s, long length)
{
    return length <= STEP_TOKENS || (s->known_count == 2 && length <= 4 * s->known[1].length);
}

static rw_status estimate_and_run(rw_mixer_speed *s, long length, rw_mixer_figures *out)
{
    while (!is_near(s, length)) {
        long probe = s->known_count ? 4 * s->known[s->known_count - 1].length : STEP_TOKENS / 4;
        if (probe >= length || is_too_much(s, probe, out)) break;
        RW_TRY(run_length(s, probe, NULL));
    }
    if (is_too_much(s, length, out)) return RW_OK;
    return run_length(s, length, out);
}

rw_status rw_mixer_speed_run(rw_mixer_speed *s, long length, rw_mixer_figures *out)
{
    *out = (rw_mixer_figures){.length = length, .batch = options_of(s, length).batch};
    rw_status status = estimate_and_run(s, length, out);
    if (status != RW_USAGE) return status;
    /* This mixer cannot be had at this width or length: the others can. */
    snprintf(out->reason, sizeof out->reason, "%.*s", (int)sizeof out->reason - 1, rw_message());
    rw_clear_message();
    return RW_OK;
}
