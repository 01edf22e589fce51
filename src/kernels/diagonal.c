#include "kernels/diagonal.h"

#include "kernels/lanes.h"

/* Tokens that are in flight at once: see legs.c. Here the sums of the outputs
 * are the chains whose latency a tile hides. */
#define TILE         4
#define TANGENT_TILE 2

#define INLINE static inline __attribute__((always_inline))

typedef struct {
    rw_vector re, im;
} complex_lanes;

INLINE complex_lanes load(const real *column, long index)
{
    return (complex_lanes){rw_lanes_load(column, index), rw_lanes_load(column, index + 1)};
}

INLINE void store(real *column, long index, complex_lanes value)
{
    rw_lanes_store(column, index, value.re);
    rw_lanes_store(column, index + 1, value.im);
}

INLINE void run_tile(int tokens, int modes, const real *coefficients, const real *u, real *y,
                     real *state)
{
    rw_vector input[TILE], sum[TILE];
    for (int i = 0; i < tokens; i++) {
        input[i] = u ? rw_lanes_load(u, i) : (rw_vector){0};
        sum[i] = (rw_vector){0};
    }
    for (int m = 0; m < modes; m++) {
        const real *at = coefficients + (long)m * RW_DIAGONAL_COEFFICIENTS * RW_LANES;
        complex_lanes lambda = load(at, RW_DIAGONAL_LAMBDA_RE), c = load(at, RW_DIAGONAL_C_RE);
        complex_lanes x = load(state, 2 * m);
#pragma GCC unroll 4
        for (int i = 0; i < tokens; i++) {
            rw_vector re = input[i] + lambda.re * x.re;
            re = re - lambda.im * x.im;
            x.im = lambda.re * x.im + lambda.im * x.re;
            x.re = re;
            if (y) sum[i] = sum[i] + c.re * x.re - c.im * x.im;
        }
        store(state, 2 * m, x);
    }
    for (int i = 0; y && i < tokens; i++) rw_lanes_store(y, i, sum[i]);
}

INLINE void run(int modes, const real *coefficients, int rows, const real *u, real *y, real *x)
{
    int t = 0;
    for (; t + TILE <= rows; t += TILE)
        run_tile(TILE, modes, coefficients, u ? u + t * RW_LANES : NULL,
                 y ? y + t * RW_LANES : NULL, x);
    for (; t < rows; t++)
        run_tile(1, modes, coefficients, u ? u + t * RW_LANES : NULL, y ? y + t * RW_LANES : NULL,
                 x);
}

void rw_diagonal_run(int modes, const real *coefficients, int rows, const real *u, real *y, real *x)
{
    /* One specialised loop each. */
    if (u && y)
        run(modes, coefficients, rows, u, y, x);
    else if (u)
        run(modes, coefficients, rows, u, NULL, x);
    else if (y)
        run(modes, coefficients, rows, NULL, y, x);
    else
        run(modes, coefficients, rows, NULL, NULL, x);
}

INLINE void adjoint_tile(int tokens, int modes, const real *coefficients, const real *dy, real *du,
                         real *adjoint)
{
    rw_vector weight[TILE], sum[TILE];
    for (int i = 0; i < tokens; i++) {
        weight[i] = dy ? rw_lanes_load(dy, i) : (rw_vector){0};
        sum[i] = (rw_vector){0};
    }
    for (int m = 0; m < modes; m++) {
        const real *at = coefficients + (long)m * RW_DIAGONAL_COEFFICIENTS * RW_LANES;
        complex_lanes lambda = load(at, RW_DIAGONAL_LAMBDA_RE), c = load(at, RW_DIAGONAL_C_RE);
        complex_lanes p = load(adjoint, 2 * m);
#pragma GCC unroll 4
        for (int i = tokens - 1; i >= 0; i--) {
            if (dy) {
                p.re += c.re * weight[i];
                p.im -= c.im * weight[i];
            }
            sum[i] += p.re;
            rw_vector re = lambda.re * p.re + lambda.im * p.im;
            p.im = lambda.re * p.im - lambda.im * p.re;
            p.re = re;
        }
        store(adjoint, 2 * m, p);
    }
    for (int i = 0; du && i < tokens; i++) rw_lanes_store(du, i, sum[i]);
}

