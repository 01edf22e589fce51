/* Bytes and time of a primitive. */
#ifndef RW_PRIMITIVE_SPEED_H
#define RW_PRIMITIVE_SPEED_H

#include "measure/primitives.h"

/* All figures are the same on every rank. */
typedef struct {
    double payload;            /* bytes */
    double predicted, counted; /* bytes of a run, on the rank that sends most */
    bool exact;                /* predicted == counted on every rank */
    double seconds;            /* of a run: median of the rounds, slowest rank */
} rw_primitive_figures;

/* Opens the trial, runs it once to warm up and `rounds` times, and closes it. The caller sets
 * trial->layout and the sizes. Collective over the layout. */
rw_status rw_primitive_measure(const rw_primitive *primitive, rw_trial *trial, int rounds,
                               rw_primitive_figures *out);

#endif
