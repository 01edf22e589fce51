#include "mpi/slab_exchange.h"

#include <string.h>

#include "mpi/swap.h"

rw_range rw_slabs_own(const rw_span *span, int slabs)
{
    return rw_split(slabs, span->layout->sp, span->layout->sp_rank);
}

static size_t count_of(rw_range range)
{
    return (size_t)(range.end - range.begin);
}

size_t rw_slabs_reals(const rw_span *span, int slabs, int width)
{
    return (size_t)span->most * count_of(rw_slabs_own(span, slabs)) * (size_t)span->length *
           (size_t)width;
}

/* The largest block that two ranks exchange: shares differ by one chunk, one slab. */
static size_t half_of_buffer(const rw_span *span, int slabs, int width)
{
    long sp = span->layout->sp, rows = rw_span_most_rows(span), most = (slabs + sp - 1) / sp;
    return (size_t)(span->most * rows * most) * (size_t)width;
}

size_t rw_slabs_buffer(const rw_span *span, int slabs, int width)
{
    return span->layout->sp == 1 ? 0 : 2 * half_of_buffer(span, slabs, width);
}

double rw_slabs_gather_bytes(const rw_span *span, int slabs, int width)
{
    size_t others = (size_t)slabs - count_of(rw_slabs_own(span, slabs));
    return (double)((size_t)span->sequences * (size_t)rw_span_count(span) * others * (size_t)width *
                    sizeof(real));
}

double rw_slabs_scatter_bytes(const rw_span *span, int slabs, int width)
{
    size_t others = (size_t)(span->length - rw_span_count(span));
    return (double)((size_t)span->sequences * others * count_of(rw_slabs_own(span, slabs)) *
                    (size_t)width * sizeof(real));
}

/* A block in flight to or from rank q: (sequences, slabs, rows, width). */
typedef struct {
    const rw_span *span;
    rw_range slabs, rows;
    size_t width;
    real *values;
} block;

static size_t block_bytes(const block *b)
{
    return (size_t)b->span->sequences * count_of(b->slabs) * count_of(b->rows) * b->width *
           sizeof(real);
}

/* Slab l of sequence s in a block. */
static real *slab_of(const block *b, long s, long l)
{
    size_t slab = (size_t)s * count_of(b->slabs) + (size_t)(l - b->slabs.begin);
    return b->values + slab * count_of(b->rows) * b->width;
}

static void add_or_copy(real *to, const real *from, size_t n, bool add)
{
    if (!add) {
        memcpy(to, from, n * sizeof(real));
        return;
    }
    for (size_t i = 0; i < n; i++) to[i] += from[i];
}

/* Copies between a block and the rows of this rank. */
static void copy_rows(const block *b, real *rows, int ld, bool out, bool add)
{
    const rw_span *span = b->span;
    long first = span->rows.begin;
#pragma omp parallel for collapse(2) schedule(static) num_threads(span->layout->threads)
    for (long s = 0; s < span->sequences; s++)
        for (long l = b->slabs.begin; l < b->slabs.end; l++) {
            real *slab = slab_of(b, s, l);
            for (long r = first; r < span->rows.end; r++, slab += b->width) {
                real *row = rows + (size_t)(s * span->stride + r - first) * (size_t)ld +
                            (size_t)l * b->width;
                if (out)
                    memcpy(slab, row, b->width * sizeof(real));
                else
                    add_or_copy(row, slab, b->width, add);
            }
        }
}

/* Copies between a block and the whole slabs of this rank. */
static void copy_slabs(const block *b, real *whole, bool in)
{
    const rw_span *span = b->span;
    size_t each = (size_t)span->length * b->width, part = count_of(b->rows) * b->width;
#pragma omp parallel for collapse(2) schedule(static) num_threads(span->layout->threads)
    for (long s = 0; s < span->sequences; s++)
        for (long l = b->slabs.begin; l < b->slabs.end; l++) {
            size_t slab = (size_t)s * count_of(b->slabs) + (size_t)(l - b->slabs.begin);
            real *at = whole + slab * each + (size_t)b->rows.begin * b->width;
            memcpy(in ? at : slab_of(b, s, l), in ? slab_of(b, s, l) : at, part * sizeof(real));
        }
}

/* The blocks of rank q: of this rank's rows and q's slabs, and of q's rows and
 * this rank's slabs. */
static block own_rows(const rw_span *span, int slabs, int width, int q, real *values)
{
    return (block){span, rw_split(slabs, span->layout->sp, q), span->rows, (size_t)width, values};
}

static block own_slabs(const rw_span *span, int slabs, int width, int q, real *values)
{
    return (block){span, rw_slabs_own(span, slabs), rw_span_rows(span, q), (size_t)width, values};
}

void rw_slabs_gather(const rw_span *span, int slabs, int width, const real *rows, int ld,
                     real *whole, real *buffer)
{
    int sp = span->layout->sp, me = span->layout->sp_rank;
    real *received = buffer + half_of_buffer(span, slabs, width);
    if (sp == 1) { /* the block of this rank is the whole */
        block alone = own_rows(span, slabs, width, 0, whole);
        copy_rows(&alone, (real *)rows, ld, true, false);
        return;
    }
    for (int k = 0; k < sp; k++) {
        int to = (me + k) % sp, from = (me - k + sp) % sp;
        block mine = own_rows(span, slabs, width, to, buffer);
        block theirs = own_slabs(span, slabs, width, from, k ? received : buffer);
        copy_rows(&mine, (real *)rows, ld, true, false);
        if (k)
            rw_swap(span->layout, to, mine.values, block_bytes(&mine), from, received,
                    block_bytes(&theirs));
        copy_slabs(&theirs, whole, true);
    }
}

void rw_slabs_scatter(const rw_span *span, int slabs, int width, const real *whole, real *rows,
                      int ld, bool add, real *buffer)
{
    int sp = span->layout->sp, me = span->layout->sp_rank;
    real *received = buffer + half_of_buffer(span, slabs, width);
    if (sp == 1) {
        block alone = own_rows(span, slabs, width, 0, (real *)whole);
        copy_rows(&alone, rows, ld, false, add);
        return;
    }
    for (int k = 0; k < sp; k++) {
        int to = (me + k) % sp, from = (me - k + sp) % sp;
        block theirs = own_slabs(span, slabs, width, to, buffer);
        block mine = own_rows(span, slabs, width, from, k ? received : buffer);
        copy_slabs(&theirs, (real *)whole, false);
        if (k)
            rw_swap(span->layout, to, theirs.values, block_bytes(&theirs), from, received,
                    block_bytes(&mine));
        copy_rows(&mine, rows, ld, false, add);
    }
}
