/* Steps that must not change the weights, and rollback after such steps. The weights are good if a
 * loss computed with them is finite and no spike. The newest checkpoint may hold bad weights: the
 * step before its save may have spoilt them, and only the next step shows this. The checkpoint of a
 * rollback must not depend on interruptions: only checkpoints of checkpoint.every count, not
 * checkpoints after a signal or --stop-at. */
#include <inttypes.h>
#include <math.h>

#include "base/log.h"
#include "base/memory.h"
#include "train/training.h"

/* The running mean of the loss for train.spike, over about ten steps: the loss of a young run falls
 * fast. A spike also exceeds the noise: the usual difference of two steps, times a factor. The
 * first few steps are never a spike. */
#define RUNNING_WEIGHT 0.1
#define RUNNING_FIRST  16
#define JUMPS          4

rw_verdict rw_training_judge(const rw_training *t, const rw_step_facts *f)
{
    double spike = rw_config_real(t->settings.train, "spike");
    if (f->loss.counted == 0) return RW_STEP_EMPTY;
    if (!isfinite(f->loss.loss) || !isfinite(f->norm)) return RW_STEP_NOT_FINITE;
    if (rw_config_int(t->settings.train, "rollback") == 0 || spike == 0) return RW_STEP_GOOD;
    double noise = t->running_loss + JUMPS * t->running_jump;
    if (t->running_count < RUNNING_FIRST || f->loss.loss <= fmax(spike * t->running_loss, noise))
        return RW_STEP_GOOD;
    return RW_STEP_SPIKE;
}

void rw_training_accept(rw_training *t, double loss)
{
    double weight = fmax(RUNNING_WEIGHT, 1 / (double)(t->running_count + 1));
    double jump = t->running_count ? fabs(loss - t->last_loss) : 0;
    t->running_loss += weight * (loss - t->running_loss);
    t->running_jump += weight * (jump - t->running_jump);
    t->last_loss = loss;
    t->running_count++;
    t->skipped_in_a_row = 0;
    t->known_good = false;
}

/* ---- Steps that are skipped ------------------------------------------------------- */

/* The first step after which the weights had their present values. */
static uint64_t step_of_weights(const rw_training *t)
{
    return t->step - t->skipped_in_a_row;
}

/* Sets aside checkpoints whose weights gave only non-finite losses, so that the next start
 * continues an older checkpoint. */
static rw_status set_bad_aside(rw_training *t, uint64_t first)
{
    uint64_t moved = 0;
    rw_status status = RW_OK;
    if (t->layout.rank == 0) status = rw_checkpoint_set_aside(t->folder.checkpoints, first, &moved);
    return rw_agree(&t->layout, status);
}

static rw_status stop_not_finite(rw_training *t, uint64_t weights)
{
    char *good = NULL;
    RW_TRY(set_bad_aside(t, weights));
    RW_TRY(rw_checkpoint_find(&t->layout, t->folder.checkpoints, &good));
    rw_status status = rw_fail(
        RW_ERROR,
        "%" PRIu64 " steps in a row had a loss or gradient that is not finite; stopped at step "
        "%" PRIu64 ". The same command goes on from %s. With the same settings it comes to the "
        "same end: lower optimizer.lr or optimizer.clip, or pass over these batches with "
        "train.rollback",
        t->skipped_in_a_row, t->step + 1, good ? good : "step 0, there is no good checkpoint");
    rw_free(&good);
    return status;
}

static const char *reason(rw_verdict verdict)
{
    switch (verdict) {
    case RW_STEP_EMPTY:
        return "nothing to predict";
    case RW_STEP_SPIKE:
        return "spike";
    default:
        return "not finite";
    }
}

static void tell_skip(rw_training *t, const rw_step_facts *f, rw_verdict verdict)
{
    rw_metrics_begin(&t->folder, t->step + 1);
    rw_metrics_text(&t->folder, "event", "skipped");
    rw_metrics_text(&t->folder, "reason", reason(verdict));
    rw_metrics_end(&t->folder);
    if (verdict == RW_STEP_EMPTY)
        rw_warn("step %" PRIu64 " is skipped: no token of its sequences is to be predicted, every "
                "document in them is one token",
                t->step + 1);
    else
        rw_warn("step %" PRIu64 " is skipped: loss %g, gradient norm %g", t->step + 1, f->loss.loss,
                f->norm);
}

