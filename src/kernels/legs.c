#include "kernels/legs.h"

#include <math.h>

#include "kernels/lanes.h"

/* Tokens that are in flight at once. The steps of one token depend on each
 * other along n, those of the next token at n only on the last one's at n: a
 * tile of tokens hides the latency and shares the loads of the coefficients. */
#define TILE          4
#define TANGENT_TILE  2
#define TRIANGLE_TILE 8

#define INLINE static inline __attribute__((always_inline))

enum { ALPHA, A, B, C_OUT, COEFFICIENTS };

size_t rw_legs_coefficient_reals(int state)
{
    return (size_t)state * COEFFICIENTS * RW_LANES;
}

void rw_legs_coefficients(int state, int lane, double dt, const real *C, real *coefficients)
{
    double e = dt / 2;
    for (int n = 0; n < state; n++) {
        double g = 1 / (1 + e * (n + 1));
        real *at = coefficients + (long)n * COEFFICIENTS * RW_LANES + lane;
        at[ALPHA * RW_LANES] = (real)(dt * g);
        at[A * RW_LANES] = (real)((1 - e * n) * g);
        at[B * RW_LANES] = (real)((2 * n + 1) * g);
        at[C_OUT * RW_LANES] = (real)(sqrt(2.0 * n + 1) * (double)C[n]);
    }
}

void rw_legs_no_channel(int state, int lane, real *coefficients)
{
    for (long i = 0; i < (long)state * COEFFICIENTS; i++) coefficients[i * RW_LANES + lane] = 0;
}

INLINE void run_tile(int tokens, int state, const real *coefficients, const real *u, real *y,
                     real *q)
{
    rw_vector zeta[TILE], sum[TILE], order = {0};
    for (int i = 0; i < tokens; i++) {
        zeta[i] = u ? rw_lanes_load(u, i) : (rw_vector){0};
        sum[i] = (rw_vector){0};
    }
    for (int n = 0; n < state; n++) {
        const real *at = coefficients + (long)n * COEFFICIENTS * RW_LANES;
        rw_vector alpha = rw_lanes_load(at, ALPHA), a = rw_lanes_load(at, A);
        rw_vector b = rw_lanes_load(at, B), c = rw_lanes_load(at, C_OUT), x = rw_lanes_load(q, n);
        order += 1;
#pragma GCC unroll 4
        for (int i = 0; i < tokens; i++) {
            rw_vector rate = zeta[i] - order * x;
            zeta[i] = a * zeta[i] - b * x;
            x += alpha * rate;
            if (y) sum[i] += c * x;
        }
        rw_lanes_store(q, n, x);
    }
    for (int i = 0; y && i < tokens; i++) rw_lanes_store(y, i, sum[i]);
}

INLINE void run(int state, const real *coefficients, int rows, const real *u, real *y, real *q)
{
    int t = 0;
    for (; t + TILE <= rows; t += TILE)
        run_tile(TILE, state, coefficients, u ? u + t * RW_LANES : NULL,
                 y ? y + t * RW_LANES : NULL, q);
    for (; t < rows; t++)
        run_tile(1, state, coefficients, u ? u + t * RW_LANES : NULL, y ? y + t * RW_LANES : NULL,
                 q);
}

void rw_legs_run(int state, const real *coefficients, int rows, const real *u, real *y, real *q)
{
    /* One specialised loop each. */
    if (u && y)
        run(state, coefficients, rows, u, y, q);
    else if (u)
        run(state, coefficients, rows, u, NULL, q);
    else if (y)
        run(state, coefficients, rows, NULL, y, q);
    else
        run(state, coefficients, rows, NULL, NULL, q);
}

/* The transpose of run_tile, statement by statement, from the last token. */
INLINE void adjoint_tile(int tokens, int state, const real *coefficients, const real *dy, real *du,
                         real *p)
{
    rw_vector zeta[TILE], weight[TILE], order = (rw_vector){0} + (real)state;
    for (int i = 0; i < tokens; i++) {
        zeta[i] = (rw_vector){0};
        weight[i] = dy ? rw_lanes_load(dy, i) : (rw_vector){0};
    }
    for (int n = state - 1; n >= 0; n--) {
        const real *at = coefficients + (long)n * COEFFICIENTS * RW_LANES;
        rw_vector alpha = rw_lanes_load(at, ALPHA), a = rw_lanes_load(at, A);
        rw_vector b = rw_lanes_load(at, B), c = rw_lanes_load(at, C_OUT), x = rw_lanes_load(p, n);
#pragma GCC unroll 4
        for (int i = tokens - 1; i >= 0; i--) {
            if (dy) x += c * weight[i];
            rw_vector rate = alpha * x;
            x = (x - b * zeta[i]) - order * rate;
            zeta[i] = a * zeta[i] + rate;
        }
        rw_lanes_store(p, n, x);
        order -= 1;
    }
    for (int i = 0; du && i < tokens; i++) rw_lanes_store(du, i, zeta[i]);
}

