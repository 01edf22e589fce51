/* Columns of lanes: RW_LANES neighbouring channels of a row-major matrix, copied
 * to a dense array (row, RW_LANES). A recurrence that runs over one column keeps
 * its state, its coefficients and its tokens in the first-level cache whatever
 * the width of the model is, and never meets a partial vector: the lanes beyond
 * `width` are zero. */
#ifndef RW_LANES_H
#define RW_LANES_H

#include "tensor/real.h"

/* Row `index` of a column. */
static inline rw_vector rw_lanes_load(const real *column, long index)
{
    return *(const rw_vector_unaligned *)(column + index * RW_LANES);
}

static inline void rw_lanes_store(real *column, long index, rw_vector value)
{
    *(rw_vector_unaligned *)(column + index * RW_LANES) = value;
}

/* The next column of a row is fetched into the cache: rows lie so far apart that no hardware
 * prefetcher follows them. */
static inline void rw_lanes_ahead(const real *row)
{
    __builtin_prefetch(row + RW_LANES);
}

/* column (rows, RW_LANES) = the first `width` <= RW_LANES columns of x (rows, ld). */
static inline void rw_lanes_pack(int rows, int width, const real *x, long ld, real *column)
{
    if (width == RW_LANES) {
        for (long t = 0; t < rows; t++) {
            rw_lanes_store(column, t, rw_lanes_load(x + t * ld, 0));
            rw_lanes_ahead(x + t * ld);
        }
        return;
    }
    for (long t = 0; t < rows; t++)
        for (int i = 0; i < RW_LANES; i++) column[t * RW_LANES + i] = i < width ? x[t * ld + i] : 0;
}

/* Two neighbouring columns that are whole. */
static inline void rw_lanes_pack_pair(int rows, const real *x, long ld, real *first, real *second)
{
    for (long t = 0; t < rows; t++) {
        rw_lanes_store(first, t, rw_lanes_load(x + t * ld, 0));
        rw_lanes_store(second, t, rw_lanes_load(x + t * ld, 1));
    }
}

/* The way back. */
static inline void rw_lanes_unpack(int rows, int width, const real *column, real *x, long ld)
{
    if (width == RW_LANES) {
        for (long t = 0; t < rows; t++) {
            rw_lanes_store(x + t * ld, 0, rw_lanes_load(column, t));
            rw_lanes_ahead(x + t * ld);
        }
        return;
    }
    for (long t = 0; t < rows; t++)
        for (int i = 0; i < width; i++) x[t * ld + i] = column[t * RW_LANES + i];
}

/* The way back, added to what x holds. */
static inline void rw_lanes_unpack_add(int rows, int width, const real *column, real *x, long ld)
{
    if (width == RW_LANES) {
        for (long t = 0; t < rows; t++) {
            rw_lanes_store(x + t * ld, 0, rw_lanes_load(x + t * ld, 0) + rw_lanes_load(column, t));
            rw_lanes_ahead(x + t * ld);
        }
        return;
    }
    for (long t = 0; t < rows; t++)
        for (int i = 0; i < width; i++) x[t * ld + i] += column[t * RW_LANES + i];
}

/* Two neighbouring columns that are whole. */
static inline void rw_lanes_unpack_add_pair(int rows, const real *first, const real *second,
                                            real *x, long ld)
{
    for (long t = 0; t < rows; t++) {
        real *row = x + t * ld;
        rw_lanes_store(row, 0, rw_lanes_load(row, 0) + rw_lanes_load(first, t));
        rw_lanes_store(row, 1, rw_lanes_load(row, 1) + rw_lanes_load(second, t));
    }
}

#endif