rw_status rw_training_skip(rw_training *t, const rw_step_facts *f, rw_verdict verdict)
{
    uint64_t most = (uint64_t)rw_config_int(t->settings.optimizer, "max_skipped");
    uint64_t weights = step_of_weights(t);
    t->skipped++;
    t->skipped_in_a_row++;
    tell_skip(t, f, verdict);
    if (t->skipped_in_a_row < most) return RW_OK;
    if (verdict == RW_STEP_NOT_FINITE) return stop_not_finite(t, weights);
    return rw_fail(RW_ERROR,
                   "%" PRIu64 " steps in a row had nothing to predict; stopped at step %" PRIu64
                   "; give data whose documents are longer than one token, or longer sequences "
                   "(data.length)",
                   t->skipped_in_a_row, t->step + 1);
}

/* ---- The way back ----------------------------------------------------------------- */

/* Changes counters and tensors alone; the cursor stays after the skipped batches. */
static rw_status go_back(rw_training *t, const char *path)
{
    rw_checkpoint *checkpoint = NULL;
    uint64_t seen = t->seen + (uint64_t)t->settings.batch, tokens = t->tokens;
    uint64_t rollbacks = t->rollbacks, passed = t->skipped_sequences, skipped = t->skipped;
    rw_status status = rw_checkpoint_open(path, &checkpoint);
    if (status == RW_OK) {
        uint64_t again = t->seen - rw_checkpoint_about(checkpoint)->sequences_seen;
        t->tokens = tokens - again * (uint64_t)t->settings.length; /* unless it says */
        status = rw_training_load(t, checkpoint);
    }
    rw_checkpoint_close(&checkpoint);
    t->skipped_sequences = passed + seen - t->seen;
    t->seen = seen;
    t->rollbacks = rollbacks + 1;
    t->skipped = skipped;
    return status;
}

static rw_status restart_loader(rw_training *t)
{
    rw_loader_destroy(&t->loader);
    return rw_training_start_loader(t);
}

/* The files of the run: removes the lines of steps that will be run a second time. */
static rw_status rewind_folder(rw_training *t)
{
    rw_status status = RW_OK;
    uint64_t moved;
    if (t->layout.rank == 0) {
        status = rw_checkpoint_set_aside(t->folder.checkpoints, t->step + 1, &moved);
        if (status == RW_OK) status = rw_run_folder_rewind(&t->folder, t->step);
    }
    return rw_agree(&t->layout, status);
}

static void tell_rollback(rw_training *t, uint64_t from, const rw_step_facts *f, rw_verdict verdict)
{
    rw_run_folder *o = &t->folder;
    rw_metrics_begin(o, t->step);
    rw_metrics_text(o, "event", "rollback");
    rw_metrics_text(o, "reason", reason(verdict));
    rw_metrics_number(o, "at_step", (double)(from + 1));
    rw_metrics_number(o, "loss_there", f->loss.loss);
    rw_metrics_number(o, "rollbacks", (double)t->rollbacks);
    rw_metrics_number(o, "skipped_sequences", (double)t->skipped_sequences);
    rw_metrics_end(o);
    rw_warn("step %" PRIu64 ": loss %g, gradient norm %g (%s): back to step %" PRIu64
            ", past the batches since (rollback %" PRIu64 " of %lld; %" PRIu64
            " sequences passed over in all)",
            from + 1, f->loss.loss, f->norm, reason(verdict), t->step, t->rollbacks,
            (long long)rw_config_int(t->settings.train, "rollback"), t->skipped_sequences);
}

/* If the run ends before its next checkpoint, the cursor must not go back. */
static void save_cursor(rw_training *t)
{
    t->saved = UINT64_MAX;
    t->save_late = false;
    t->known_good = true;
    if (rw_training_save(t) == RW_OK) return;
    rw_warn("the way back to step %" PRIu64 " is not saved: %s (training goes on)", t->step,
            rw_message());
    rw_clear_message();
}

rw_status rw_training_roll_back(rw_training *t, const rw_step_facts *f, rw_verdict verdict,
                                bool *done)
{
    uint64_t most = (uint64_t)rw_config_int(t->settings.train, "rollback"), from = t->step;
    char *path = NULL;
    *done = false;
    if (most == 0 || verdict == RW_STEP_EMPTY) return RW_OK;
    if (t->rollbacks >= most) {
        if (!t->spike_told)
            rw_warn("all %" PRIu64 " rollbacks of train.rollback are used up", most);
        t->spike_told = true;
        return RW_OK;
    }
    RW_TRY(rw_checkpoint_find_before(
        &t->layout, t->folder.checkpoints, step_of_weights(t) + t->known_good,
        (uint64_t)rw_config_int(t->settings.checkpoint, "every"), &path));
    if (!path) return RW_OK;
    rw_status status = rw_agree(&t->layout, go_back(t, path));
    rw_free(&path);
    RW_TRY(status);
    RW_TRY(rewind_folder(t));
    RW_TRY(rw_agree(&t->layout, restart_loader(t)));
    save_cursor(t);
    tell_rollback(t, from, f, verdict);
    *done = true;
    return RW_OK;
}
