/* The checkpoint that a run continues. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "mpi/rank_compare.h"
#include "storage/content_hash.h"
#include "train/settings_changes.h"
#include "train/token_meaning.h"
#include "train/training.h"

/* ---- Is it a checkpoint of this run? --------------------------------------------- */

static rw_status check_optimizer(const rw_settings_pair *pair, const char *path)
{
    const char *old = rw_config_string(pair->old.optimizer, "name");
    const char *now = rw_config_string(pair->now.optimizer, "name");
    if (strcmp(old, now) == 0) return RW_OK;
    return rw_fail(RW_ERROR,
                   "optimizer.name: %s -> %s: the moments of %s are of no use to %s; "
                   "set optimizer.name=%s to continue, or begin anew from the weights alone: "
                   "--init %s with another --run-dir",
                   old, now, old, now, old, path);
}

static rw_status check_function(const rw_changes *changes, const char *path)
{
    char text[RW_CHANGES_TEXT];
    rw_changes_text(changes, false, text);
    if (!*text) return RW_OK;
    return rw_fail(RW_ERROR,
                   "the checkpoint %s is of another model: %s; set the keys back to continue, or "
                   "begin anew from its weights: --init %s with another --run-dir",
                   path, text, path);
}

static rw_status note_data(rw_training *t, uint64_t old)
{
    char was[RW_HASH_TEXT], is[RW_HASH_TEXT];
    rw_hash_text(old, was);
    rw_hash_text(rw_source_fingerprint(t->source), is);
    return rw_changes_add(&t->changes, "the contents of the data", was, is, false);
}

static rw_status check_shape(rw_training *t, const rw_checkpoint_meta *meta)
{
    bool same_data = meta->data_fingerprint == rw_source_fingerprint(t->source);
    if (strcmp(meta->model, t->model->identity) != 0)
        return rw_fail(RW_ERROR,
                       "the checkpoint is of another model%s (%s; this configuration makes %s); "
                       "use another --run-dir, or --resume never",
                       same_data ? "" : ", or of data with another vocabulary", meta->model,
                       t->model->identity);
    if (same_data) return RW_OK;
    rw_warn("the data has changed since the checkpoint was written");
    return note_data(t, meta->data_fingerprint);
}

static void tell_kernels(const rw_training *t, const rw_checkpoint_meta *meta)
{
    if (!meta->kernels || strcmp(meta->kernels, t->kernels) == 0) return;
    rw_warn(
        "the checkpoint was computed with %s, this run computes with %s: the last digits differ "
        "from those of a run that was not moved",
        meta->kernels, t->kernels);
}

/* Checkpoints of older programs do not count tokens: their settings give the number. */
static void count_tokens(rw_training *t, const rw_checkpoint_meta *meta, const rw_settings *old)
{
    if (!meta->counts_tokens) t->tokens = meta->sequences_seen * (uint64_t)old->length;
}

static rw_status check_settings(rw_training *t, rw_checkpoint *checkpoint)
{
    const rw_checkpoint_meta *meta = rw_checkpoint_about(checkpoint);
    const char *path = rw_checkpoint_path(checkpoint);
    rw_settings_pair pair;
    rw_status status = rw_settings_pair_read(meta->config, path, &t->settings, &pair);
    if (status != RW_OK) goto done;
    RW_TRY_DONE(rw_settings_compare_model(&pair, rw_source_format(t->source), &t->changes));
    RW_TRY_DONE(check_function(&t->changes, path));
    if (meta->tokens.kind)
        RW_TRY_DONE(
            rw_tokens_check(&meta->tokens, t->source,
                            "use the data of the run, another --run-dir, or --resume never"));
    RW_TRY_DONE(check_shape(t, meta));
    RW_TRY_DONE(check_optimizer(&pair, path));
    RW_TRY_DONE(rw_settings_compare_rest(&pair, &t->changes));
    count_tokens(t, meta, &pair.old);
    tell_kernels(t, meta);
done:
    rw_settings_pair_free(&pair);
    return status;
}

/* ---- Taking its state ------------------------------------------------------------ */

