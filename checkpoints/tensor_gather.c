#include "checkpoints/tensor_gather.h"

#include "base/memory.h"
#include "mpi/shards.h"

/* The request of rank 0, in place of a tensor number, when it is done. */
enum { NO_MORE = -1 };

static rw_range part_of(const rw_tensor *tensor)
{
    return (rw_range){(long)tensor->begin, (long)tensor->end};
}

rw_status rw_gather_open(rw_gather *g)
{
    size_t most = 0;
    for (int i = 0; i < g->count; i++) {
        const rw_tensor *tensor = &g->tensors[i];
        size_t reals = tensor->sharded;
        /* An impossible number is refused when the tensor is written. */
        for (int d = 0; d < tensor->dims && d < RW_MAX_DIMS; d++) reals *= tensor->shape[d];
        if (reals > most) most = reals;
    }
    return rw_alloc(most, sizeof(real), "a tensor to save", &g->whole);
}

static void ask(const rw_gather *g, int tensor)
{
    MPI_Bcast(&tensor, 1, MPI_INT, 0, g->layout->world);
}

void rw_gather_close(rw_gather *g)
{
    ask(g, NO_MORE);
    rw_free(&g->whole);
}

const real *rw_gather_fetch(rw_gather *g, const rw_tensor *tensor)
{
    if (g->held == tensor) return g->whole;
    ask(g, (int)(tensor - g->tensors));
    rw_shards_collect(g->layout, part_of(tensor), tensor->data, g->whole);
    g->held = tensor;
    return g->whole;
}

void rw_gather_serve(const rw_gather *g)
{
    for (;;) {
        int asked;
        MPI_Bcast(&asked, 1, MPI_INT, 0, g->layout->world);
        if (asked == NO_MORE) return;
        const rw_tensor *tensor = &g->tensors[asked];
        rw_shards_collect(g->layout, part_of(tensor), tensor->data, NULL);
    }
}
