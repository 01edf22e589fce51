/* When and how a run is saved. */
#include <inttypes.h>
#include <math.h>

#include "base/log.h"
#include "base/memory.h"
#include "train/token_meaning.h"
#include "train/training.h"

static rw_checkpoint_meta meta_of(const rw_training *t, const char *config)
{
    bool evaluated = t->evaluated == t->step && isfinite(t->heldout_loss);
    return (rw_checkpoint_meta){
        .step = t->step,
        .seed = t->settings.seed,
        .sequences_seen = t->seen,
        .skipped_steps = t->skipped,
        .data_fingerprint = rw_source_fingerprint(t->source),
        .dp = t->layout.dp,
        .sp = t->layout.sp,
        .threads = t->layout.threads,
        .config = config,
        .model = t->model->identity,
        .tokens = rw_tokens_of(t->source),
        .kernels = t->kernels,
        .counts_tokens = true,
        .tokens_seen = t->tokens,
        .skipped_in_a_row = t->skipped_in_a_row,
        .known_good = t->known_good,
        .rollbacks = t->rollbacks,
        .skipped_sequences = t->skipped_sequences,
        .running_count = t->running_count,
        .running_loss = t->running_loss,
        .running_jump = t->running_jump,
        .last_loss = t->last_loss,
        .evaluated = evaluated,
        .heldout_loss = evaluated ? t->heldout_loss : 0,
    };
}

static rw_status check_finite(const rw_training *t)
{
    const char *bad = rw_state_not_finite(t->all.tensors, t->all.count);
    if (!bad) return RW_OK;
    return rw_fail(RW_ERROR,
                   "%s is not finite after step %" PRIu64 ": such a state is not saved; the older "
                   "checkpoints in %s stay; lower optimizer.lr, and the same command goes on from "
                   "the newest of them",
                   bad, t->step, t->folder.checkpoints);
}

static void prune(const rw_training *t)
{
    const rw_config *c = t->settings.checkpoint;
    bool rolls_back = rw_config_int(t->settings.train, "rollback") > 0;
    rw_checkpoint_prune(t->folder.checkpoints, t->step, (int)rw_config_int(c, "keep"),
                        rolls_back ? (uint64_t)rw_config_int(c, "every") : 1,
                        (int)rw_config_int(c, "keep_best"));
}

rw_status rw_training_save(rw_training *t)
{
    rw_status status = RW_OK;
    char *config = NULL;
    if (t->saved == t->step) return RW_OK;
    RW_TRY_DONE(rw_agree(&t->layout, check_finite(t)));
    RW_TRY_DONE(rw_agree(&t->layout, rw_config_write(t->settings.root, &config)));
    rw_checkpoint_meta meta = meta_of(t, config);
    double start = MPI_Wtime();
    RW_TRY_DONE(rw_checkpoint_save(&t->layout, t->folder.checkpoints, &meta, t->all.tensors,
                                   t->all.count, RW_KEEP_ALL));
    t->saved = t->step;
    t->save_seconds = MPI_Wtime() - start;
    t->save_late = false;
    if (t->layout.rank == 0 && !t->skipped_in_a_row) prune(t);
done:
    rw_free(&config);
    return status;
}

/* Is this step among the best by held-out loss? */
static rw_status is_best(const rw_training *t, bool *yes)
{
    int best = (int)rw_config_int(t->settings.checkpoint, "keep_best");
    *yes = false;
    if (!best || t->evaluated != t->step || !isfinite(t->heldout_loss)) return RW_OK;
    return rw_checkpoint_is_best(&t->layout, t->folder.checkpoints, best, t->heldout_loss, yes);
}

static rw_status save_if_due(rw_training *t, bool wanted)
{
    uint64_t every = (uint64_t)rw_config_int(t->settings.checkpoint, "every");
    bool due = (every && t->step % every == 0) || t->save_late || wanted, best;
    RW_TRY(is_best(t, &best));
    if (!due && !best) return RW_OK;
    /* The weights come from an earlier step, which may be the cause of the bad loss. They are saved
     * after a step has shown that they are good. */
    t->save_late = t->skipped_in_a_row > 0;
    return t->save_late ? RW_OK : rw_training_save(t);
}

/* A failed save during training is reported and tried a second time later. */
void rw_training_save_if_due(rw_training *t, bool wanted)
{
    if (save_if_due(t, wanted) == RW_OK) return;
    rw_warn("no checkpoint at step %" PRIu64 ": %s (training goes on; older ones are intact)",
            t->step, rw_message());
    rw_clear_message();
}
