/* Rounding of the gradients of decays, and of all else that decays reach: a chunk form in float
 * must not be further from the exact gradient than a few times what the recurrence is, one token
 * after the other, in float too. Weak decays, strong ones and both mixed. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <complex.h>
#include <float.h>
#include <math.h>
#include <string.h>

#include "base/random.h"
#include "kernels/diagonal.h"
#include "kernels/elementary.h"
#include "kernels/linear_attention_chunk.h"
#include "kernels/linear_attention_decay.h"
#include "kernels/ssd_chunk.h"

enum { ROWS = 200, KEYS = 32, VALUES = 24, HEADS = 4 };
enum { ALL_KEYS = HEADS * KEYS, ALL_VALUES = HEADS * VALUES };
#define SCALE ((real)0.125)

/* How strong the decay of a token is, from `weak` to `strong` (0: weakest, 1: strongest). */
typedef struct {
    const char *name;
    double weak, strong;
    double share; /* of strong tokens */
    int period;   /* > 0: the strong ones are the first half of each period instead */
} strength;

static const strength strengths[] = {
    {"weak", 0, 0, 0, 0},          {"medium", 0.5, 0.5, 0, 0},       {"strong", 0, 1, 1, 0},
    {"mixed", 0, 1, 0.5, 0},       {"rarely strong", 0, 1, 0.05, 0}, {"strong first", 0, 1, 0, 64},
    {"strong first", 0, 1, 0, 32},
};
enum { STRENGTHS = sizeof strengths / sizeof *strengths };

/* From -1 to 1, or positive: then the terms of sums have one sign. */
static void fill(real *out, int count, uint64_t stream, bool positive)
{
    rw_random random = rw_random_stream(7, RW_RANDOM_TEST, stream);
    for (int i = 0; i < count; i++) {
        double x = 2 * rw_random_uniform(random, (uint64_t)i) - 1;
        out[i] = (real)(positive ? fabs(x) : x);
    }
}

static double strength_of(const strength *s, int t, long element)
{
    rw_random random = rw_random_stream(7, RW_RANDOM_TEST, 99);
    double draw = rw_random_uniform(random, (uint64_t)element);
    bool is_strong = s->period > 0 ? t % s->period < s->period / 2 : draw < s->share;
    return is_strong ? s->strong : s->weak;
}

/* ---- The recurrence ------------------------------------------------------------ */

/* S_t = diag(a_t) S_{t-1} + k_t v_t^T, y_t = S_t^T q_t, and its gradients: keys (ROWS, KEYS),
 * values (ROWS, VALUES). */
typedef struct {
    double a[ROWS * KEYS], q[ROWS * KEYS], k[ROWS * KEYS], v[ROWS * VALUES], dy[ROWS * VALUES];
    double state[(ROWS + 1) * KEYS * VALUES], dstate[KEYS * VALUES];
    double dlog[ROWS * KEYS], dq[ROWS * KEYS], dk[ROWS * KEYS], dv[ROWS * VALUES];
} recurrence;

static bool exact; /* whether the recurrence below is one in double */

/* What the result of one operation becomes. */
static double rounded(double x)
{
    return exact ? x : (double)(real)x;
}

static void forwards(recurrence *r)
{
    for (int t = 0; t < ROWS; t++)
        for (int i = 0; i < KEYS * VALUES; i++) {
            const double *old = r->state + (long)t * KEYS * VALUES;
            int key = t * KEYS + i / VALUES, value = t * VALUES + i % VALUES;
            r->state[(long)(t + 1) * KEYS * VALUES + i] =
                rounded(rounded(r->a[key] * old[i]) + rounded(r->k[key] * r->v[value]));
        }
}

static void add_to(double *sum, double a, double b)
{
    *sum = rounded(*sum + rounded(a * b));
}

/* One row of the state's gradient at token t. */
static void key_backwards(recurrence *r, int t, int c)
{
    const int key = t * KEYS + c;
    const double *before = r->state + ((long)t * KEYS + c) * VALUES;
    const double *after = before + (long)KEYS * VALUES;
    double *dstate = r->dstate + (long)c * VALUES;
    r->dq[key] = r->dk[key] = r->dlog[key] = 0;
    for (int j = 0; j < VALUES; j++) {
        const int value = t * VALUES + j;
        add_to(&r->dq[key], after[j], r->dy[value]);
        add_to(&dstate[j], r->q[key], r->dy[value]);
        add_to(&r->dk[key], dstate[j], r->v[value]);
        add_to(&r->dlog[key], dstate[j], before[j]);
        add_to(&r->dv[value], dstate[j], r->k[key]);
        dstate[j] = rounded(dstate[j] * r->a[key]);
    }
    r->dlog[key] = rounded(r->dlog[key] * r->a[key]);
}

