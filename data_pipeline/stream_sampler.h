/* Which part of a text is training sequence `index` where sequences go on from
 * step to step: the text is cut into `batch` streams of equal length, and
 * sequence b of a step is the next window of stream b. Each pass goes once through
 * all streams, which start at a place of their own. A function of (seed, index)
 * alone.
 *
 *   text    |shift| stream 0: window 0, 1, 2 ... | stream 1: window 0, 1 ... |rest|
 */
#ifndef RW_STREAM_SAMPLER_H
#define RW_STREAM_SAMPLER_H

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    uint64_t seed, length, batch;
    uint64_t windows; /* tokens of a stream; 0: the text is too short */
    uint64_t shifts;  /* a pass begins at one of the tokens 0 ... shifts - 1 */
} rw_stream_sampler;

/* Streams of windows of `length` among `tokens`. */
rw_stream_sampler rw_stream_sampler_make(uint64_t tokens, uint64_t length, uint64_t batch,
                                         uint64_t seed);
/* The window of the stream for sequence `index`. */
uint64_t rw_stream_sampler_window(const rw_stream_sampler *sampler, uint64_t index);
/* The first token of sequence `index`; *begins: whether a stream begins there. */
uint64_t rw_stream_sampler_start(const rw_stream_sampler *sampler, uint64_t index, bool *begins);

#endif
