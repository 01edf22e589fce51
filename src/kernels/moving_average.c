#include "kernels/moving_average.h"

#include "kernels/lanes.h"

#define INLINE static inline __attribute__((always_inline))

/* Averages at a time: with 32 vector registers 8 states fit beside their decays and readouts, or 4
 * with their derivatives and sums; with 16 registers half as many. A smaller remainder takes the
 * next power of two. */
#ifdef __AVX512F__
enum { MOST = 8 };
#else
enum { MOST = 4 };
#endif
enum { MOST_GRADIENTS = MOST / 2 };

/* Consecutive averages from `first` on. */
typedef struct {
    const rw_moving_average *of;
    int first;
} group;

INLINE rw_vector decay_of(group at, int n)
{
    return rw_lanes_load(at.of->decay, at.first + n);
}

INLINE rw_vector readout_of(group at, int n)
{
    return rw_lanes_load(at.of->readout, at.first + n);
}

/* ---- Kernels of a constant number of averages ------------------------------------ */

INLINE void run_state(const int count, group at, const real *x, real *h)
{
    rw_vector state[MOST], decay[MOST];
    for (int n = 0; n < count; n++)
        state[n] = rw_lanes_load(h, at.first + n), decay[n] = decay_of(at, n);
    for (int t = 0; t < at.of->rows; t++) {
        const rw_vector input = rw_lanes_load(x, t);
#pragma GCC unroll 8
        for (int n = 0; n < count; n++) state[n] = decay[n] * state[n] + input;
    }
    for (int n = 0; n < count; n++) rw_lanes_store(h, at.first + n, state[n]);
}

INLINE void run_output(const int count, group at, const real *x, real *y, real *h)
{
    rw_vector state[MOST], decay[MOST], readout[MOST];
    for (int n = 0; n < count; n++) {
        state[n] = rw_lanes_load(h, at.first + n);
        decay[n] = decay_of(at, n), readout[n] = readout_of(at, n);
    }
    for (int t = 0; t < at.of->rows; t++) {
        const rw_vector input = rw_lanes_load(x, t);
        rw_vector sum = rw_lanes_load(y, t);
#pragma GCC unroll 8
        for (int n = 0; n < count; n++) {
            state[n] = decay[n] * state[n] + input;
            sum += readout[n] * state[n];
        }
        rw_lanes_store(y, t, sum);
    }
    for (int n = 0; n < count; n++) rw_lanes_store(h, at.first + n, state[n]);
}

/* dx NULL: not wanted. */
INLINE void run_back(const int count, group at, const real *dy, real *dx, real *g)
{
    rw_vector slope[MOST], decay[MOST], readout[MOST];
    for (int n = 0; n < count; n++) {
        slope[n] = rw_lanes_load(g, at.first + n);
        decay[n] = decay_of(at, n), readout[n] = readout_of(at, n);
    }
    for (int t = at.of->rows - 1; t >= 0; t--) {
        const rw_vector weight = rw_lanes_load(dy, t);
        rw_vector sum = dx ? rw_lanes_load(dx, t) : (rw_vector){0};
#pragma GCC unroll 8
        for (int n = 0; n < count; n++) {
            slope[n] += readout[n] * weight;
            sum += slope[n];
            slope[n] *= decay[n];
        }
        if (dx) rw_lanes_store(dx, t, sum);
    }
    for (int n = 0; n < count; n++) rw_lanes_store(g, at.first + n, slope[n]);
}

INLINE void add_to(real *to, int n, rw_vector value)
{
    rw_lanes_store(to, n, rw_lanes_load(to, n) + value);
}

INLINE void run_gradient(const int count, group at, const real *x, const real *dy, real *h,
                         const real *g, real *ddecay, real *dreadout)
{
    rw_vector state[MOST], tangent[MOST], decay[MOST], sum_tangent[MOST], sum_state[MOST];
    for (int n = 0; n < count; n++) {
        state[n] = rw_lanes_load(h, at.first + n), decay[n] = decay_of(at, n);
        tangent[n] = sum_tangent[n] = sum_state[n] = (rw_vector){0};
    }
    for (int t = 0; t < at.of->rows; t++) {
        const rw_vector input = rw_lanes_load(x, t), weight = rw_lanes_load(dy, t);
#pragma GCC unroll 8
        for (int n = 0; n < count; n++) {
            tangent[n] = decay[n] * tangent[n] + state[n];
            state[n] = decay[n] * state[n] + input;
            sum_tangent[n] += weight * tangent[n];
            sum_state[n] += weight * state[n];
        }
    }
    for (int n = 0; n < count; n++) {
        const int i = at.first + n;
        rw_lanes_store(h, i, state[n]);
        /* The state after the rows depends on q too. */
        add_to(ddecay, i, readout_of(at, n) * sum_tangent[n] + rw_lanes_load(g, i) * tangent[n]);
        add_to(dreadout, i, sum_state[n]);
    }
}

/* ---- All averages ------------------------------------------------------------------ */

/* Runs KERNEL(count, group, ...) on all averages, `most` at a time, then on the remainder. */
#define EACH_GROUP(most, kernel, ...)                                                              \
    do {                                                                                           \
        group at = {of, 0};                                                                        \
        for (; of->averages - at.first >= (most); at.first += (most))                              \
            kernel(most, at, __VA_ARGS__);                                                         \
        for (; of->averages - at.first >= 4; at.first += 4) kernel(4, at, __VA_ARGS__);            \
        for (; of->averages - at.first >= 2; at.first += 2) kernel(2, at, __VA_ARGS__);            \
        for (; of->averages - at.first >= 1; at.first += 1) kernel(1, at, __VA_ARGS__);            \
    } while (0)

void rw_moving_average_state(const rw_moving_average *of, const real *x, real *h)
{
    EACH_GROUP(MOST, run_state, x, h);
}

void rw_moving_average_output(const rw_moving_average *of, const real *x, real *y, real *h)
{
    EACH_GROUP(MOST, run_output, x, y, h);
}

void rw_moving_average_adjoint(const rw_moving_average *of, const real *dy, real *g)
{
    EACH_GROUP(MOST, run_back, dy, NULL, g);
}

void rw_moving_average_input_gradient(const rw_moving_average *of, const real *dy, real *dx,
                                      real *g)
{
    EACH_GROUP(MOST, run_back, dy, dx, g);
}

void rw_moving_average_gradient(const rw_moving_average *of, const real *x, const real *dy, real *h,
                                const real *g, real *ddecay, real *dreadout)
{
    EACH_GROUP(MOST_GRADIENTS, run_gradient, x, dy, h, g, ddecay, dreadout);
}