static void differentiate(recurrence *r, const real *state_in, const real *dstate_out, long ld)
{
    for (int i = 0; i < KEYS * VALUES; i++) {
        r->state[i] = (double)state_in[i / VALUES * ld + i % VALUES];
        r->dstate[i] = (double)dstate_out[i / VALUES * ld + i % VALUES];
    }
    memset(r->dv, 0, sizeof r->dv);
    forwards(r);
    for (int t = ROWS - 1; t >= 0; t--)
        for (int c = 0; c < KEYS; c++) key_backwards(r, t, c);
}

/* ---- Comparing ------------------------------------------------------------------ */

/* Gradients with respect to one input, (rows, columns): exact, by the recurrence, by chunk. */
typedef struct {
    const char *name;
    int rows, columns;
    double *exact, *direct;
    const real *fast;
} gradient;

typedef struct {
    double direct, fast; /* relative errors */
} errors;

/* Of the columns of [begin, end). */
static errors errors_of(const gradient *g, int begin, int end)
{
    double all = 0, direct = 0, fast = 0;
    for (int t = 0; t < g->rows; t++)
        for (int c = begin; c < end; c++) {
            const int i = t * g->columns + c;
            all += g->exact[i] * g->exact[i];
            direct += pow(g->direct[i] - g->exact[i], 2);
            fast += pow((double)g->fast[i] - g->exact[i], 2);
        }
    if (all == 0) all = 1;
    return (errors){sqrt(direct / all), sqrt(fast / all)};
}

/* An error of a rounding or two is none, whatever the direct form's luck. */
static void assert_close(const gradient *g, errors e, double factor, const char *what,
                         const char *decays)
{
    const double free = 2 * FLT_EPSILON;
    if (!(e.fast <= factor * e.direct + free))
        fail_msg("gradient of %s, %s decays: %s off by %.3g, by the recurrence %.3g", g->name,
                 decays, what, e.fast, e.direct);
}

/* All together, and in the worst column, where strong decays would hide behind weak ones. */
static void compare(const gradient *g, const strength *s)
{
    errors worst = {0, 0};
    for (int c = 0; c < g->columns; c++) {
        errors e = errors_of(g, c, c + 1);
        if (e.direct > worst.direct) worst.direct = e.direct;
        if (e.fast > worst.fast) worst.fast = e.fast;
    }
    assert_close(g, errors_of(g, 0, g->columns), 1.5, "all", s->name);
    assert_close(g, worst, 2.5, "the worst column", s->name);
}

/* ---- Linear attention -------------------------------------------------------------- */

enum { Q, K, V, GATE, INS };

static recurrence tokens;             /* of one head */
static real in[INS][ROWS * ALL_KEYS]; /* values are fewer than keys */
static real out[INS][ROWS * ALL_KEYS], dy[ROWS * ALL_VALUES];
static double exact_out[INS][ROWS * ALL_KEYS], direct_out[INS][ROWS * ALL_KEYS];
static real state_in[ALL_KEYS * ALL_VALUES], dstate_out[ALL_KEYS * ALL_VALUES];
static real scratch[1 << 20];

static double exact_decay(double gate)
{
    return exp(
        -fmin(log1p(exp(-gate)) / RW_LINEAR_ATTENTION_TEMPERATURE, -RW_LINEAR_ATTENTION_FLOOR));
}

static void load_head(int head)
{
    for (int i = 0; i < ROWS * KEYS; i++) {
        const int at = i / KEYS * ALL_KEYS + head * KEYS + i % KEYS;
        const real gate = in[GATE][at];
        tokens.q[i] = rounded((double)SCALE * in[Q][at]);
        tokens.k[i] = in[K][at];
        tokens.a[i] = exact ? exact_decay(gate) : (double)rw_decay_of_gate(gate);
    }
    for (int i = 0; i < ROWS * VALUES; i++) {
        const int at = i / VALUES * ALL_VALUES + head * VALUES + i % VALUES;
        tokens.v[i] = in[V][at];
        tokens.dy[i] = dy[at];
    }
}

