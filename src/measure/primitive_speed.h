/* What a primitive sends and how long it takes. */
#ifndef RW_PRIMITIVE_SPEED_H
#define RW_PRIMITIVE_SPEED_H

#include "measure/primitives.h"

/* All figures are the same on every rank. */
typedef struct {
    double payload;            /* bytes */
    double predicted, counted; /* bytes sent by the rank that sends most, one run */
    bool exact;                /* predicted == counted on every rank */
    double seconds;            /* of one run: median of the rounds, slowest rank */
} rw_primitive_figures;

/* Opens the trial, runs it once to warm up and `rounds` times, and closes it.
 * trial->layout and its sizes are set by the caller. Collective over the layout. */
rw_status rw_primitive_measure(const rw_primitive *primitive, rw_trial *trial, int rounds,
                               rw_primitive_figures *out);

#endif
