/* An optimizer step over all tensors of a model: norm, clipping, gradient noise, update, with the
 * same bits on any layout and number of threads. */
#ifndef RW_UPDATE_H
#define RW_UPDATE_H

#include "optim/optimizer.h"

/* A tensor to be trained. Arrays are borrowed; moments belong to the updater. */
typedef struct {
    const char *name;
    long count;
    real *weights;
    const real *gradient;
    double lr_factor;    /* of the learning rate: rw_param.rate, times state_lr_factor for
                            state-space parameters */
    double decay_factor; /* of weight decay; 0 for norms, biases and state space */
} rw_trained;

/* Elements [begin, end) of a tensor. */
typedef struct {
    long begin, end;
} rw_part;

typedef struct rw_updater rw_updater;

/* Keys: name, lr, weight_decay, clip (0: off), state_lr_factor, noise (eta of
 * Neelakantan et al. 2015; 0: off), noise_gamma (0.55), max_skipped (steps in a
 * row with a non-finite loss or gradient before training stops). */
extern const rw_key rw_update_keys[];

/* Copies the descriptions; allocates moments (zero). `config` is the checked mapping `optimizer`.
 * part[i]: the part of tensor i that this updater updates and keeps moments of (other ranks do the
 * rest, with the same bits); NULL: all tensors whole. */
rw_status rw_updater_new(const rw_config *config, uint64_t seed, const rw_trained *tensors,
                         int count, const rw_part *part, rw_updater **out);
void rw_updater_destroy(rw_updater **updater);

/* Global 2-norm of all gradients: fixed blocks, fixed order, in double. */
double rw_updater_norm(const rw_updater *updater);

/* Updates its part of the weights with learning rate lr (before group factors), gradient
 * norm `norm` from rw_updater_norm. `step` counts from 0. Noise (variance
 * eta / (1 + step)^gamma, drawn once per element from its global index) is added
 * after clipping. Uses OpenMP; element-wise, so the same bits for any threads.
 * If norm is not finite nothing changes: callers count such steps, see
 * max_skipped. */
void rw_updater_step(rw_updater *updater, uint64_t step, double lr, double norm);

/* Moments as named tensors for checkpoints: tensor `index`, moment `moment`; the updater has the
 * elements of its part, in order. */
int rw_updater_moments(const rw_updater *updater);
const char *rw_updater_moment_name(const rw_updater *updater, int moment);
real *rw_updater_moment(rw_updater *updater, int index, int moment);
rw_part rw_updater_part(const rw_updater *updater, int index);

#endif
