/* A written folder becomes a checkpoint only by a rename, after all its files are on the device.
 * Not collective. */
#ifndef RW_CHECKPOINT_COMMIT_H
#define RW_CHECKPOINT_COMMIT_H

#include <stdint.h>

#include "base/status.h"

/* Clears up after saves that died: removes their files, and restores the name of a checkpoint that
 * was moved aside if its successor is missing. A failure is a warning only. */
void rw_commit_clean(const char *dir);

/* Gives the folder `fresh`, whose files are on the device, its final name in
 * `dir`, replacing a checkpoint of the same step, and points `latest` to it. */
rw_status rw_commit_promote(const char *dir, const char *fresh, uint64_t step);

#endif
