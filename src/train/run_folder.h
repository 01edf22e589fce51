/* The run folder: config.yaml, metrics.jsonl, log.txt, checkpoints/, report.html. */
#ifndef RW_RUN_FOLDER_H
#define RW_RUN_FOLDER_H

#include <stdint.h>
#include <stdio.h>

#include "base/config.h"
#include "storage/writer_lock.h"

#define RW_METRICS_LINE 16384 /* bytes; a field that does not fit is left out */

/* metrics.jsonl, open for appending on the writing rank. A line that cannot be written
 * does not end the training: it is lost, and counted. */
typedef struct {
    int file; /* plus one; 0: not open */
    char line[RW_METRICS_LINE];
    size_t used;
    uint64_t lost;    /* lines */
    uint64_t ask_for; /* with this many lost a checkpoint is tried */
    bool well;        /* the last line was written */
    bool unsaved;     /* lines were lost, and no checkpoint was tried since all is well again */
    bool torn;        /* the file ends with part of a line */
} rw_metrics;

typedef struct {
    char *path;           /* owned */
    char *checkpoints;    /* PATH/checkpoints, owned */
    rw_writer_lock *lock; /* held by the writing rank */
    bool made;            /* by this process */
    rw_metrics metrics;
} rw_run_folder;

/* Names the folder: `path`, or runs/NAME-OF-CONFIG if NULL. Not collective. */
rw_status rw_run_folder_name(const char *path, const char *config_path, rw_run_folder *out);

/* Makes the folder where needed and takes its lock, which lasts until rw_run_folder_close; removes
 * what writers that died left. Fails, and changes nothing, where another process writes the
 * folder, or, without `force`, where a file that training would replace is not ropewalk's: see
 * rw_run_folder_foreign. By one rank, before anything in the folder is read to go on from. */
rw_status rw_run_folder_claim(rw_run_folder *folder, bool force);

/* Fails if config.yaml, metrics.jsonl, log.txt, report.html or checkpoints in the folder is
 * something that ropewalk did not write, by its content. */
rw_status rw_run_folder_foreign(const rw_run_folder *folder);

/* The first lines of the config.yaml and of the log.txt that training writes. */
#define RW_CONFIG_HEADER "# Written by ropewalk train: the resolved configuration of this run.\n"
#define RW_LOG_HEADER    "Log of ropewalk train\n"

/* For a run that starts anew: moves all of an earlier run (checkpoints, metrics, log,
 * configuration, report) together into the first free folder PATH/earlier.N, and says so. By one
 * rank. */
rw_status rw_run_folder_set_aside(const rw_run_folder *folder);

/* Writes the resolved configuration into the claimed folder, opens log and
 * metrics, and drops metrics lines of steps after `step`, which are about to be
 * run again. To be called by one rank. */
rw_status rw_run_folder_open(rw_run_folder *folder, const rw_config *config, uint64_t step);
/* Drops the metrics lines of steps after `step`, which are about to be run again. By the rank
 * that opened it. */
rw_status rw_run_folder_rewind(rw_run_folder *folder, uint64_t step);
/* Also gives the lock back, and removes a folder that was made for nothing. */
void rw_run_folder_close(rw_run_folder *folder);

/* One line of metrics.jsonl: fields are added, then the line is ended and written. Numbers
 * that are not finite become null. Nothing happens where metrics is not open. The first line that
 * cannot be written is told; how many there were, at the end. */
rw_status rw_metrics_open(rw_run_folder *folder, uint64_t step);
void rw_metrics_close(rw_run_folder *folder);
void rw_metrics_begin(rw_run_folder *folder, uint64_t step);
void rw_metrics_number(rw_run_folder *folder, const char *name, double value);
void rw_metrics_text(rw_run_folder *folder, const char *name, const char *value);
void rw_metrics_end(rw_run_folder *folder);
/* Lines are being lost: is it time to try to save the work? True at the first line, again after
 * twice as many, and when lines can be written again. */
bool rw_metrics_ask_for_checkpoint(rw_run_folder *folder);

#endif
