/* An optimizer: the update of a tensor, element by element. One file, one descriptor. update.h does
 * the common work (clipping, gradient noise, skipping of non-finite steps, parameter groups). */
#ifndef RW_OPTIMIZER_H
#define RW_OPTIMIZER_H

#include <stdint.h>

#include "base/config.h"
#include "tensor/real.h"

#define RW_MAX_MOMENTS 2
#define RW_MAX_HYPER   8

typedef struct {
    const char *name;
    const char *summary;
    const rw_key *keys;                       /* besides the keys of rw_update_keys */
    int moments;                              /* moments: tensors of the shape of the weights */
    const char *moment_names[RW_MAX_MOMENTS]; /* as in checkpoints: opt/NAME/... */
    /* Reads the configuration (checked against keys) into hyper. */
    void (*setup)(const rw_config *config, double hyper[RW_MAX_HYPER]);
    /* Updates elements [0, n): w -= ... . `step` counts from 1. `lr` and `decay` belong to the
     * tensor's group; g is already clipped. Pure; called in parallel on disjoint ranges. In place,
     * one pass. */
    void (*update)(const double hyper[RW_MAX_HYPER], uint64_t step, double lr, double decay, long n,
                   real *restrict w, const real *restrict g, real *const moments[RW_MAX_MOMENTS]);
} rw_optimizer;

extern const rw_optimizer *const rw_optimizer_registry[]; /* NULL-terminated */
const rw_optimizer *rw_optimizer_find(const char *name);  /* NULL if unknown */

#endif
