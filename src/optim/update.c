#include "optim/update.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include "base/memory.h"
#include "base/random.h"

/* The unit of work and of summation: a tensor is cut at multiples of this many elements. The size
 * is fixed, so that sums do not depend on threads; 16 kB of float stay in the first-level cache. */
#define BLOCK 4096
/* Accumulators of a block's sum: two AVX-512 or four AVX registers of double. */
#define ACCUMULATORS 16

const rw_key rw_update_keys[] = {
    {.name = "name", .type = RW_KEY_STRING, .fallback = "adamw", .doc = "the optimizer"},
    {.name = "lr",
     .type = RW_KEY_REAL,
     .fallback = "1.0e-3",
     .min = 0,
     .max = 1e6,
     .doc = "learning rate at its peak"},
    {.name = "weight_decay",
     .type = RW_KEY_REAL,
     .fallback = "0.1",
     .min = 0,
     .max = 1e6,
     .doc = "decay of weight matrices per step, as a factor of the learning rate"},
    {.name = "clip",
     .type = RW_KEY_REAL,
     .fallback = "1.0",
     .min = 0,
     .max = 1e30,
     .doc = "largest 2-norm of the gradient; longer ones are scaled down (0: off)"},
    {.name = "state_lr_factor",
     .type = RW_KEY_REAL,
     .fallback = "0.3",
     .min = 0,
     .max = 1e6,
     .doc = "learning rate of state-space parameters, as a factor of lr"},
    {.name = "noise",
     .type = RW_KEY_REAL,
     .fallback = "0",
     .min = 0,
     .max = 1e30,
     .doc = "variance of gradient noise at step 0 (0: off)"},
    {.name = "noise_gamma",
     .type = RW_KEY_REAL,
     .fallback = "0.55",
     .min = 0,
     .max = 100,
     .doc = "the variance of gradient noise falls as (1 + step)^-noise_gamma"},
    {.name = "max_skipped",
     .type = RW_KEY_INT,
     .fallback = "10",
     .min = 0,
     .max = 1e15,
     .doc = "steps in a row that are skipped (not finite, or nothing to predict) before training "
            "stops"},
    RW_KEYS_END,
};

typedef struct {
    rw_trained what;
    rw_part part;          /* the part of the tensor with updates and moments here */
    uint64_t noise_stream; /* from the name, so that the order of tensors is free */
    real *moments[RW_MAX_MOMENTS];
} tensor_state;

typedef struct {
    int tensor;
    long begin, count;
} block;

struct rw_updater {
    const rw_optimizer *optimizer;
    double hyper[RW_MAX_HYPER];
    double decay, clip, noise, noise_gamma;
    uint64_t seed;
    int count;
    tensor_state *tensors;
    real *moments; /* of all tensors: tensor 0 moment 0, moment 1, tensor 1 ... */
    long block_count, own_count;
    block *blocks;   /* of all tensors, for the norm */
    block *own;      /* of what is updated here */
    double *partial; /* (block_count): sums of squares */
};

static rw_status fail_unknown(const rw_config *config, const char *name)
{
    char names[256] = "";
    size_t used = 0;
    for (int i = 0; rw_optimizer_registry[i] && used < sizeof names; i++)
        used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", i ? ", " : "",
                                 rw_optimizer_registry[i]->name);
    return rw_config_fail(config, "name", "no optimizer is called %s; choose one of: %s", name,
                          names);
}

static rw_status read_config(rw_updater *u, const rw_config *config)
{
    const char *name = rw_config_string(config, "name");
    u->optimizer = rw_optimizer_find(name);
    if (!u->optimizer) return fail_unknown(config, name);
    u->optimizer->setup(config, u->hyper);
    u->decay = rw_config_real(config, "weight_decay");
    u->clip = rw_config_real(config, "clip");
    u->noise = rw_config_real(config, "noise");
    u->noise_gamma = rw_config_real(config, "noise_gamma");
    return RW_OK;
}

/* Cuts a part of tensor i into blocks, unless `out` is NULL; returns their number. */
static long cut(int i, rw_part part, block *out)
{
    long count = 0;
    for (long at = part.begin, end; at < part.end; at = end, count++) {
        end = (at / BLOCK + 1) * BLOCK;
        if (end > part.end) end = part.end;
        if (out) out[count] = (block){i, at, end - at};
    }
    return count;
}

static rw_part whole(const rw_trained *tensor)
{
    return (rw_part){0, tensor->count};
}

static long length(rw_part part)
{
    return part.end - part.begin;
}

/* Reals between the starts of moments: whole cache lines. */
static size_t padded(long count)
{
    const size_t line = RW_ALIGNMENT / sizeof(real);
    return ((size_t)count + line - 1) / line * line;
}

static rw_status allocate(rw_updater *u)
{
    size_t reals = 0;
    for (int i = 0; i < u->count; i++) {
        const tensor_state *t = &u->tensors[i];
        reals += padded(length(t->part)) * (size_t)u->optimizer->moments;
        u->block_count += cut(i, whole(&t->what), NULL);
        u->own_count += cut(i, t->part, NULL);
    }
    RW_TRY(rw_alloc(reals, sizeof(real), "moments of the optimizer", &u->moments));
    RW_TRY(rw_alloc((size_t)u->block_count, sizeof(block), "blocks of the optimizer", &u->blocks));
    RW_TRY(rw_alloc((size_t)u->own_count, sizeof(block), "blocks of the optimizer", &u->own));
    return rw_alloc((size_t)u->block_count, sizeof(double), "norms of gradient blocks",
                    &u->partial);
}

