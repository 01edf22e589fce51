#include "kernels/diagonal.h"

#include <string.h>

#include "kernels/lanes.h"

#define INLINE static inline __attribute__((always_inline))

/* Where only one end of a run is wanted, tokens are taken by blocks. Within one a
 * mode with real tokens obeys a real recurrence of second order, 2 operations a
 * token, where the complex one takes 4 to 6; between blocks the complex state
 * moves by a power of lambda, 4 operations. For slow modes such a recurrence has
 * nearly a double root, and roundings grow with the square of the tokens: blocks are
 * short for that, and 8 tokens or sums fit in registers. */
#define BLOCK RW_DIAGONAL_BLOCK

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

/* sum + a b */
INLINE complex_lanes add_product(complex_lanes sum, complex_lanes a, complex_lanes b)
{
    return (complex_lanes){sum.re + a.re * b.re - a.im * b.im, sum.im + a.re * b.im + a.im * b.re};
}

INLINE complex_lanes product(complex_lanes a, complex_lanes b)
{
    return (complex_lanes){a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}

INLINE complex_lanes coefficient(const real *coefficients, int mode, int which)
{
    return load(coefficients, (long)mode * RW_DIAGONAL_COEFFICIENTS + which);
}

static void set_complex(real *column, int index, double complex value)
{
    column[index * RW_LANES] = (real)creal(value);
    column[(index + 1) * RW_LANES] = (real)cimag(value);
}

void rw_diagonal_coefficients(int mode, int lane, double complex lambda, double complex c,
                              real *coefficients)
{
    real *at = coefficients + (long)mode * RW_DIAGONAL_COEFFICIENTS * RW_LANES + lane;
    double complex power = lambda;
    for (int k = 1; k < RW_DIAGONAL_BLOCK; k *= 2) power *= power;
    set_complex(at, RW_DIAGONAL_LAMBDA_RE, lambda);
    set_complex(at, RW_DIAGONAL_C_RE, c);
    at[RW_DIAGONAL_NORM * RW_LANES] =
        (real)(creal(lambda) * creal(lambda) + cimag(lambda) * cimag(lambda));
    set_complex(at, RW_DIAGONAL_POWER_RE, power);
}

/* |lambda|^2 */
INLINE rw_vector norm_of(const real *coefficients, int mode)
{
    return rw_lanes_load(coefficients, (long)mode * RW_DIAGONAL_COEFFICIENTS + RW_DIAGONAL_NORM);
}

void rw_diagonal_run(int modes, const real *coefficients, int rows, const real *u, real *y, real *x)
{
    for (int t = 0; t < rows; t++) {
        rw_vector sum = {0}, input = rw_lanes_load(u, t);
        for (int m = 0; m < modes; m++) {
            complex_lanes lambda = coefficient(coefficients, m, RW_DIAGONAL_LAMBDA_RE);
            complex_lanes c = coefficient(coefficients, m, RW_DIAGONAL_C_RE);
            complex_lanes start = {input, (rw_vector){0}};
            complex_lanes next = add_product(start, lambda, load(x, 2 * m));
            store(x, 2 * m, next);
            sum += c.re * next.re - c.im * next.im;
        }
        rw_lanes_store(y, t, sum);
    }
}

/* Goertzel: sum_k lambda^k token_(BLOCK-1-k), for real tokens, is w_t - conj(lambda)
 * w_(t-1) at the last token, with the real w_t = token_t + 2 Re(lambda) w_(t-1) -
 * |lambda|^2 w_(t-2). */
typedef struct {
    rw_vector last, before;
} goertzel_pair;

INLINE goertzel_pair goertzel(rw_vector twice, rw_vector norm, const rw_vector *tokens)
{
    goertzel_pair w = {tokens[1] + twice * tokens[0], tokens[0]};
#pragma GCC unroll 8
    for (int i = 2; i < BLOCK; i++)
        w = (goertzel_pair){tokens[i] - norm * w.before + twice * w.last, w.last};
    return w;
}

INLINE complex_lanes complex_sum(complex_lanes lambda, goertzel_pair w)
{
    return (complex_lanes){w.last - lambda.re * w.before, lambda.im * w.before};
}

/* x = lambda^BLOCK x + sum_i lambda^(BLOCK-1-i) tokens_i */
INLINE void collect_block(int modes, const real *coefficients, const rw_vector *tokens, real *x)
{
    for (int m = 0; m < modes; m++) {
        complex_lanes lambda = coefficient(coefficients, m, RW_DIAGONAL_LAMBDA_RE);
        complex_lanes power = coefficient(coefficients, m, RW_DIAGONAL_POWER_RE);
        goertzel_pair w = goertzel(lambda.re + lambda.re, norm_of(coefficients, m), tokens);
        store(x, 2 * m, add_product(complex_sum(lambda, w), power, load(x, 2 * m)));
    }
}

/* x = sum_i lambda^(rows-1-i) u_i, where u_i is `step` reals behind u_(i-1). The
 * first block may be short: zeros before the first token change nothing. */
INLINE void collect(int modes, const real *coefficients, int rows, const real *u, long step,
                    real *x)
{
    memset(x, 0, sizeof(rw_vector) * 2 * (size_t)modes);
    for (int t = rows % BLOCK - (rows % BLOCK ? BLOCK : 0); t < rows; t += BLOCK) {
        rw_vector tokens[BLOCK];
        for (int i = 0; i < BLOCK; i++)
            tokens[i] = t + i < 0 ? (rw_vector){0} : rw_lanes_load(u + (t + i) * step, 0);
        collect_block(modes, coefficients, tokens, x);
    }
}

/* sum_k += Re lambda^k z, by the recurrence of second order that a geometric
 * series' real part obeys; then z = lambda^BLOCK z. */
INLINE void expand_block(int modes, const real *coefficients, real *z, rw_vector *sum)
{
    for (int m = 0; m < modes; m++) {
        complex_lanes lambda = coefficient(coefficients, m, RW_DIAGONAL_LAMBDA_RE);
        complex_lanes start = load(z, 2 * m);
        rw_vector twice = lambda.re + lambda.re, norm = norm_of(coefficients, m);
        rw_vector before = start.re, last = lambda.re * start.re - lambda.im * start.im;
        sum[0] += before;
        sum[1] += last;
#pragma GCC unroll 8
        for (int k = 2; k < BLOCK; k++) {
            rw_vector next = twice * last - norm * before;
            before = last;
            last = next;
            sum[k] += next;
        }
        store(z, 2 * m, product(coefficient(coefficients, m, RW_DIAGONAL_POWER_RE), start));
    }
}

/* y_i = Re sum_m lambda^i z_m, where y_i is `step` reals behind y_(i-1); z is used up. */
INLINE void expand(int modes, const real *coefficients, int rows, real *z, real *y, long step)
{
    for (int t = 0; t < rows; t += BLOCK) {
        const int count = rows - t < BLOCK ? rows - t : BLOCK;
        rw_vector sum[BLOCK];
        for (int i = 0; i < BLOCK; i++) sum[i] = (rw_vector){0};
        expand_block(modes, coefficients, z, sum);
        for (int i = 0; i < count; i++) rw_lanes_store(y + (t + i) * step, 0, sum[i]);
    }
}

/* x <- c lambda x, the first output's term */
static void read_out(int modes, const real *coefficients, real *x)
{
    for (int m = 0; m < modes; m++) {
        complex_lanes lambda = coefficient(coefficients, m, RW_DIAGONAL_LAMBDA_RE);
        complex_lanes c = coefficient(coefficients, m, RW_DIAGONAL_C_RE);
        store(x, 2 * m, product(product(c, lambda), load(x, 2 * m)));
    }
}

static void conjugate(int modes, real *x)
{
    for (int m = 0; m < modes; m++) rw_lanes_store(x, 2 * m + 1, -rw_lanes_load(x, 2 * m + 1));
}

void rw_diagonal_input(int modes, const real *coefficients, int rows, const real *u, real *x)
{
    collect(modes, coefficients, rows, u, RW_LANES, x);
}

void rw_diagonal_output(int modes, const real *coefficients, int rows, real *x, real *y)
{
    read_out(modes, coefficients, x);
    expand(modes, coefficients, rows, x, y, RW_LANES);
}

/* An adjoint is the conjugate of the derivative; the last token comes first. */
void rw_diagonal_input_adjoint(int modes, const real *coefficients, int rows, real *p, real *du)
{
    conjugate(modes, p);
    expand(modes, coefficients, rows, p, du + (rows - 1L) * RW_LANES, -RW_LANES);
}

void rw_diagonal_output_adjoint(int modes, const real *coefficients, int rows, const real *dy,
                                real *p)
{
    collect(modes, coefficients, rows, dy + (rows - 1L) * RW_LANES, -RW_LANES, p);
    read_out(modes, coefficients, p);
    conjugate(modes, p);
}

/* A block of tokens as the gradient reads it, in the order of falling powers of
 * lambda: u from the first on, dy from the last back; and each times that power's
 * exponent, for lambda d/dlambda lambda^k = k lambda^k. */
typedef struct {
    rw_vector u[BLOCK], rate_u[BLOCK], dy[BLOCK], rate_dy[BLOCK];
} gradient_tokens;

static void read_tokens(const real *u, const real *dy, gradient_tokens *block)
{
    for (int i = 0; i < BLOCK; i++) {
        const real exponent = (real)(BLOCK - 1 - i);
        block->u[i] = rw_lanes_load(u, i);
        block->dy[i] = rw_lanes_load(dy, BLOCK - 1 - i);
        block->rate_u[i] = exponent * block->u[i];
        block->rate_dy[i] = exponent * block->dy[i];
    }
}

/* lags_l += sum_t dy_t u_(t-l) over the pairs within the block: the same for all
 * modes, which weight it by lambda^l at the end. */
static void add_lags(const real *u, const real *dy, rw_vector *lags)
{
    for (int l = 0; l < BLOCK; l++)
        for (int t = l; t < BLOCK; t++) lags[l] += rw_lanes_load(dy, t) * rw_lanes_load(u, t - l);
}

/* What crosses from block to block. With W = sum_k lambda^k dy_k and U = sum_k lambda^k u_(last-k)
 * of the block, and their rates of change W' and U' (all rates: lambda d/dlambda), adds W x to sum
 * x, W' x + W x' to sum x', and moves the state: x' = lambda^n (x' + n x) + U',   x = lambda^n x +
 * U */
INLINE void gradient_block(int modes, const real *coefficients, const gradient_tokens *block,
                           real *x, real *rate, real *sums)
{
    for (int m = 0; m < modes; m++) {
        complex_lanes lambda = coefficient(coefficients, m, RW_DIAGONAL_LAMBDA_RE);
        complex_lanes power = coefficient(coefficients, m, RW_DIAGONAL_POWER_RE);
        rw_vector twice = lambda.re + lambda.re, norm = norm_of(coefficients, m);
        goertzel_pair u = goertzel(twice, norm, block->u);
        goertzel_pair rate_u = goertzel(twice, norm, block->rate_u);
        goertzel_pair dy = goertzel(twice, norm, block->dy);
        goertzel_pair rate_dy = goertzel(twice, norm, block->rate_dy);
        complex_lanes W = complex_sum(lambda, dy), rate_W = complex_sum(lambda, rate_dy);
        complex_lanes state = load(x, 2 * m), tangent = load(rate, 2 * m);
        complex_lanes sum = add_product(load(sums, 4 * m), rate_W, state);
        store(sums, 4 * m, add_product(sum, W, tangent));
        store(sums, 4 * m + 2, add_product(load(sums, 4 * m + 2), W, state));
        tangent.re += BLOCK * state.re;
        tangent.im += BLOCK * state.im;
        store(rate, 2 * m, add_product(complex_sum(lambda, rate_u), power, tangent));
        store(x, 2 * m, add_product(complex_sum(lambda, u), power, state));
    }
}

/* Sums over blocks are of W = sum_k lambda^k dy_k, but the token k of a block sees
 * lambda^(k+1) x; and the pairs within blocks are still missing. */
static void finish_sums(int modes, const real *coefficients, const rw_vector *lags, real *sums)
{
    for (int m = 0; m < modes; m++) {
        complex_lanes lambda = coefficient(coefficients, m, RW_DIAGONAL_LAMBDA_RE), power = lambda;
        complex_lanes F = load(sums, 4 * m + 2), rate_F = load(sums, 4 * m);
        complex_lanes sum = product(lambda, F), rate_sum;
        rate_F.re += F.re;
        rate_F.im += F.im;
        rate_sum = product(lambda, rate_F);
        sum.re += lags[0];
        for (int l = 1; l < BLOCK; l++) {
            sum.re += power.re * lags[l];
            sum.im += power.im * lags[l];
            rate_sum.re += power.re * ((real)l * lags[l]);
            rate_sum.im += power.im * ((real)l * lags[l]);
            power = product(power, lambda);
        }
        store(sums, 4 * m, rate_sum);
        store(sums, 4 * m + 2, sum);
    }
}

/* The tokens after the last whole block, token by token. */
static void gradient_token(int modes, const real *coefficients, rw_vector u, rw_vector dy, real *x,
                           real *rate, real *sums)
{
    for (int m = 0; m < modes; m++) {
        complex_lanes lambda = coefficient(coefficients, m, RW_DIAGONAL_LAMBDA_RE);
        complex_lanes state = load(x, 2 * m), tangent = load(rate, 2 * m);
        tangent.re += state.re;
        tangent.im += state.im;
        tangent = product(lambda, tangent);
        state = add_product((complex_lanes){u, {0}}, lambda, state);
        store(x, 2 * m, state);
        store(rate, 2 * m, tangent);
        complex_lanes sum_rate = load(sums, 4 * m), sum = load(sums, 4 * m + 2);
        store(sums, 4 * m,
              (complex_lanes){sum_rate.re + dy * tangent.re, sum_rate.im + dy * tangent.im});
        store(sums, 4 * m + 2, (complex_lanes){sum.re + dy * state.re, sum.im + dy * state.im});
    }
}

void rw_diagonal_gradient(int modes, const real *coefficients, int rows, const real *u,
                          const real *dy, real *x, real *rate, real *sums)
{
    rw_vector lags[BLOCK] = {{0}};
    memset(rate, 0, sizeof(rw_vector) * 2 * (size_t)modes);
    memset(sums, 0, sizeof(rw_vector) * 4 * (size_t)modes);
    int t = 0;
    for (; t + BLOCK <= rows; t += BLOCK) {
        gradient_tokens block;
        read_tokens(u + t * RW_LANES, dy + t * RW_LANES, &block);
        add_lags(u + t * RW_LANES, dy + t * RW_LANES, lags);
        gradient_block(modes, coefficients, &block, x, rate, sums);
    }
    finish_sums(modes, coefficients, lags, sums);
    for (; t < rows; t++)
        gradient_token(modes, coefficients, rw_lanes_load(u, t), rw_lanes_load(dy, t), x, rate,
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
