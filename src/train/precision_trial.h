/* Is a training step clearly faster in bf16 than in float32? Products in bf16 are, several times;
 * what they are of a step, and what rounding their operands costs, depends on the model and on the
 * processor. So steps are timed. */
#ifndef RW_PRECISION_TRIAL_H
#define RW_PRECISION_TRIAL_H

#include "model/model.h"
#include "train/settings.h"

typedef struct {
    long tokens; /* of the step that was timed, all ranks together; 0: none was */
    double float32_rate, bf16_rate; /* tokens/s of all ranks, at the run's length */
} rw_precision_trial;

/* bf16 must be this many times as fast: what a repeated trial differs by is less. */
#define RW_PRECISION_GAIN 1.1

/* bf16 where its rate is RW_PRECISION_GAIN times that of float32 or more; float32 where it is
 * less, or where a rate is no positive number. */
rw_precision rw_precision_choose(double float32_rate, double bf16_rate);

/* Times a small training step of the model in float32 and in `rounded`, which is RW_PRECISION_BF16
 * (tests without it: RW_PRECISION_BF16_EMULATED). The step takes the first sequences of the data,
 * as many as a rank has threads, and two chunks of each for every rank that shares them. The trial
 * takes about a second, of a large model four such steps, and less memory than training.
 *
 * The gradient in `model` is overwritten; weights and all else are as before. Seconds are those of
 * the slowest rank, and figures are the same on all ranks. What a longer sequence adds to the work
 * of a token (attention) counts in both precisions at the rate of float32. Collective; all ranks
 * get the failure of any: memory, data, a batch that the ranks cannot share. */
rw_status rw_precision_try(const rw_settings *settings, const rw_layout *layout, rw_source *source,
                           rw_model *model, rw_precision rounded, rw_precision_trial *out);

#endif
