#include "checkpoints/tensor_block.h"

void rw_chunks_plan(const rw_block *block, size_t limit, rw_chunks *out)
{
    size_t inner = block->element;
    int axis = block->dims - 1;
    while (axis > 0 && inner * block->shape[axis] <= limit) inner *= block->shape[axis--];
    size_t extent = block->shape[axis], run = limit / inner;
    if (run > extent) run = extent;
    *out = (rw_chunks){.axis = axis,
                       .run = run,
                       .inner = inner,
                       .bytes = run * inner,
                       .per_run = (extent + run - 1) / run,
                       .count = 1};
    for (int d = 0; d < block->dims; d++) {
        out->shape[d] = d < axis ? 1 : d == axis ? run : block->shape[d];
        if (d < axis) out->count *= block->shape[d];
    }
    out->count *= out->per_run;
}

rw_chunk rw_chunk_at(const rw_block *block, const rw_chunks *chunks, size_t index)
{
    size_t outer = index / chunks->per_run, extent = block->shape[chunks->axis];
    size_t at = index % chunks->per_run * chunks->run;
    size_t indices = extent - at < chunks->run ? extent - at : chunks->run;
    rw_chunk chunk = {.begin = (outer * extent + at) * chunks->inner,
                      .bytes = indices * chunks->inner};
    chunk.offset[chunks->axis] = at;
    for (int d = chunks->axis - 1; d >= 0; d--) {
        chunk.offset[d] = outer % block->shape[d];
        outer /= block->shape[d];
    }
    return chunk;
}
