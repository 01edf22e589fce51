/* The window of a text for training sequence `index`: each pass goes once through all windows in
 * its own order, and the grid of windows has its own start. A function of (seed, index) alone. */
#ifndef RW_WINDOW_SAMPLER_H
#define RW_WINDOW_SAMPLER_H

#include <stdint.h>

typedef struct {
    uint64_t seed, length;
    uint64_t windows; /* of one pass */
    uint64_t shifts;  /* the grid starts at one of the tokens 0 ... shifts - 1 */
} rw_window_sampler;

/* Windows of `length` among `tokens` (length <= tokens). */
rw_window_sampler rw_window_sampler_make(uint64_t tokens, uint64_t length, uint64_t seed);
/* The first token of sequence `index`. */
uint64_t rw_window_sampler_start(const rw_window_sampler *sampler, uint64_t index);

#endif