INLINE void run_adjoint(int state, const real *coefficients, int rows, const real *dy, real *du,
                        real *p)
{
    int t = rows;
    for (; t >= TILE; t -= TILE) {
        long first = (long)(t - TILE) * RW_LANES;
        adjoint_tile(TILE, state, coefficients, dy ? dy + first : NULL, du ? du + first : NULL, p);
    }
    for (; t > 0; t--) {
        long first = (long)(t - 1) * RW_LANES;
        adjoint_tile(1, state, coefficients, dy ? dy + first : NULL, du ? du + first : NULL, p);
    }
}

void rw_legs_run_adjoint(int state, const real *coefficients, int rows, const real *dy, real *du,
                         real *p)
{
    if (dy)
        run_adjoint(state, coefficients, rows, dy, du, p);
    else
        run_adjoint(state, coefficients, rows, NULL, du, p);
}

/* With V = dq / d log dt and Z = dzeta / d log dt, differentiating the step
 * (I - e A) (q_new + q_old) / 2 = q_old + e u gives the same step for V with
 * the right-hand side R = V_old + increment / 2 in the place of the state:
 *   V += increment + alpha (Z - (n+1) R),   Z' = a Z - b R,   Z_0 = 0. */
INLINE void gradient_tile(int tokens, int state, const real *coefficients, const real *u,
                          const real *dy, real *q, real *tangent, real *dc, real *dlog_dt)
{
    rw_vector zeta[TANGENT_TILE], Z[TANGENT_TILE], sum[TANGENT_TILE], weight[TANGENT_TILE];
    rw_vector order = {0};
    for (int i = 0; i < tokens; i++) {
        zeta[i] = rw_lanes_load(u, i);
        weight[i] = rw_lanes_load(dy, i);
        Z[i] = sum[i] = (rw_vector){0};
    }
    for (int n = 0; n < state; n++) {
        const real *at = coefficients + (long)n * COEFFICIENTS * RW_LANES;
        rw_vector alpha = rw_lanes_load(at, ALPHA), a = rw_lanes_load(at, A);
        rw_vector b = rw_lanes_load(at, B), c = rw_lanes_load(at, C_OUT);
        rw_vector x = rw_lanes_load(q, n), V = rw_lanes_load(tangent, n);
        rw_vector gradient = rw_lanes_load(dc, n);
        order += 1;
#pragma GCC unroll 2
        for (int i = 0; i < tokens; i++) {
            rw_vector increment = alpha * (zeta[i] - order * x);
            rw_vector R = V + (real)0.5 * increment;
            V += increment + alpha * (Z[i] - order * R);
            Z[i] = a * Z[i] - b * R;
            zeta[i] = a * zeta[i] - b * x;
            x += increment;
            gradient += weight[i] * x;
            sum[i] += c * V;
        }
        rw_lanes_store(q, n, x);
        rw_lanes_store(tangent, n, V);
        rw_lanes_store(dc, n, gradient);
    }
    rw_vector total = rw_lanes_load(dlog_dt, 0);
    for (int i = 0; i < tokens; i++) total += weight[i] * sum[i];
    rw_lanes_store(dlog_dt, 0, total);
}

void rw_legs_gradient(int state, const real *coefficients, int rows, const real *u, const real *dy,
                      real *q, real *tangent, real *dc, real *dlog_dt)
{
    int t = 0;
    for (; t + TANGENT_TILE <= rows; t += TANGENT_TILE)
        gradient_tile(TANGENT_TILE, state, coefficients, u + t * RW_LANES, dy + t * RW_LANES, q,
                      tangent, dc, dlog_dt);
    for (; t < rows; t++)
        gradient_tile(1, state, coefficients, u + t * RW_LANES, dy + t * RW_LANES, q, tangent, dc,
                      dlog_dt);
}