static void take_counters(rw_training *t, const rw_checkpoint_meta *meta)
{
    t->step = t->saved = meta->step;
    t->seen = meta->sequences_seen;
    if (meta->counts_tokens) t->tokens = meta->tokens_seen;
    t->skipped = meta->skipped_steps;
    t->skipped_in_a_row = meta->skipped_in_a_row;
    t->known_good = meta->known_good;
    t->rollbacks = meta->rollbacks;
    t->skipped_sequences = meta->skipped_sequences;
    t->running_count = meta->running_count;
    t->running_loss = meta->running_loss;
    t->running_jump = meta->running_jump;
    t->last_loss = meta->last_loss;
    t->evaluated = meta->evaluated ? meta->step : UINT64_MAX;
    t->heldout_loss = meta->heldout_loss;
}

rw_status rw_training_load(rw_training *t, rw_checkpoint *checkpoint)
{
    RW_TRY(rw_checkpoint_read(checkpoint, t->state.tensors, t->state.count));
    RW_TRY(rw_saved_carry_read(&t->all, t->engine, checkpoint));
    const char *bad = rw_state_not_finite(t->all.tensors, t->all.count);
    if (bad)
        return rw_fail(
            RW_ERROR,
            "%s: %s is not finite, nothing can go on from there; name an older checkpoint "
            "with --resume PATH",
            rw_checkpoint_path(checkpoint), bad);
    take_counters(t, rw_checkpoint_about(checkpoint));
    return RW_OK;
}

/* Does the checkpoint belong to this run folder? */
static bool is_own(const rw_training *t, const char *path)
{
    char *own = realpath(t->folder.checkpoints, NULL), *above = realpath(path, NULL);
    char *slash = above ? strrchr(above, '/') : NULL;
    if (slash) *slash = '\0';
    bool same = own && above && strcmp(own, above) == 0;
    free(above);
    free(own);
    return same;
}

static rw_status take(rw_training *t)
{
    RW_TRY(check_settings(t, t->checkpoint));
    RW_TRY(rw_training_load(t, t->checkpoint));
    t->resumed = true;
    t->elsewhere = !is_own(t, rw_checkpoint_path(t->checkpoint));
    if (t->elsewhere) t->saved = UINT64_MAX; /* not in this folder */
    return RW_OK;
}

rw_status rw_training_find(rw_training *t)
{
    const char *how = t->options->resume;
    char *found = NULL;
    t->saved = t->evaluated = UINT64_MAX;
    if (strcmp(how, "never") == 0) return RW_OK;
    bool newest = strcmp(how, "auto") == 0;
    if (newest) RW_TRY(rw_checkpoint_find(&t->layout, t->folder.checkpoints, &found));
    if (newest && !found) return RW_OK;
    rw_status status =
        rw_agree(&t->layout, rw_checkpoint_open(found ? found : how, &t->checkpoint));
    rw_free(&found);
    if (status != RW_OK) return status;
    rw_checkpoint_identity(t->checkpoint, t->from);
    return rw_rank_compare(t->layout.world, "checkpoint", t->from,
                           "the folder of the run must be the same on all hosts");
}

rw_status rw_training_resume(rw_training *t)
{
    if (!t->checkpoint) return RW_OK;
    rw_status status = rw_agree(&t->layout, take(t));
    rw_checkpoint_close(&t->checkpoint);
    return status;
}

/* ---- What is told and moved ------------------------------------------------------ */

void rw_training_tell_changes(rw_training *t)
{
    rw_run_folder *f = &t->folder;
    if (t->changes.count == 0) return;
    rw_metrics_begin(f, t->step);
    rw_metrics_text(f, "event", "changed");
    for (size_t i = 0; i < t->changes.count; i++) {
        const rw_change *c = &t->changes.items[i];
        char text[256];
        snprintf(text, sizeof text, "%.100s -> %.100s", c->old, c->now);
        rw_metrics_text(f, c->key, text);
        rw_info("changed since the checkpoint: %s: %s", c->key, text);
    }
    rw_metrics_end(f);
}

rw_status rw_training_clear_way(rw_training *t)
{
    const char *how = t->options->resume;
    uint64_t moved = 0;
    if (strcmp(how, "never") == 0 || t->elsewhere) return rw_run_folder_set_aside(&t->folder);
    if (!t->resumed || strcmp(how, "auto") == 0) return RW_OK;
    RW_TRY(rw_checkpoint_set_aside(t->folder.checkpoints, t->step + 1, &moved));
    if (moved)
        rw_info("%" PRIu64 " checkpoint%s after step %" PRIu64
                " are set aside: %s/set-aside-step-N; this run goes another way from there",
                moved, moved == 1 ? "" : "s", t->step, t->folder.checkpoints);
    return RW_OK;
}