static rw_status describe(rw_updater *u, const rw_trained *tensors, const rw_part *part)
{
    RW_TRY(rw_alloc((size_t)u->count, sizeof(tensor_state), "the list of trained tensors",
                    &u->tensors));
    for (int i = 0; i < u->count; i++) {
        tensor_state *t = &u->tensors[i];
        t->what = tensors[i];
        t->part = part ? part[i] : whole(&tensors[i]);
        t->noise_stream = XXH64(t->what.name, strlen(t->what.name), 0);
    }
    return RW_OK;
}

static void place(rw_updater *u)
{
    real *moment = u->moments;
    block *next = u->blocks, *own = u->own;
    for (int i = 0; i < u->count; i++) {
        tensor_state *t = &u->tensors[i];
        for (int k = 0; k < u->optimizer->moments; k++, moment += padded(length(t->part)))
            t->moments[k] = moment;
        next += cut(i, whole(&t->what), next);
        own += cut(i, t->part, own);
    }
}

rw_status rw_updater_new(const rw_config *config, uint64_t seed, const rw_trained *tensors,
                         int count, const rw_part *part, rw_updater **out)
{
    rw_status status;
    rw_updater *u = NULL;
    *out = NULL;
    RW_TRY(rw_alloc(1, sizeof *u, "the optimizer", &u));
    u->seed = seed;
    u->count = count;
    RW_TRY_DONE(read_config(u, config));
    RW_TRY_DONE(describe(u, tensors, part));
    RW_TRY_DONE(allocate(u));
    place(u);
    *out = u;
    u = NULL;
done:
    rw_updater_destroy(&u);
    return status;
}

void rw_updater_destroy(rw_updater **updater)
{
    rw_updater *u = *updater;
    if (!u) return;
    rw_free(&u->tensors);
    rw_free(&u->moments);
    rw_free(&u->blocks);
    rw_free(&u->own);
    rw_free(&u->partial);
    rw_free(updater);
}

/* Element i goes to accumulator i mod ACCUMULATORS; accumulators are added pairwise. */
static double sum_of_squares(long n, const real *g)
{
    double sum[ACCUMULATORS] = {0};
    long i = 0;
    for (; i + ACCUMULATORS <= n; i += ACCUMULATORS)
        for (int k = 0; k < ACCUMULATORS; k++) sum[k] += (double)g[i + k] * (double)g[i + k];
    for (int k = 0; i + k < n; k++) sum[k] += (double)g[i + k] * (double)g[i + k];
    for (int half = ACCUMULATORS / 2; half >= 1; half /= 2)
        for (int k = 0; k < half; k++) sum[k] += sum[k + half];
    return sum[0];
}

double rw_updater_norm(const rw_updater *u)
{
#pragma omp parallel for schedule(static)
    for (long b = 0; b < u->block_count; b++) {
        const block *part = &u->blocks[b];
        const real *g = u->tensors[part->tensor].what.gradient + part->begin;
        u->partial[b] = sum_of_squares(part->count, g);
    }
    double sum = 0;
    for (long b = 0; b < u->block_count; b++) sum += u->partial[b];
    return sqrt(sum);
}

/* Factors of a step, the same for all blocks. */
typedef struct {
    uint64_t step;
    double lr;
    double scale;     /* of the gradient: clipping */
    double deviation; /* of the noise */
} step_terms;

static void add_noise(const rw_updater *u, const tensor_state *t, const block *part,
                      const step_terms *terms, real *g)
{
    const rw_random stream =
        rw_random_stream(u->seed, RW_RANDOM_NOISE, t->noise_stream + terms->step);
    for (long i = 0; i < part->count; i++)
        g[i] += (real)(terms->deviation * rw_random_normal(stream, (uint64_t)(part->begin + i)));
}

static void update_block(const rw_updater *u, const block *part, const step_terms *terms)
{
    const tensor_state *t = &u->tensors[part->tensor];
    const real *gradient = t->what.gradient + part->begin;
    const real scale = (real)terms->scale;
    real g[BLOCK];
    for (long i = 0; i < part->count; i++) g[i] = scale * gradient[i];
    if (terms->deviation > 0) add_noise(u, t, part, terms, g);
    real *moments[RW_MAX_MOMENTS] = {NULL};
    for (int k = 0; k < u->optimizer->moments; k++)
        moments[k] = t->moments[k] + (part->begin - t->part.begin);
    u->optimizer->update(u->hyper, terms->step + 1, terms->lr * t->what.lr_factor,
                         u->decay * t->what.decay_factor, part->count,
                         t->what.weights + part->begin, g, moments);
}

void rw_updater_step(rw_updater *u, uint64_t step, double lr, double norm)
{
    if (!isfinite(norm)) return;
    const step_terms terms = {
        .step = step,
        .lr = lr,
        .scale = u->clip > 0 && norm > u->clip ? u->clip / norm : 1,
        .deviation = sqrt(u->noise * pow(1 + (double)step, -u->noise_gamma)),
    };
#pragma omp parallel for schedule(static)
    for (long b = 0; b < u->own_count; b++) update_block(u, &u->own[b], &terms);
}

int rw_updater_moments(const rw_updater *u)
{
    return u->optimizer->moments;
}

const char *rw_updater_moment_name(const rw_updater *u, int moment)
{
    return u->optimizer->moment_names[moment];
}

real *rw_updater_moment(rw_updater *u, int index, int moment)
{
    return u->tensors[index].moments[moment];
}

rw_part rw_updater_part(const rw_updater *u, int index)
{
    return u->tensors[index].part;
}