static void store_head(int head, double (*to)[ROWS * ALL_KEYS])
{
    for (int i = 0; i < ROWS * KEYS; i++) {
        const int at = i / KEYS * ALL_KEYS + head * KEYS + i % KEYS;
        const double gate = in[GATE][at], slope = 1 / (1 + exp(gate));
        to[Q][at] = rounded((double)SCALE * tokens.dq[i]);
        to[K][at] = tokens.dk[i];
        to[GATE][at] = rounded(tokens.dlog[i] * slope / RW_LINEAR_ATTENTION_TEMPERATURE);
    }
    for (int i = 0; i < ROWS * VALUES; i++)
        to[V][i / VALUES * ALL_VALUES + head * VALUES + i % VALUES] = tokens.dv[i];
}

static void attention_by_recurrence(bool is_exact, double (*to)[ROWS * ALL_KEYS])
{
    exact = is_exact;
    for (int head = 0; head < HEADS; head++) {
        const long first = (long)head * KEYS * VALUES;
        load_head(head);
        differentiate(&tokens, state_in + first, dstate_out + first, VALUES);
        store_head(head, to);
    }
}

static void attention_by_chunk(void)
{
    const rw_linear_attention chunk = {ROWS,     HEADS,    KEYS,       VALUES,  RW_DECAY_CHANNEL,
                                       SCALE,    in[Q],    in[K],      in[V],   in[GATE],
                                       ALL_KEYS, ALL_KEYS, ALL_VALUES, ALL_KEYS};
    const rw_linear_attention_grad grad = {{out[Q], ALL_KEYS, false},
                                           {out[K], ALL_KEYS, false},
                                           {out[V], ALL_VALUES, false},
                                           {out[GATE], ALL_KEYS, false}};
    assert_true(rw_linear_attention_scratch(ROWS, KEYS, VALUES) <= sizeof scratch / sizeof(real));
    rw_linear_attention_backward(&chunk, state_in, dstate_out, dy, ALL_VALUES, &grad, scratch);
}

/* Gates from 8 to -15.9, next to the floor: a decay of 1 - 2e-5 to one of 0.37. */
static void fill_attention(const strength *s, bool positive)
{
    for (int i = Q; i <= V; i++)
        fill(in[i], ROWS * (i == V ? ALL_VALUES : ALL_KEYS), (uint64_t)i, positive);
    fill(dy, ROWS * ALL_VALUES, 10, positive);
    fill(state_in, ALL_KEYS * VALUES, 11, false);
    fill(dstate_out, ALL_KEYS * VALUES, 12, false);
    fill(in[GATE], ROWS * ALL_KEYS, GATE, false);
    for (int i = 0; i < ROWS * ALL_KEYS; i++)
        in[GATE][i] = (real)(7.9 - 23.7 * strength_of(s, i / ALL_KEYS, i)) + in[GATE][i] / 10;
}

static void test_linear_attention(void **state)
{
    (void)state;
    const char *names[INS] = {"q", "k", "v", "the gate"};
    for (int i = 0; i < 2 * STRENGTHS; i++) {
        fill_attention(&strengths[i / 2], i % 2);
        attention_by_recurrence(true, exact_out);
        attention_by_recurrence(false, direct_out);
        attention_by_chunk();
        for (int input = 0; input < INS; input++) {
            gradient g = {
                names[input],      ROWS,      input == V ? ALL_VALUES : ALL_KEYS, exact_out[input],
                direct_out[input], out[input]};
            compare(&g, &strengths[i / 2]);
        }
    }
}

/* ---- The state-space dual ------------------------------------------------------------ */

enum { X, B, C, RAW, A_LOG, SSD_INS, WIDE = ALL_VALUES + 2 * KEYS };

static real xbc[ROWS * WIDE], dxbc[ROWS * WIDE], raw[ROWS * HEADS], draw[ROWS * HEADS];
static real dt_bias[HEADS], a_log[HEADS], skip[HEADS], ddt_bias[HEADS], da_log[HEADS], dskip[HEADS];
static double exact_ssd[SSD_INS][ROWS * ALL_VALUES], direct_ssd[SSD_INS][ROWS * ALL_VALUES];
static real fast_ssd[C + 1][ROWS * ALL_VALUES];

static double step_size(int t, int head)
{
    const real x = raw[t * HEADS + head] + dt_bias[head];
    return exact ? log1p(exp((double)x)) : (double)rw_softplus_value(x);
}

static double transition(int head)
{
    return rounded(-exp((double)a_log[head]));
}