INLINE void run_adjoint(int modes, const real *coefficients, int rows, const real *dy, real *du,
                        real *p)
{
    int t = rows;
    for (; t >= TILE; t -= TILE) {
        long first = (long)(t - TILE) * RW_LANES;
        adjoint_tile(TILE, modes, coefficients, dy ? dy + first : NULL, du ? du + first : NULL, p);
    }
    for (; t > 0; t--) {
        long first = (long)(t - 1) * RW_LANES;
        adjoint_tile(1, modes, coefficients, dy ? dy + first : NULL, du ? du + first : NULL, p);
    }
}

void rw_diagonal_run_adjoint(int modes, const real *coefficients, int rows, const real *dy,
                             real *du, real *p)
{
    if (dy && du)
        run_adjoint(modes, coefficients, rows, dy, du, p);
    else if (dy)
        run_adjoint(modes, coefficients, rows, dy, NULL, p);
    else
        run_adjoint(modes, coefficients, rows, NULL, du, p);
}

/* tangent_t = lambda tangent_{t-1} + x_{t-1} */
INLINE void gradient_tile(int tokens, int modes, const real *coefficients, const real *u,
                          const real *dy, real *state, real *tangent, real *sums)
{
    rw_vector input[TANGENT_TILE], weight[TANGENT_TILE];
    for (int i = 0; i < tokens; i++) {
        input[i] = rw_lanes_load(u, i);
        weight[i] = rw_lanes_load(dy, i);
    }
    for (int m = 0; m < modes; m++) {
        const real *at = coefficients + (long)m * RW_DIAGONAL_COEFFICIENTS * RW_LANES;
        complex_lanes lambda = load(at, RW_DIAGONAL_LAMBDA_RE);
        complex_lanes x = load(state, 2 * m), v = load(tangent, 2 * m);
        complex_lanes sum_v = load(sums, 4 * m), sum_x = load(sums, 4 * m + 2);
#pragma GCC unroll 2
        for (int i = 0; i < tokens; i++) {
            rw_vector re = x.re + lambda.re * v.re;
            rw_vector im = x.im + lambda.re * v.im;
            re = re - lambda.im * v.im;
            v.im = im + lambda.im * v.re;
            v.re = re;
            re = input[i] + lambda.re * x.re;
            re = re - lambda.im * x.im;
            x.im = lambda.re * x.im + lambda.im * x.re;
            x.re = re;
            sum_v.re += weight[i] * v.re;
            sum_v.im += weight[i] * v.im;
            sum_x.re += weight[i] * x.re;
            sum_x.im += weight[i] * x.im;
        }
        store(state, 2 * m, x);
        store(tangent, 2 * m, v);
        store(sums, 4 * m, sum_v);
        store(sums, 4 * m + 2, sum_x);
    }
}

void rw_diagonal_gradient(int modes, const real *coefficients, int rows, const real *u,
                          const real *dy, real *x, real *tangent, real *sums)
{
    int t = 0;
    for (; t + TANGENT_TILE <= rows; t += TANGENT_TILE)
        gradient_tile(TANGENT_TILE, modes, coefficients, u + t * RW_LANES, dy + t * RW_LANES, x,
                      tangent, sums);
    for (; t < rows; t++)
        gradient_tile(1, modes, coefficients, u + t * RW_LANES, dy + t * RW_LANES, x, tangent,
                      sums);
}

void rw_diagonal_power_apply(int modes, const real *power, bool transpose, const real *x, real *y)
{
    for (int m = 0; m < modes; m++) {
        complex_lanes a = load(power, 2 * m), v = load(x, 2 * m);
        if (transpose) a.im = -a.im;
        store(y, 2 * m, (complex_lanes){a.re * v.re - a.im * v.im, a.re * v.im + a.im * v.re});
    }
}
