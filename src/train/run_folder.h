/* The run folder: config.yaml, metrics.jsonl, log.txt, checkpoints/, report.html. */
#ifndef RW_RUN_FOLDER_H
#define RW_RUN_FOLDER_H

#include <stdint.h>
#include <stdio.h>

#include "base/config.h"
#include "storage/writer_lock.h"

#define RW_METRICS_LINE 16384 /* bytes; a field that does not fit is left out */

/* metrics.jsonl, open for appending on the writing rank. A failed write does not end the training:
 * the line is lost, and counted. */
typedef struct {
    int file; /* plus one; 0: not open */
    char line[RW_METRICS_LINE];
    size_t used;
    uint64_t lost;    /* lines */
    uint64_t ask_for; /* after this many lost lines a checkpoint is tried */
    bool well;        /* the last line was written */
    bool unsaved;     /* lines were lost, and no checkpoint was tried since writing works again */
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

/* Creates the folder if needed and takes its lock until rw_run_folder_close; removes remains of
 * writers that died. Fails, and changes nothing, if another process writes the folder, or, without
 * `force`, if training would replace a foreign file: see rw_run_folder_foreign. By one rank, before
 * the folder is read for a resume. */
rw_status rw_run_folder_claim(rw_run_folder *folder, bool force);

/* Fails if the content of config.yaml, metrics.jsonl, log.txt, report.html or checkpoints in the
 * folder is not by ropewalk. */
rw_status rw_run_folder_foreign(const rw_run_folder *folder);

/* The first lines of the config.yaml and of the log.txt that training writes. */
#define RW_CONFIG_HEADER "# Written by ropewalk train: the resolved configuration of this run.\n"
#define RW_LOG_HEADER    "Log of ropewalk train\n"

/* For a run that starts anew: moves all files of an earlier run (checkpoints, metrics, log,
 * configuration, report) into the first free folder PATH/earlier.N, and reports the move. By one
 * rank. */
rw_status rw_run_folder_set_aside(const rw_run_folder *folder);

/* Writes the resolved configuration into the claimed folder, opens log and metrics, and drops the
 * metrics lines of steps after `step`, which will be run a second time. By one rank. */
rw_status rw_run_folder_open(rw_run_folder *folder, const rw_config *config, uint64_t step);
/* Drops the metrics lines of steps after `step`, which will be run a second time. By the rank that
 * opened the folder. */
rw_status rw_run_folder_rewind(rw_run_folder *folder, uint64_t step);
/* Also releases the lock, and removes a folder without files. */
void rw_run_folder_close(rw_run_folder *folder);

/* A line of metrics.jsonl: add fields, then end the line, which writes it. Numbers that are not
 * finite become null. Without open metrics nothing happens. The first failed line is reported; the
 * number of failed lines is reported at the end. */
rw_status rw_metrics_open(rw_run_folder *folder, uint64_t step);
void rw_metrics_close(rw_run_folder *folder);
void rw_metrics_begin(rw_run_folder *folder, uint64_t step);
void rw_metrics_number(rw_run_folder *folder, const char *name, double value);
void rw_metrics_text(rw_run_folder *folder, const char *name, const char *value);
void rw_metrics_end(rw_run_folder *folder);
/* Lines are being lost: shall a checkpoint be tried? True at the first line, after twice as many
 * lines, and when lines can be written again. */
bool rw_metrics_ask_for_checkpoint(rw_run_folder *folder);

#endif
