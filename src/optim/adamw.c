/* AdamW (Loshchilov and Hutter 2019, "Decoupled weight decay regularization",
 * algorithm 2), with the learning rate as a factor of the decay, as in most
 * implementations:
 *
 *   m <- b1 m + (1 - b1) g          v <- b2 v + (1 - b2) g^2
 *   w <- w - lr decay w - lr m' / (sqrt(v') + eps)
 *   m' = m / (1 - b1^step)          v' = v / (1 - b2^step)
 *
 * beta2 = 0.95 is usual for language models; 0.999 suits small noisy tasks. */
#include <tgmath.h>

#include "optim/optimizer.h"

enum { BETA1, BETA2, EPS };

static const rw_key keys[] = {
    {.name = "beta1",
     .type = RW_KEY_REAL,
     .fallback = "0.9",
     .min = 0,
     .max = 0.9999999,
     .doc = "decay of the mean of gradients, per step"},
    {.name = "beta2",
     .type = RW_KEY_REAL,
     .fallback = "0.95",
     .min = 0,
     .max = 0.9999999,
     .doc = "decay of the mean of squared gradients, per step"},
    {.name = "eps",
     .type = RW_KEY_REAL,
     .fallback = "1.0e-8",
     .min = 1e-30,
     .max = 1,
     .doc = "added to the root of the mean square, in units of the gradient"},
    RW_KEYS_END,
};

static void adamw_setup(const rw_config *config, double hyper[RW_MAX_HYPER])
{
    hyper[BETA1] = rw_config_real(config, "beta1");
    hyper[BETA2] = rw_config_real(config, "beta2");
    hyper[EPS] = rw_config_real(config, "eps");
}

/* Factors of a step, the same for all elements, rounded once. */
typedef struct {
    real keep, beta1, gain1, beta2, gain2, rate, root, eps;
} coefficients;

static void update_elements(coefficients c, long n, real *restrict w, const real *restrict g,
                            real *restrict m, real *restrict v)
{
    for (long i = 0; i < n; i++) {
        m[i] = c.beta1 * m[i] + c.gain1 * g[i];
        v[i] = c.beta2 * v[i] + c.gain2 * (g[i] * g[i]);
        w[i] = c.keep * w[i] - c.rate * m[i] / (sqrt(v[i]) * c.root + c.eps);
    }
}

static void adamw_update(const double hyper[RW_MAX_HYPER], uint64_t step, double lr, double decay,
                         long n, real *restrict w, const real *restrict g,
                         real *const moments[RW_MAX_MOMENTS])
{
    const double beta1 = hyper[BETA1], beta2 = hyper[BETA2];
    const coefficients c = {
        .keep = (real)(1 - lr * decay),
        .beta1 = (real)beta1,
        .gain1 = (real)(1 - beta1),
        .beta2 = (real)beta2,
        .gain2 = (real)(1 - beta2),
        .rate = (real)(lr / (1 - pow(beta1, (double)step))),
        .root = (real)(1 / sqrt(1 - pow(beta2, (double)step))),
        .eps = (real)hyper[EPS],
    };
    update_elements(c, n, w, g, moments[0], moments[1]);
}

const rw_optimizer rw_optimizer_adamw = {
    .name = "adamw",
    .summary = "Adam with decoupled weight decay",
    .keys = keys,
    .moments = 2,
    .moment_names = {"m", "v"},
    .setup = adamw_setup,
    .update = adamw_update,
};
