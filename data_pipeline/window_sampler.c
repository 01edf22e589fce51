#include "data_pipeline/window_sampler.h"

#include <assert.h>

#include "base/random.h"

/* With at least this many windows, one window is given up in every pass so that the grid can start
 * anywhere within a length, and all cuts between windows differ from pass to pass. With fewer
 * windows, only the left-over tokens are room to shift. */
#define WINDOWS_TO_SPARE_ONE 16

/* The permutation draws below 2^42: this index is free for the shift. */
#define SHIFT_INDEX UINT64_MAX

rw_window_sampler rw_window_sampler_make(uint64_t tokens, uint64_t length, uint64_t seed)
{
    assert(length > 0 && length <= tokens);
    rw_window_sampler s = {.seed = seed, .length = length, .windows = tokens / length};
    if (s.windows >= WINDOWS_TO_SPARE_ONE) s.windows--;
    uint64_t spare = tokens - s.windows * length;
    s.shifts = spare < length ? spare + 1 : length;
    return s;
}

uint64_t rw_window_sampler_start(const rw_window_sampler *s, uint64_t index)
{
    rw_random pass = rw_random_stream(s->seed, RW_RANDOM_ORDER, index / s->windows);
    uint64_t shift = rw_random_below(pass, SHIFT_INDEX, s->shifts);
    return shift + s->length * rw_random_permute(pass, index % s->windows, s->windows);
}
