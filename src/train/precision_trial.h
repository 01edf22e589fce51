/* Is a training step clearly faster in bf16 than in float32? Products in bf16 are several times
 * faster. Their share of a step, and the cost of rounding operands, depend on the model and on the
 * processor. So steps are timed. */
#ifndef RW_PRECISION_TRIAL_H
#define RW_PRECISION_TRIAL_H

#include "model/model.h"
#include "train/settings.h"

typedef struct {
    long tokens; /* rate of the timed step, all ranks together; 0: no step was timed */
    double float32_rate, bf16_rate; /* tokens/s of all ranks, at the run's length */
} rw_precision_trial;

/* Least gain of bf16: repeated trials differ by less. */
#define RW_PRECISION_GAIN 1.1

/* bf16 if its rate is at least RW_PRECISION_GAIN times the rate of float32; else float32, also if a
 * rate is no positive number. */
rw_precision rw_precision_choose(double float32_rate, double bf16_rate);

/* Times a small training step of the model in float32 and in `rounded`, RW_PRECISION_BF16 (tests
 * without bf16: RW_PRECISION_BF16_EMULATED). The step takes the first sequences of the data, as
 * many as a rank has threads, and two chunks of each for every rank that shares the sequence. The
 * trial takes about a second, or four such steps of a large model, and less memory than training.
 * The trial overwrites the gradient in `model`; weights and all else are unchanged. Seconds are
 * those of the slowest rank; the figures are the same on all ranks. The additional work of longer
 * sequences (attention) counts in both precisions at the rate of float32. Collective; a failure of
 * any rank is the result of all: memory, data, a batch that the ranks cannot share. */
rw_status rw_precision_try(const rw_settings *settings, const rw_layout *layout, rw_source *source,
                           rw_model *model, rw_precision rounded, rw_precision_trial *out);

#endif
