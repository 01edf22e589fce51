#include "measure/model_speed.h"

#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include "base/memory.h"
#include "measure/roofline.h"
#include "measure/rounds.h"
#include "measure/trainee.h"

enum { STEP_TOKENS = 4096 };
#define LIMIT_S 0.05 /* seconds for each limit, measured in turn with the steps */

static rw_plan_options options_of(const rw_model_speed *s, long length)
{
    return (rw_plan_options){.length = length,
                             .batch = rw_trainee_batch(length, STEP_TOKENS, s->layout->dp),
                             .chunk = rw_trainee_chunk(length, s->layout->sp),
                             .accumulate = 1,
                             .recompute = s->recompute,
                             .precision = s->precision,
                             .training = true};
}

static double tokens_of(const rw_model_figures *f)
{
    return (double)f->length * (double)f->batch;
}

/* ---- Timing ------------------------------------------------------------------ */

/* Seconds of an evaluation or a training step, and the bytes of all ranks. */
static double run_pass(rw_trainee *t, bool training, uint64_t step, double *sent)
{
    double before = rw_comm_count.bytes;
    double seconds = training ? rw_trainee_step(t, step) : rw_trainee_evaluate(t);
    *sent = rw_over_ranks(t->layout, rw_comm_count.bytes - before, MPI_SUM);
    return seconds;
}

typedef struct {
    rw_rounds seconds, products, limits;
} timings;

/* Between two measurements of the limits; `rates`: the first, becomes the second. */
static void time_pass(rw_trainee *t, const rw_model_figures *f, bool training, rw_rates *rates,
                      timings *out)
{
    double sent, tokens = tokens_of(f);
    double seconds = run_pass(t, training, (uint64_t)f->rounds, &sent);
    rw_rates after = rw_rates_measure(t->layout, LIMIT_S);
    rw_rates mean = {0.5 * (rates->products + after.products),
                     0.5 * (rates->memory + after.memory)};
    double flops = tokens * f->flops / (training ? 1 : 3);
    rw_rounds_add(&out->seconds, seconds);
    rw_rounds_add(&out->products, flops / seconds / mean.products);
    rw_rounds_add(&out->limits,
                  rw_roofline_model(t->model, f->length, tokens, training, mean) / seconds);
    *rates = after;
}

static void take(const timings *t, rw_pass_figures *out)
{
    out->seconds = rw_rounds_median(&t->seconds);
    out->products = rw_rounds_median(&t->products);
    out->limits = rw_rounds_median(&t->limits);
}

/* The first passes warm up; their bytes are the bytes of all passes. Stops early when the time for
 * a step is used up. */
static void run_rounds(const rw_model_speed *s, rw_trainee *t, rw_model_figures *out)
{
    timings forward = {.seconds = {.count = 0}}, step = forward;
    double tokens = tokens_of(out), sent = 0, used = 0;
    out->flops = rw_model_step_flops(t->model, out->length, tokens) / tokens;
    if (!s->updates) run_pass(t, false, 0, &sent);
    out->forward.sent_bytes = sent / tokens;
    used = run_pass(t, true, 0, &sent);
    out->step.sent_bytes = sent / tokens;
    rw_rates rates = rw_rates_measure(s->layout, LIMIT_S);
    while (out->rounds < s->rounds && (out->rounds == 0 || used < s->limit)) {
        out->rounds++;
        if (s->progress) s->progress(s->name, out->length, out->rounds, s->rounds);
        if (!s->updates) time_pass(t, out, false, &rates, &forward);
        time_pass(t, out, true, &rates, &step);
        used += step.seconds.value[out->rounds - 1];
    }
    take(&forward, &out->forward);
    take(&step, &out->step);
}

/* ---- What a length will take -------------------------------------------------- */

static void remember(rw_model_speed *s, long length, double seconds, double bytes)
{
    if (s->known_count == 2) s->known[0] = s->known[--s->known_count];
    s->known[s->known_count].length = length;
    s->known[s->known_count].seconds = seconds;
    s->known[s->known_count++].bytes = bytes;
}

/* Extrapolates a cost a token by a power of the length, from the last two lengths; the power is
 * between 0 (linear mixers) and 1 (quadratic mixers). */
static double extrapolate(const rw_model_speed *s, double older, double newer, long length)
{
    double ratio = (double)s->known[1].length / (double)s->known[0].length;
    double power = fmin(fmax(log(newer / older) / log(ratio), 0), 1);
    return newer * pow((double)length / (double)s->known[1].length, power);
}

/* The memory that a rank may take of its host. */
static double memory_left(const rw_layout *layout)
{
    MPI_Comm host;
    int ranks;
    double left = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE);
    MPI_Comm_split_type(layout->world, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &host);
    MPI_Comm_size(host, &ranks);
    MPI_Comm_free(&host);
    return rw_over_ranks(layout, left / ranks - (double)rw_memory_in_use(), MPI_MIN);
}

/* Says why a length is not tried; false if it is tried, or if too little is known. */
static bool is_too_much(const rw_model_speed *s, long length, rw_model_figures *out)
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
             "a rank would hold about %.3g GB, more than 0.8 of the %.3g GB that there are for it",
             1e-9 * bytes, 1e-9 * left);
    return true;
}

/* ---- One length --------------------------------------------------------------- */

/* Runs a length; with out NULL only two steps, of which the faster counts. */
static rw_status run_length(rw_model_speed *s, long length, rw_model_figures *out)
{
    rw_trainee t;
    rw_plan_options options = options_of(s, length);
    double seconds, tokens = (double)length * (double)options.batch;
    rw_status status =
        rw_agree(s->layout, rw_trainee_open(s->layout, s->blocks, &options, s->updates, &t));
    if (status != RW_OK) goto done;
    double memory = rw_over_ranks(s->layout, t.memory / (double)t.batch.counted, MPI_MAX);
    if (out) {
        run_rounds(s, &t, out);
        out->memory = memory;
        seconds = out->step.seconds;
    } else {
        seconds = rw_trainee_step(&t, 0);
        seconds = fmin(seconds, rw_trainee_step(&t, 1));
    }
    remember(s, length, seconds / tokens, memory);
done:
    rw_trainee_close(&t);
    return status;
}

/* Are the known lengths close enough for an estimate? The error grows with the distance. */
static bool is_near(const rw_model_speed *s, long length)
{
    return length <= STEP_TOKENS || (s->known_count == 2 && length <= 4 * s->known[1].length);
}

static rw_status estimate_and_run(rw_model_speed *s, long length, rw_model_figures *out)
{
    while (!is_near(s, length)) {
        long probe = s->known_count ? 4 * s->known[s->known_count - 1].length : STEP_TOKENS / 4;
        if (probe >= length || is_too_much(s, probe, out)) break;
        RW_TRY(run_length(s, probe, NULL));
    }
    if (is_too_much(s, length, out)) return RW_OK;
    return run_length(s, length, out);
}

rw_status rw_model_speed_run(rw_model_speed *s, long length, rw_model_figures *out)
{
    *out = (rw_model_figures){.length = length, .batch = options_of(s, length).batch};
    rw_status status = estimate_and_run(s, length, out);
    if (status != RW_USAGE) return status;
    /* This model is not possible at this width or length; other models are. */
    snprintf(out->reason, sizeof out->reason, "%.*s", (int)sizeof out->reason - 1, rw_message());
    rw_clear_message();
    return RW_OK;
}
