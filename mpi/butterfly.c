#include "mpi/butterfly.h"

#include "mpi/swap.h"

int rw_butterfly_splits(const rw_layout *layout)
{
    int p = 0;
    while (1 << p < layout->sp) p++;
    return 1 << p == layout->sp ? p : -1;
}

/* The bit of the rank in which partners differ. */
static int bit_of(const rw_layout *layout, int k)
{
    return layout->sp >> (k + 1);
}

bool rw_butterfly_upper(const rw_layout *layout, int k)
{
    return layout->sp_rank & bit_of(layout, k);
}

long rw_butterfly_block(const rw_layout *layout, int k)
{
    return (1L << k) + layout->sp_rank / (layout->sp >> k);
}

void rw_butterfly_swap(const rw_layout *layout, int k, const real *mine, real *theirs, size_t reals)
{
    int partner = layout->sp_rank ^ bit_of(layout, k);
    rw_swap(layout, partner, mine, reals * sizeof(real), partner, theirs, reals * sizeof(real));
}

double rw_butterfly_bytes(const rw_layout *layout, size_t reals)
{
    int p = rw_butterfly_splits(layout);
    return p < 1 ? 0 : (2.0 * p - 1) * (double)(reals * sizeof(real));
}