/* Index of element (n, 0) of a lower triangle. */
static inline long triangle_row(long n)
{
    return n * (n + 1) / 2;
}

size_t rw_legs_power_reals(int state)
{
    return (size_t)triangle_row(state) * RW_LANES;
}

/* Column m is what one step adds to the unit vector m: zeta is zero up to m,
 * -b_m after it, and then only multiplied by a_n. */
void rw_legs_power_one(int state, const real *coefficients, real *power)
{
    const long stride = COEFFICIENTS * RW_LANES;
    for (int m = 0; m < state; m++) {
        const real *at = coefficients + m * stride;
        rw_vector zeta = -rw_lanes_load(at, B);
        rw_lanes_store(power, triangle_row(m) + m, -(real)(m + 1) * rw_lanes_load(at, ALPHA));
        for (int n = m + 1; n < state; n++) {
            at = coefficients + n * stride;
            rw_lanes_store(power, triangle_row(n) + m, rw_lanes_load(at, ALPHA) * zeta);
            zeta *= rw_lanes_load(at, A);
        }
    }
}

/* Elements (n, m .. m + count - 1) of M M + 2 M, where (I + M)^2 = I + (2 M + M M). */
INLINE void double_tile(int count, long n, long m, real *M)
{
    const real *row = M + triangle_row(n) * RW_LANES;
    rw_vector sum[TRIANGLE_TILE];
#pragma GCC unroll 8
    for (int j = 0; j < count; j++) sum[j] = 2 * rw_lanes_load(row, m + j);
#pragma GCC unroll 8
    for (int i = 0; i < count - 1; i++) { /* rows that end within the tile */
        const real *other = M + (triangle_row(m + i) + m) * RW_LANES;
        rw_vector left = rw_lanes_load(row, m + i);
#pragma GCC unroll 8
        for (int j = 0; j <= i; j++) sum[j] += left * rw_lanes_load(other, j);
    }
    for (long k = m + count - 1; k <= n; k++) {
        const real *other = M + (triangle_row(k) + m) * RW_LANES;
        rw_vector left = rw_lanes_load(row, k);
#pragma GCC unroll 8
        for (int j = 0; j < count; j++) sum[j] += left * rw_lanes_load(other, j);
    }
#pragma GCC unroll 8
    for (int j = 0; j < count; j++) rw_lanes_store(M, triangle_row(n) + m + j, sum[j]);
}

/* In place: from the last row up and from the left, what an element needs -
 * rows above it, its own row from its own column on - is still there. */
void rw_legs_power_double(int state, real *power)
{
    for (long n = state - 1; n >= 0; n--) {
        long m = 0;
        for (; m + TRIANGLE_TILE <= n + 1; m += TRIANGLE_TILE)
            double_tile(TRIANGLE_TILE, n, m, power);
        for (; m <= n; m++) double_tile(1, n, m, power);
    }
}

static void apply_plain(int state, const real *power, const real *x, real *y)
{
    for (long n = 0; n < state; n++) {
        const real *row = power + triangle_row(n) * RW_LANES;
        rw_vector sum[4] = {rw_lanes_load(x, n)}; /* four chains hide the latency */
        long m = 0;
        for (; m + 4 <= n + 1; m += 4)
#pragma GCC unroll 4
            for (int i = 0; i < 4; i++)
                sum[i] += rw_lanes_load(row, m + i) * rw_lanes_load(x, m + i);
        for (; m <= n; m++) sum[0] += rw_lanes_load(row, m) * rw_lanes_load(x, m);
        rw_lanes_store(y, n, (sum[0] + sum[1]) + (sum[2] + sum[3]));
    }
}

static void apply_transpose(int state, const real *power, const real *x, real *y)
{
    for (long m = 0; m < state; m++) rw_lanes_store(y, m, rw_lanes_load(x, m));
    for (long n = 0; n < state; n++) {
        const real *row = power + triangle_row(n) * RW_LANES;
        rw_vector factor = rw_lanes_load(x, n);
        for (long m = 0; m <= n; m++)
            rw_lanes_store(y, m, rw_lanes_load(y, m) + rw_lanes_load(row, m) * factor);
    }
}

void rw_legs_power_apply(int state, const real *power, bool transpose, const real *x, real *y)
{
    if (transpose)
        apply_transpose(state, power, x, y);
    else
        apply_plain(state, power, x, y);
}
