/* Stochastic gradient descent with momentum (Sutskever et al. 2013, "On the
 * importance of initialization and momentum in deep learning") and decoupled
 * weight decay (Loshchilov and Hutter 2019, algorithm 1):
 *
 *   m <- momentum m + g
 *   w <- w - lr decay w - lr (nesterov ? g + momentum m : m)
 *
 * This is the file to start from when you add an optimizer. */
#include "optim/optimizer.h"

enum { MOMENTUM, NESTEROV };

static const rw_key keys[] = {
    {.name = "momentum",
     .type = RW_KEY_REAL,
     .fallback = "0.9",
     .min = 0,
     .max = 0.9999999,
     .doc = "share of the previous update to keep"},
    {.name = "nesterov",
     .type = RW_KEY_BOOL,
     .fallback = "false",
     .doc = "take the gradient one momentum step ahead"},
    RW_KEYS_END,
};

static void sgd_setup(const rw_config *config, double hyper[RW_MAX_HYPER])
{
    hyper[MOMENTUM] = rw_config_real(config, "momentum");
    hyper[NESTEROV] = rw_config_bool(config, "nesterov");
}

/* ahead_g g + ahead_m m is the direction of both variants. */
static void update_elements(real keep, real rate, real momentum, real ahead_g, real ahead_m, long n,
                            real *restrict w, const real *restrict g, real *restrict m)
{
    for (long i = 0; i < n; i++) {
        m[i] = momentum * m[i] + g[i];
        w[i] = keep * w[i] - rate * (ahead_g * g[i] + ahead_m * m[i]);
    }
}

static void sgd_update(const double hyper[RW_MAX_HYPER], uint64_t step, double lr, double decay,
                       long n, real *restrict w, const real *restrict g,
                       real *const moments[RW_MAX_MOMENTS])
{
    (void)step;
    const bool nesterov = hyper[NESTEROV] != 0;
    const real momentum = (real)hyper[MOMENTUM];
    update_elements((real)(1 - lr * decay), (real)lr, momentum, nesterov ? 1 : 0,
                    nesterov ? momentum : 1, n, w, g, moments[0]);
}

const rw_optimizer rw_optimizer_sgd = {
    .name = "sgd",
    .summary = "gradient descent with momentum, plain or Nesterov's",
    .keys = keys,
    .moments = 1,
    .moment_names = {"m"},
    .setup = sgd_setup,
    .update = sgd_update,
};