static void load_ssd_head(int head)
{
    for (int t = 0; t < ROWS; t++) {
        const double dt = step_size(t, head), a = rounded(dt * transition(head));
        for (int n = 0; n < KEYS; n++) {
            tokens.a[t * KEYS + n] = exact ? exp(a) : (double)rw_exp((real)a);
            tokens.k[t * KEYS + n] = rounded(dt * xbc[t * WIDE + ALL_VALUES + n]);
            tokens.q[t * KEYS + n] = xbc[t * WIDE + ALL_VALUES + KEYS + n];
        }
        for (int p = 0; p < VALUES; p++) {
            tokens.v[t * VALUES + p] = xbc[t * WIDE + head * VALUES + p];
            tokens.dy[t * VALUES + p] = dy[t * ALL_VALUES + head * VALUES + p];
        }
    }
}

/* What one token of a head adds to the gradients. */
static void store_ssd_token(int t, int head, double (*to)[ROWS * ALL_VALUES])
{
    const double dt = step_size(t, head), a = transition(head), slope = dt > 0 ? 1 - exp(-dt) : 0;
    double from = 0, da = 0;
    for (int n = 0; n < KEYS; n++) {
        const int at = t * KEYS + n;
        add_to(&from, tokens.dk[at], xbc[t * WIDE + ALL_VALUES + n]);
        da = rounded(da + tokens.dlog[at]);
        add_to(&to[B][at], tokens.dk[at], dt);
        to[C][at] = rounded(to[C][at] + tokens.dq[at]);
    }
    to[RAW][t * HEADS + head] = rounded(rounded(from + rounded(a * da)) * slope);
    add_to(&to[A_LOG][head], rounded(dt * da), a);
    for (int p = 0; p < VALUES; p++)
        to[X][t * ALL_VALUES + head * VALUES + p] =
            rounded(tokens.dv[t * VALUES + p] + rounded(skip[head] * tokens.dy[t * VALUES + p]));
}

static void ssd_by_recurrence(bool is_exact, double (*to)[ROWS * ALL_VALUES])
{
    exact = is_exact;
    memset(to, 0, sizeof exact_ssd);
    for (int head = 0; head < HEADS; head++) {
        load_ssd_head(head);
        differentiate(&tokens, state_in + head * VALUES, dstate_out + head * VALUES, ALL_VALUES);
        for (int t = ROWS - 1; t >= 0; t--) store_ssd_token(t, head, to);
    }
}

static void ssd_by_chunk(void)
{
    const rw_ssd_chunk chunk = {
        ROWS, HEADS, VALUES,  KEYS,  xbc, xbc + ALL_VALUES, xbc + ALL_VALUES + KEYS, WIDE,
        raw,  HEADS, dt_bias, a_log, skip};
    const rw_ssd_grad grad = {dxbc,
                              dxbc + ALL_VALUES,
                              dxbc + ALL_VALUES + KEYS,
                              WIDE,
                              false,
                              draw,
                              HEADS,
                              false,
                              ddt_bias,
                              da_log,
                              dskip};
    assert_true(rw_ssd_scratch_reals(ROWS, HEADS, VALUES, KEYS) <= sizeof scratch / sizeof(real));
    memset(da_log, 0, sizeof da_log);
    rw_ssd_backward(&chunk, state_in, dstate_out, dy, ALL_VALUES, &grad, scratch);
    for (int i = 0; i < ROWS * WIDE; i++) {
        const int t = i / WIDE, c = i % WIDE;
        if (c < ALL_VALUES)
            fast_ssd[X][t * ALL_VALUES + c] = dxbc[i];
        else if (c < ALL_VALUES + KEYS)
            fast_ssd[B][t * KEYS + c - ALL_VALUES] = dxbc[i];
        else
            fast_ssd[C][t * KEYS + c - ALL_VALUES - KEYS] = dxbc[i];
    }
}

/* Steps from 0.001 to 1.25 at A = -16: a decay of 0.98 to one of e^-20. */
static void fill_ssd(const strength *s, bool positive)
{
    fill(xbc, ROWS * WIDE, 20, positive);
    fill(dy, ROWS * ALL_VALUES, 21, positive);
    fill(state_in, KEYS * ALL_VALUES, 22, false);
    fill(dstate_out, KEYS * ALL_VALUES, 23, false);
    for (int i = 0; i < ROWS * HEADS; i++)
        raw[i] = (real)log(expm1(0.001 * pow(1250, strength_of(s, i / HEADS, i))));
    for (int h = 0; h < HEADS; h++) skip[h] = 1, dt_bias[h] = 0, a_log[h] = (real)log(16);
}

