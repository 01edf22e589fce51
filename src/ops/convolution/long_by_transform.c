/* Long convolution with transforms that the ranks of a sequence share. One
 * sequence at a time, several slabs of it in one message; threads take slabs.
 *
 *   workspace   table | spectrum | u | h | other, the last four of a round's slabs */
#include "kernels/long_fft.h"
#include "mpi/butterfly.h"
#include "ops/convolution/long_paths.h"

typedef struct {
    const rw_span *span;
    int p, width, all, round, slabs; /* of all slabs, of the largest round, of this round */
    long n, rows;                    /* points of a sequence, points of this rank */
    size_t part, half;               /* reals of a slab: points, rows */
    real *table, *spectrum, *z[RW_LONG_INPUTS], *other;
} work;

bool rw_long_transform_fits(const rw_span *span)
{
    const int p = rw_butterfly_splits(span->layout);
    const long share = (long)span->chunk * span->layout->sp;
    return span->before == 0 && p >= 0 && p <= RW_LONG_STAGES &&
           rw_long_points(span->length) == span->length && span->length % share == 0;
}

size_t rw_long_transform_workspace(const rw_node *node, const rw_span *span)
{
    int width = rw_long_slab_width(node->out_width);
    int slabs = rw_long_slabs_at_once(span, 1, node->out_width / width, width);
    return rw_long_table_reals(span->length) +
           4 * (size_t)slabs * rw_long_group_reals(rw_span_count(span));
}

static work begin(const rw_global *call)
{
    const rw_span *span = &call->span;
    work w = {.span = span, .n = span->length, .rows = rw_span_count(span)};
    w.p = rw_butterfly_splits(span->layout);
    w.width = rw_long_slab_width(call->node->out_width);
    w.all = call->node->out_width / w.width;
    w.round = rw_long_slabs_at_once(span, 1, w.all, w.width);
    w.part = rw_long_group_reals(w.rows);
    w.half = w.part / 2;
    w.table = call->workspace;
    w.spectrum = w.table + rw_long_table_reals(w.n);
    for (int k = 0; k < RW_LONG_INPUTS; k++)
        w.z[k] = w.spectrum + (size_t)((k + 1) * w.round) * w.part;
    w.other = w.spectrum + (size_t)((RW_LONG_INPUTS + 1) * w.round) * w.part;
    rw_long_set_table(span, w.table);
    return w;
}

/* The root w, times a factor, of the block that this rank and its partner divide in split k. */
static rw_root root_of(const work *w, int k, double factor)
{
    rw_root root = rw_long_root(w->table, rw_butterfly_block(w->span->layout, k));
    real f = (real)factor;
    return (rw_root){root.re * f, root.im * f};
}

static rw_long_rows slab_of(const work *w, const real *rows, int ld, int slab)
{
    return (rw_long_rows){w->rows, w->width, rows + slab * w->width, ld};
}

/* The first split: the rows of this rank and of its partner. */
static void widen(const work *w, const real *rows, int ld, real *z)
{
    real *mine = w->other, *theirs = w->other + (size_t)w->slabs * w->half;
    bool upper = rw_butterfly_upper(w->span->layout, 0);
    rw_root root = root_of(w, 0, upper ? -1 : 1);
#pragma omp parallel for schedule(static) num_threads(w->span->layout->threads)
    for (int slab = 0; slab < w->slabs; slab++) {
        rw_long_rows x = slab_of(w, rows, ld, slab);
        rw_long_pack(&x, mine + (size_t)slab * w->half);
    }
    rw_butterfly_swap(w->span->layout, 0, mine, theirs, (size_t)w->slabs * w->half);
#pragma omp parallel for schedule(static) num_threads(w->span->layout->threads)
    for (int slab = 0; slab < w->slabs; slab++) {
        const real *a = mine + (size_t)slab * w->half, *b = theirs + (size_t)slab * w->half;
        rw_long_widen(root, w->rows, upper ? b : a, upper ? a : b, z + (size_t)slab * w->part);
    }
}

/* z = this rank's block of the ring, of rows (rows, ld). */
static void split(const work *w, const real *rows, int ld, real *z)
{
    widen(w, rows, ld, z);
    for (int k = 1; k < w->p; k++) {
        bool upper = rw_butterfly_upper(w->span->layout, k);
        rw_root root = root_of(w, k, 1);
        rw_butterfly_swap(w->span->layout, k, z, w->other, (size_t)w->slabs * w->part);
#pragma omp parallel for schedule(static) num_threads(w->span->layout->threads)
        for (int slab = 0; slab < w->slabs; slab++) {
            real *mine = z + (size_t)slab * w->part, *theirs = w->other + (size_t)slab * w->part;
            rw_long_split_pair(root, w->rows, upper ? theirs : mine, upper ? mine : theirs);
        }
    }
}

static void transform(const work *w, real *z)
{
    long block = w->span->layout->sp + w->span->layout->sp_rank;
#pragma omp parallel for schedule(static) num_threads(w->span->layout->threads)
    for (int slab = 0; slab < w->slabs; slab++)
        rw_long_part_transform(w->table, w->p, block, w->rows, z + (size_t)slab * w->part);
}

