#include "train/settings_changes.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "model/model_settings.h"
#include "optim/schedule.h"
#include "optim/update.h"

static rw_status read_old(const char *text, const char *path, rw_settings *out)
{
    rw_status status = rw_settings_parse(text, path, NULL, 0, out);
    if (status == RW_OK) status = rw_model_check(out->model);
    if (status == RW_OK) return RW_OK;
    char why[RW_MESSAGE_SIZE];
    snprintf(why, sizeof why, "%s", rw_message());
    rw_clear_message();
    return rw_fail(
        RW_ERROR,
        "the settings of the checkpoint %s are not those of this program: %.600s; use the "
        "ropewalk that wrote it",
        path, why);
}

rw_status rw_settings_pair_read(const char *text, const char *path, const rw_settings *now,
                                rw_settings_pair *out)
{
    rw_status status = RW_OK;
    char *copy = NULL;
    memset(out, 0, sizeof *out);
    RW_TRY_DONE(read_old(text, path, &out->old));
    RW_TRY_DONE(rw_config_write(now->root, &copy));
    RW_TRY_DONE(rw_settings_parse(copy, "the settings of this run", NULL, 0, &out->now));
    RW_TRY_DONE(rw_model_check(out->now.model));
done:
    rw_free(&copy);
    return status;
}

void rw_settings_pair_free(rw_settings_pair *pair)
{
    rw_settings_free(&pair->old);
    rw_settings_free(&pair->now);
}

rw_status rw_settings_compare_model(rw_settings_pair *pair, const rw_format *format,
                                    rw_changes *out)
{
    return rw_model_compare(pair->old.model, pair->now.model, format, out);
}

static rw_status compare(const rw_config *old, const rw_config *now, const char *path,
                         const rw_key *keys, const rw_key *more, rw_changes *out)
{
    return rw_config_compare(old, now, path, (const rw_key *const[]){keys, more}, more ? 2 : 1,
                             out);
}

static rw_status compare_task(const rw_config *old, const rw_config *now, rw_changes *out)
{
    const rw_config *was = rw_config_map(old, "task"), *is = rw_config_map(now, "task");
    return rw_config_compare(was, is, "data.task", NULL, 0, out);
}

rw_status rw_settings_compare_rest(const rw_settings_pair *pair, rw_changes *out)
{
    const rw_settings *old = &pair->old, *now = &pair->now;
    const rw_optimizer *optimizer = rw_optimizer_find(rw_config_string(now->optimizer, "name"));
    const rw_schedule *schedule = rw_schedule_find(rw_config_string(now->schedule, "name"));
    RW_TRY(compare(old->data, now->data, "data", rw_data_keys, NULL, out));
    RW_TRY(compare_task(old->data, now->data, out));
    RW_TRY(compare(old->train, now->train, "train", rw_train_keys, NULL, out));
    RW_TRY(
        compare(old->optimizer, now->optimizer, "optimizer", rw_update_keys, optimizer->keys, out));
    RW_TRY(
        compare(old->schedule, now->schedule, "schedule", rw_schedule_keys, schedule->keys, out));
    RW_TRY(compare(old->parallel, now->parallel, "parallel", rw_parallel_keys, NULL, out));
    RW_TRY(compare(old->checkpoint, now->checkpoint, "checkpoint", rw_checkpoint_keys, NULL, out));
    return compare(old->eval, now->eval, "eval", rw_eval_keys, NULL, out);
}
