/* The precision that train.precision: auto becomes. A run keeps its first choice on any machine:
 * its checkpoints name the choice in place of auto. */
#include <stdio.h>

#include "train/training.h"

/* The precision of a checkpoint. Settings that this program cannot read are reported later, when
 * the checkpoint is compared with the configuration. */
static rw_precision of_checkpoint(const rw_checkpoint *checkpoint)
{
    rw_settings old;
    rw_precision precision = RW_PRECISION_FLOAT32;
    const char *config = rw_checkpoint_about(checkpoint)->config;
    if (rw_settings_parse(config, rw_checkpoint_path(checkpoint), NULL, 0, &old) == RW_OK) {
        precision = old.precision;
        rw_settings_free(&old);
    }
    rw_clear_message();
    return precision;
}

static void tell_trial(rw_training *t, rw_precision choice)
{
    const rw_precision_trial *trial = &t->trial;
    snprintf(t->precision_why, sizeof t->precision_why,
             "%s (auto): small steps run at %.0f tokens/s in float32, at %.0f in bf16, %.2f times "
             "the rate; bf16 is taken from %.1f on",
             rw_precision_name(choice), trial->float32_rate, trial->bf16_rate,
             trial->bf16_rate / trial->float32_rate, RW_PRECISION_GAIN);
}

static rw_status choose(rw_training *t, rw_precision *out)
{
    char lack[RW_WHY_SIZE] = "";
    *out = RW_PRECISION_FLOAT32;
    if (t->checkpoint) {
        *out = of_checkpoint(t->checkpoint);
        snprintf(t->precision_why, sizeof t->precision_why, "%s (auto): that of the checkpoint",
                 rw_precision_name(*out));
        return RW_OK;
    }
    if (rw_settings_lack_bf16(&t->layout, lack)) {
        snprintf(t->precision_why, sizeof t->precision_why, "float32 (auto): no bf16, %s", lack);
        return RW_OK;
    }
    RW_TRY(rw_precision_try(&t->settings, &t->layout, t->source, t->model, RW_PRECISION_BF16,
                            &t->trial));
    *out = rw_precision_choose(t->trial.float32_rate, t->trial.bf16_rate);
    tell_trial(t, *out);
    return RW_OK;
}

rw_status rw_training_choose_precision(rw_training *t)
{
    if (t->settings.precision_open) {
        rw_precision choice;
        RW_TRY(choose(t, &choice));
        RW_TRY(rw_agree(&t->layout, rw_settings_set_precision(&t->settings, choice)));
    }
    rw_settings_precision(&t->settings, &t->layout);
    return RW_OK;
}