static void test_ssd(void **state)
{
    (void)state;
    for (int i = 0; i < 2 * STRENGTHS; i++) {
        const strength *s = &strengths[i / 2];
        fill_ssd(s, i % 2);
        ssd_by_recurrence(true, exact_ssd);
        ssd_by_recurrence(false, direct_ssd);
        ssd_by_chunk();
        const gradient all[] = {
            {"x", ROWS, ALL_VALUES, exact_ssd[X], direct_ssd[X], fast_ssd[X]},
            {"B", ROWS, KEYS, exact_ssd[B], direct_ssd[B], fast_ssd[B]},
            {"C", ROWS, KEYS, exact_ssd[C], direct_ssd[C], fast_ssd[C]},
            {"the steps", ROWS, HEADS, exact_ssd[RAW], direct_ssd[RAW], draw},
            {"A", HEADS, 1, exact_ssd[A_LOG], direct_ssd[A_LOG], da_log},
        };
        for (int input = 0; input < SSD_INS; input++) compare(&all[input], s);
    }
}

/* ---- Diagonal state spaces --------------------------------------------------------------- */

enum { MODES = 16 };

/* What CMPLX of C11 is, which clang has not everywhere. */
static complex double complex_of(double real_part, double imaginary)
{
    const double parts[2] = {real_part, imaginary};
    complex double z;
    memcpy(&z, parts, sizeof z);
    return z;
}

static complex double rounded_complex(complex double z)
{
    return complex_of(rounded(creal(z)), rounded(cimag(z)));
}

static complex double times(complex double a, complex double b)
{
    return complex_of(rounded(rounded(creal(a) * creal(b)) - rounded(cimag(a) * cimag(b))),
                      rounded(rounded(creal(a) * cimag(b)) + rounded(cimag(a) * creal(b))));
}

/* sum_t dy_t lambda dx_t/dlambda of x_t = lambda x_{t-1} + u_t from zero, one channel in `lane`. */
static complex double diagonal_by_recurrence(bool is_exact, complex double lambda, int lane)
{
    complex double x = 0, rate = 0, sum = 0;
    exact = is_exact;
    lambda = rounded_complex(lambda);
    for (int t = 0; t < ROWS; t++) {
        rate = times(lambda, rounded_complex(rate + x));
        x = rounded_complex(times(lambda, x) + (double)xbc[t * RW_LANES + lane]);
        sum = rounded_complex(sum + rounded_complex((double)dy[t * RW_LANES + lane] * rate));
    }
    return sum;
}

static complex double mode_of(const strength *s, int mode, int lane)
{
    const double rate = 1e-3 * pow(20e3, strength_of(s, mode, (long)mode * RW_LANES + lane));
    return cexp(complex_of(-rate, 0.1 * mode));
}

/* Strong and weak modes differ, not tokens. */
static void test_diagonal(void **state)
{
    (void)state;
    static real coefficients[MODES * RW_DIAGONAL_COEFFICIENTS * RW_LANES];
    static real x[MODES * 2 * RW_LANES], rate[MODES * 2 * RW_LANES], sums[MODES * 4 * RW_LANES];
    for (int i = 0; i < STRENGTHS; i++) {
        double all = 0, direct = 0, fast = 0;
        for (int at = 0; at < MODES * RW_LANES; at++)
            rw_diagonal_coefficients(at / RW_LANES, at % RW_LANES,
                                     mode_of(&strengths[i], at / RW_LANES, at % RW_LANES), 1,
                                     coefficients);
        fill(xbc, ROWS * RW_LANES, 40, false);
        fill(dy, ROWS * RW_LANES, 41, false);
        memset(x, 0, sizeof x);
        rw_diagonal_gradient(MODES, coefficients, ROWS, xbc, dy, x, rate, sums);
        for (int at = 0; at < MODES * RW_LANES; at++) {
            const int mode = at / RW_LANES, lane = at % RW_LANES;
            const complex double lambda = mode_of(&strengths[i], mode, lane);
            const complex double want = diagonal_by_recurrence(true, lambda, lane);
            const real *got = sums + (long)mode * 4 * RW_LANES + lane;
            all += pow(cabs(want), 2);
            direct += pow(cabs(diagonal_by_recurrence(false, lambda, lane) - want), 2);
            fast += pow(cabs(complex_of((double)got[0], (double)got[RW_LANES]) - want), 2);
        }
        gradient g = {.name = "lambda"};
        assert_close(&g, (errors){sqrt(direct / all), sqrt(fast / all)}, 2, "all",
                     strengths[i].name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_linear_attention),
        cmocka_unit_test(test_ssd),
        cmocka_unit_test(test_diagonal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
