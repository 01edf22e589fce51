/* The name under which a dataset is written before it is whole: "OUT.partial.",
 * the host and the process. Two builds never write to the same file. */
#ifndef RW_DATASET_DRAFT_H
#define RW_DATASET_DRAFT_H

#include "base/status.h"

/* Names the draft of `path` and removes the drafts of processes of this host
 * that have ended. The caller frees *out. */
rw_status rw_dataset_draft_name(const char *path, char **out);

#endif
