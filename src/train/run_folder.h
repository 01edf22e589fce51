/* The run folder: config.yaml, metrics.jsonl, log.txt, checkpoints/, report.html. */
#ifndef RW_RUN_FOLDER_H
#define RW_RUN_FOLDER_H

#include <stdint.h>
#include <stdio.h>

#include "base/config.h"

typedef struct {
    char *path;        /* owned */
    char *checkpoints; /* PATH/checkpoints, owned */
    FILE *metrics;     /* open for appending; on the writing rank only */
} rw_run_folder;

/* Names the folder: `path`, or runs/NAME-OF-CONFIG if NULL. Not collective. */
rw_status rw_run_folder_name(const char *path, const char *config_path, rw_run_folder *out);

/* For a run that starts anew: moves all of an earlier run (checkpoints, metrics, log,
 * configuration, report) together into the first free folder PATH/earlier.N, and says so. By one
 * rank. */
rw_status rw_run_folder_set_aside(const rw_run_folder *folder);

/* Creates it where needed, writes the resolved configuration, opens log and
 * metrics, and drops metrics lines of steps after `step`, which are about to be
 * run again. To be called by one rank. */
rw_status rw_run_folder_open(rw_run_folder *folder, const rw_config *config, uint64_t step);
/* Drops the metrics lines of steps after `step`, which are about to be run again. By the rank
 * that opened it. */
rw_status rw_run_folder_rewind(rw_run_folder *folder, uint64_t step);
void rw_run_folder_close(rw_run_folder *folder);

/* One line of metrics.jsonl: fields are added, then the line is ended. Numbers
 * that are not finite become null. Nothing happens where metrics is not open. */
void rw_metrics_begin(rw_run_folder *folder, uint64_t step);
void rw_metrics_number(rw_run_folder *folder, const char *name, double value);
void rw_metrics_text(rw_run_folder *folder, const char *name, const char *value);
rw_status rw_metrics_end(rw_run_folder *folder);

#endif
