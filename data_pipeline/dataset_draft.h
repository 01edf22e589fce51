/* The name of an unfinished dataset: "OUT.partial.", the host and the process. Two builds never
 * write to the same file. */
#ifndef RW_DATASET_DRAFT_H
#define RW_DATASET_DRAFT_H

#include "base/status.h"

/* Names the draft of `path` and removes the drafts of ended processes of this host. The caller
 * frees *out. */
rw_status rw_dataset_draft_name(const char *path, char **out);

#endif
