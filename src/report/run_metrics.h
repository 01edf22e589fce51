/* metrics.jsonl of a run folder, read into arrays for reports. The writer may be killed at any
 * byte, and the next launch appends to the file. So everything is tolerated: damaged lines are
 * counted and left out, an unfinished last line is ignored, NaN and infinite values (no JSON) are
 * gaps, and when a launch goes back to a checkpoint its repeated steps replace the earlier ones. */
#ifndef RW_RUN_METRICS_H
#define RW_RUN_METRICS_H

#include <stddef.h>

#include "base/status.h"

typedef enum {
    RW_METRIC_LOSS,
    RW_METRIC_BITS_PER_BYTE, /* byte data only */
    RW_METRIC_TOKENS,        /* trained on so far */
    RW_METRIC_TOKENS_PER_S,
    RW_METRIC_LR,
    RW_METRIC_GRAD_NORM,
    RW_METRIC_STEP_S,         /* seconds of the step */
    RW_METRIC_COMM_S,         /* seconds in communication */
    RW_METRIC_EXPOSED_COMM_S, /* of these, seconds of waiting */
    RW_METRIC_BYTES_SENT,
    RW_METRIC_COMM_SHARE,    /* derived: COMM_S in percent of STEP_S */
    RW_METRIC_EXPOSED_SHARE, /* derived: EXPOSED_COMM_S in percent of STEP_S */
    RW_METRIC_COUNT,
} rw_metric;

/* A training step; a missing value is NaN. */
typedef struct {
    double step;
    double value[RW_METRIC_COUNT];
} rw_metrics_row;

/* An evaluation on held-out data. */
typedef struct {
    double step, loss, bits_per_byte;
    double tokens; /* evaluated tokens */
} rw_metrics_evaluation;

/* An event: "resumed", "stopped", "skipped", ... */
typedef struct {
    double step;
    char *kind;
    char *detail; /* the other fields, as "key value, key value" */
} rw_metrics_event;

/* The facts of the last "start" event; numbers are NaN if unknown. */
typedef struct {
    double parameters, ranks, dp, sp, threads;
    double heldout_tokens; /* to predict in the held-out part of a dataset */
    char host[256];
} rw_metrics_start;

typedef struct {
    rw_metrics_row *rows; /* by increasing step */
    size_t row_count, row_capacity;
    rw_metrics_evaluation *evaluations; /* by increasing step */
    size_t evaluation_count, evaluation_capacity;
    rw_metrics_event *events; /* in the order of the file */
    size_t event_count, event_capacity;
    rw_metrics_start start;
    double rollbacks, skipped_sequences; /* of the last event "rollback"; NaN: there is none */
    size_t damaged_lines, repeated_steps;
} rw_run_metrics;

/* Reads the file at `path` into *out, which rw_run_metrics_free releases, also
 * after an error. A file that does not exist gives no rows. Not collective.
 * Errors: RW_ERROR if the file cannot be read, or memory is short. */
rw_status rw_run_metrics_read(const char *path, rw_run_metrics *out);

void rw_run_metrics_free(rw_run_metrics *metrics);

#endif
