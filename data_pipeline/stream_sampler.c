#include "data_pipeline/stream_sampler.h"

#include "base/random.h"

rw_stream_sampler rw_stream_sampler_make(uint64_t tokens, uint64_t length, uint64_t batch,
                                         uint64_t seed)
{
    rw_stream_sampler s = {.seed = seed, .length = length, .batch = batch};
    s.windows = tokens / batch / length;
    s.shifts = tokens - batch * s.windows * length + 1;
    return s;
}

uint64_t rw_stream_sampler_window(const rw_stream_sampler *s, uint64_t index)
{
    return index / s->batch % s->windows;
}

uint64_t rw_stream_sampler_start(const rw_stream_sampler *s, uint64_t index, bool *begins)
{
    uint64_t step = index / s->batch, stream = index % s->batch;
    uint64_t window = rw_stream_sampler_window(s, index);
    rw_random pass = rw_random_stream(s->seed, RW_RANDOM_ORDER, step / s->windows);
    *begins = window == 0;
    return rw_random_below(pass, 0, s->shifts) + (stream * s->windows + window) * s->length;
}
