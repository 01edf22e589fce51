/* Differences between the settings of a checkpoint and of this run. Not collective. */
#ifndef RW_SETTINGS_CHANGES_H
#define RW_SETTINGS_CHANGES_H

#include "base/config_compare.h"
#include "train/settings.h"

/* Both configurations, resolved with the defaults of this program: a key that is newer than the
 * checkpoint has its default as the old value. */
typedef struct {
    rw_settings old, now;
} rw_settings_pair;

/* Reads the configuration of a checkpoint, `text`, and copies the configuration of this run. `path`
 * names the checkpoint in messages. An error if this program does not know a key. The caller frees
 * *out with rw_settings_pair_free, also after a failure. */
rw_status rw_settings_pair_read(const char *text, const char *path, const rw_settings *now,
                                rw_settings_pair *out);
void rw_settings_pair_free(rw_settings_pair *pair);

/* Appends the differences in the mapping `model` (alters the pair, see rw_model_compare), and in
 * all other sections. The caller frees *out. */
rw_status rw_settings_compare_model(rw_settings_pair *pair, const rw_format *format,
                                    rw_changes *out);
rw_status rw_settings_compare_rest(const rw_settings_pair *pair, rw_changes *out);

#endif