static void multiply(const work *w, bool conj, real *all)
{
    long block = w->span->layout->sp + w->span->layout->sp_rank;
#pragma omp parallel for schedule(static) num_threads(w->span->layout->threads)
    for (int slab = 0; slab < w->slabs; slab++) {
        size_t at = (size_t)slab * w->part;
        rw_long_part_multiply(w->table, w->p, block, w->rows, conj, w->spectrum + at, all + at);
    }
}

/* The last join: real parts, half of them for the partner. */
static void narrow(const work *w, real *all, real *rows, int ld, bool add)
{
    const double f = 1 / (double)w->n;
    const bool upper = rw_butterfly_upper(w->span->layout, 0);
    const rw_root plain = {(real)f, 0}, turned = root_of(w, 0, f);
    const rw_root keep = upper ? root_of(w, 0, -f) : plain, give = upper ? plain : turned;
    real *kept = w->other, *given = w->other + (size_t)w->slabs * w->half;
#pragma omp parallel for schedule(static) num_threads(w->span->layout->threads)
    for (int slab = 0; slab < w->slabs; slab++) {
        const real *z = all + (size_t)slab * w->part;
        rw_long_real_part(keep, w->rows, z, kept + (size_t)slab * w->half);
        rw_long_real_part(give, w->rows, z, given + (size_t)slab * w->half);
    }
    rw_butterfly_swap(w->span->layout, 0, given, all, (size_t)w->slabs * w->half);
#pragma omp parallel for schedule(static) num_threads(w->span->layout->threads)
    for (int slab = 0; slab < w->slabs; slab++) {
        size_t at = (size_t)slab * w->half;
        rw_long_unpack(kept + at, all + at,
                       (rw_long_out){w->rows, w->width, rows + slab * w->width, ld, add});
    }
}

/* rows (+)= z on the way back. */
static void join(const work *w, real *z, real *rows, int ld, bool add)
{
    for (int k = w->p - 1; k > 0; k--) {
        bool upper = rw_butterfly_upper(w->span->layout, k);
        rw_root root = root_of(w, k, 1);
        rw_butterfly_swap(w->span->layout, k, z, w->other, (size_t)w->slabs * w->part);
#pragma omp parallel for schedule(static) num_threads(w->span->layout->threads)
        for (int slab = 0; slab < w->slabs; slab++) {
            size_t at = (size_t)slab * w->part;
            real *mine = z + at, *theirs = w->other + at;
            rw_long_join_pair(root, w->rows, upper ? theirs : mine, upper ? mine : theirs);
        }
    }
    narrow(w, z, rows, ld, add);
}

/* Where slab `slab` of sequence b begins in an array of leading dimension ld. */
static size_t slab_at(const work *w, long b, int slab, int ld)
{
    return (size_t)(b * w->span->stride) * (size_t)ld + (size_t)(slab * w->width);
}

static void forward_slabs(const work *w, const rw_global *call, long b, int slab)
{
    const int ldu = call->in_ld[RW_LONG_INPUT], ldh = call->in_ld[RW_LONG_FILTER];
    real *z = w->z[RW_LONG_INPUT];
    split(w, call->in[RW_LONG_FILTER] + slab_at(w, b, slab, ldh), ldh, w->spectrum);
    transform(w, w->spectrum);
    split(w, call->in[RW_LONG_INPUT] + slab_at(w, b, slab, ldu), ldu, z);
    multiply(w, false, z);
    join(w, z, call->out + slab_at(w, b, slab, call->out_ld), call->out_ld, false);
}

/* Both inputs are read before a gradient is written: the gradient may overwrite an input. */
static void backward_slabs(const work *w, const rw_global *call, long b, int slab)
{
    split(w, call->dout + slab_at(w, b, slab, call->dout_ld), call->dout_ld, w->spectrum);
    transform(w, w->spectrum);
    for (int k = 0; k < RW_LONG_INPUTS; k++) {
        const int other = RW_LONG_INPUTS - 1 - k, ld = call->in_ld[other];
        if (call->din[k]) split(w, call->in[other] + slab_at(w, b, slab, ld), ld, w->z[k]);
    }
    for (int k = 0; k < RW_LONG_INPUTS; k++) {
        const int ld = call->din_ld[k];
        if (!call->din[k]) continue;
        multiply(w, true, w->z[k]);
        join(w, w->z[k], call->din[k] + slab_at(w, b, slab, ld), ld, call->din_add[k]);
    }
}

typedef void slabs_work(const work *w, const rw_global *call, long b, int slab);

static void for_all_slabs(const rw_global *call, slabs_work *run)
{
    work w = begin(call);
    for (long b = 0; b < call->span.sequences; b++)
        for (int slab = 0; slab < w.all; slab += w.slabs) {
            w.slabs = w.all - slab < w.round ? w.all - slab : w.round;
            run(&w, call, b, slab);
        }
}

void rw_long_transform_forward(const rw_global *call)
{
    for_all_slabs(call, forward_slabs);
}

void rw_long_transform_backward(const rw_global *call)
{
    for_all_slabs(call, backward_slabs);
}
