/* The report of a run: report.html in its folder, a page without scripts or links to other files,
 * with the facts and curves of the run. */
#ifndef RW_REPORT_H
#define RW_REPORT_H

#include <stdbool.h>

#include "base/status.h"

/* Reads metrics.jsonl and config.yaml in the run folder `run_dir` and writes report.html there,
 * atomically (a temporary file, fsync, rename). Works during the run, and after a kill: see
 * run_metrics.h. Not collective: one rank calls it. Errors: RW_ERROR if the folder is no run
 * folder, or the report cannot be written; the former report then stays. Without `force` also if
 * the folder has a foreign report.html. */
rw_status rw_report_write(const char *run_dir, bool force);

/* Is the file a page by ropewalk, by its content? Also if it is empty. */
rw_status rw_report_is_ours(const char *path, bool *ours);

#endif
