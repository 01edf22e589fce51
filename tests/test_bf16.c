/* bfloat16: rounding against the definition; products of rounded operands, emulated
 * and by oneDNN, against plain loops; the bits of a product depend on its
 * arguments alone; ops with weights round what they should. The path to oneDNN is
 * taken with float operands on any processor, with bfloat16 where there are such. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <float.h>
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"
#include "graph/graph.h"
#include "kernels/rounded_product.h"
#include "ops/projection/weight_product.h"

enum { MAX = 96, PAD = 5, LD = MAX + PAD, ROOM = MAX * LD + 16 };

extern const rw_op rw_op_linear, rw_op_cross_entropy;

static void fill(float *out, size_t count, uint64_t stream)
{
    rw_random random = rw_random_stream(7, RW_RANDOM_TEST, stream);
    for (size_t i = 0; i < count; i++) out[i] = (float)(2 * rw_random_uniform(random, i) - 1);
}

static float of_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* ---- Rounding ---------------------------------------------------------------- */

static void test_special_values(void **unused)
{
    static const struct {
        uint32_t from;
        rw_bf16 to;
    } cases[] = {
        {0x3f808000, 0x3f80},                       /* halfway, even below */
        {0x3f818000, 0x3f82},                       /* halfway, even above */
        {0x3f808001, 0x3f81},                       /* beyond halfway */
        {0x3f80ffff, 0x3f81}, {0x3fff8000, 0x4000}, /* up to the next power of two */
        {0xbf818000, 0xbf82},                       /* symmetric */
        {0x7f7f7fff, 0x7f7f},                       /* the largest that stays finite */
        {0x7f7f8000, 0x7f80},                       /* overflow */
        {0xff7fffff, 0xff80}, {0x7f800000, 0x7f80}, /* infinity */
        {0xff800000, 0xff80}, {0x00000000, 0x0000},
        {0x80000000, 0x8000}, {0x00000001, 0x0000}, /* subnormal */
        {0x00008000, 0x0000}, {0x00018000, 0x0002},
        {0x80018001, 0x8002}, {0x007fffff, 0x0080}, /* from subnormal to normal */
    };
    (void)unused;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rw_bf16 got = rw_bf16_of(of_bits(cases[i].from));
        if (got != cases[i].to)
            fail_msg("%08x becomes %04x, not %04x", cases[i].from, got, cases[i].to);
    }
    static const uint32_t nans[] = {0x7fc00000, 0x7f800001, 0xff80ffff, 0x7fffffff, 0xffffffff};
    for (size_t i = 0; i < sizeof nans / sizeof *nans; i++)
        assert_true(isnan(rw_bf16_value(rw_bf16_of(of_bits(nans[i])))));
}

static void test_exact_values_stay(void **unused)
{
    (void)unused;
    for (uint32_t bits = 0; bits < 65536; bits++) {
        float x = rw_bf16_value((rw_bf16)bits);
        if (!isnan(x)) assert_int_equal(rw_bf16_of(x), bits);
    }
}

/* The value of a positive finite float. Exact also for subnormal floats, and where the
 * processor flushes those. */
static double value_of(uint32_t bits)
{
    int exponent = (int)(bits >> 23);
    double fraction = (double)(bits & 0x7fffff);
    return exponent ? ldexp(fraction + 0x800000, exponent - 150) : ldexp(fraction, -149);
}

/* The nearer of the two neighbours, found by their distances. */
static void test_nearest(void **unused)
{
    rw_random random = rw_random_stream(7, RW_RANDOM_TEST, 1);
    (void)unused;
    for (uint64_t i = 0; i < 100000; i++) {
        uint32_t bits = (uint32_t)(rw_random_uniform(random, i) * 0x7f000000);
        double x = value_of(bits), below = value_of(bits & 0xffff0000);
        double above = value_of((bits & 0xffff0000) + 0x10000);
        double got = value_of((uint32_t)rw_bf16_of(of_bits(bits)) << 16);
        assert_true(got == below || got == above);
        assert_true(fabs(got - x) <= fmin(x - below, above - x));
    }
}

/* Arrays are rounded as numbers are, vectors and the rest of a row; only subnormal numbers may
 * become zeros of their sign. */
static void test_arrays_of_all_kinds(void **unused)
{
    static const uint32_t lower[] = {0, 1, 0x7fff, 0x8000, 0x8001, 0xffff};
    enum { KINDS = 6, ROW = 21 };
    (void)unused;
    for (uint32_t upper = 0; upper < 65536; upper++) {
        real from[ROW], to[ROW];
        for (int j = 0; j < ROW; j++) {
            uint32_t bits = upper << 16 | lower[j % KINDS];
            memcpy(&from[j], &bits, sizeof bits);
        }
        rw_round(RW_PRECISION_BF16, 1, ROW, from, ROW, 0, to);
        for (int j = 0; j < ROW; j++) {
            uint32_t bits = upper << 16 | lower[j % KINDS];
            rw_bf16 got = ((const rw_bf16 *)(const void *)to)[j];
            bool subnormal = (bits & 0x7f800000) == 0, zero = got == (upper & 0x8000);
            assert_true(got == rw_bf16_of(of_bits(bits)) || (subnormal && zero));
        }
    }
}

/* Rows of a matrix one part after another, as slices of threads do. */
static void test_arrays(void **unused)
{
    static real from[7 * LD], to[7 * MAX], narrow[7 * MAX];
    (void)unused;
    fill(from, 7 * LD, 3);
    for (int first = 0; first < 7; first += 2) {
        int rows = first == 6 ? 1 : 2;
        rw_round(RW_PRECISION_BF16_EMULATED, rows, 33, from + first * LD, LD, first, to);
        rw_round(RW_PRECISION_BF16, rows, 33, from + first * LD, LD, first, narrow);
    }
    const rw_bf16 *stored = (const rw_bf16 *)(const void *)narrow;
    for (int i = 0; i < 7; i++)
        for (int j = 0; j < 33; j++) {
            assert_int_equal(stored[i * 33 + j], rw_bf16_of(from[i * LD + j]));
            assert_true(to[i * 33 + j] == rw_bf16_value(stored[i * 33 + j]));
        }
    assert_int_equal(rw_rounded_reals(RW_PRECISION_FLOAT32, 7), 0);
    assert_int_equal(rw_rounded_reals(RW_PRECISION_BF16, 7), 4);
    assert_int_equal(rw_rounded_reals(RW_PRECISION_BF16_EMULATED, 7), 7);
}

/* ---- Products ---------------------------------------------------------------- */

typedef struct {
    bool transa, transb, add;
    int m, n, k;
} product;

/* Operands as float and as bfloat16 of equal value; a row is LD long. */
static float a[ROOM], b[ROOM], c[ROOM], before[ROOM], again[ROOM];
static rw_bf16 narrow_a[ROOM], narrow_b[ROOM];

static void make_operands(void)
{
    fill(a, ROOM, 4), fill(b, ROOM, 5), fill(before, ROOM, 6);
    for (int i = 0; i < ROOM; i++) {
        narrow_a[i] = rw_bf16_of(a[i]), narrow_b[i] = rw_bf16_of(b[i]);
        a[i] = rw_bf16_value(narrow_a[i]), b[i] = rw_bf16_value(narrow_b[i]);
    }
}

static double naive(const product *p, int i, int j)
{
    double sum = p->add ? (double)before[i * LD + j] : 0;
    for (int l = 0; l < p->k; l++)
        sum += (double)a[p->transa ? l * LD + i : i * LD + l] *
               (double)b[p->transb ? j * LD + l : l * LD + j];
    return sum;
}

/* What is beyond a row of c is not touched, and without `add` c is not read. */
static void start_from(const product *p, float *out)
{
    memcpy(out, before, sizeof before);
    for (int i = 0; i < p->m && !p->add; i++)
        for (int j = 0; j < p->n; j++) out[i * LD + j] = NAN;
}

static void check_product(const product *p, const char *how)
{
    double tolerance = 4e-7 * p->k + 4e-7;
    for (int i = 0; i < p->m; i++)
        for (int j = 0; j < LD; j++) {
            double wanted = j < p->n ? naive(p, i, j) : (double)before[i * LD + j];
            if (!(fabs((double)c[i * LD + j] - wanted) <= (j < p->n ? tolerance : 0)))
                fail_msg("%s: (%d, %d, %d)%s%s%s: element %d, %d is %g, not %g", how, p->m, p->n,
                         p->k, p->transa ? " a^T" : "", p->transb ? " b^T" : "",
                         p->add ? " added" : "", i, j, (double)c[i * LD + j], wanted);
        }
}

/* Every shape, transposed in every way, plain and added. */
static void for_every_product(void (*check)(const product *p))
{
    static const int sizes[][3] = {{1, 1, 1},   {64, 48, 32}, {37, 5, 11}, {96, 96, 96},
                                   {1, 96, 64}, {96, 1, 7},   {8, 64, 1}};
    make_operands();
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (int form = 0; form < 8; form++) {
            product p = {form & 1, form & 2, form & 4, sizes[s][0], sizes[s][1], sizes[s][2]};
            check(&p);
        }
}

static void emulate(const product *p)
{
    start_from(p, c);
    rw_rounded_product(RW_PRECISION_BF16_EMULATED, p->transa, p->transb, p->m, p->n, p->k, a, LD, b,
                       LD, p->add, c, LD);
    check_product(p, "emulated");
}

static void test_emulated(void **unused)
{
    (void)unused;
    for_every_product(emulate);
}

static void multiply(rw_stored stored, const product *p, int shift, float *out)
{
    static _Thread_local float of_a[ROOM + 16], of_b[ROOM + 16];
    static _Thread_local rw_bf16 narrow_of_a[ROOM + 16], narrow_of_b[ROOM + 16];
    bool narrow = stored == RW_STORED_BF16;
    memcpy(of_a + shift, a, sizeof a), memcpy(of_b + shift, b, sizeof b);
    memcpy(narrow_of_a + shift, narrow_a, sizeof narrow_a);
    memcpy(narrow_of_b + shift, narrow_b, sizeof narrow_b);
    const void *left = narrow ? (const void *)(narrow_of_a + shift) : of_a + shift;
    const void *right = narrow ? (const void *)(narrow_of_b + shift) : of_b + shift;
    start_from(p, out);
    rw_gemm_stored(stored, p->transa, p->transb, p->m, p->n, p->k, left, LD, right, LD, p->add, out,
                   LD);
}

/* Elsewhere in memory, by other threads, and where OpenMP would start several. */
static void check_same_bits(rw_stored stored, const product *p)
{
    int threads = omp_get_max_threads();
    omp_set_num_threads(4);
    for (int shift = 1; shift < 16; shift += 7) {
        multiply(stored, p, shift, again);
        assert_memory_equal(again, c, sizeof c);
    }
    assert_int_equal(omp_get_max_threads(), 4);
    int wrong = 0;
#pragma omp parallel num_threads(3) reduction(+ : wrong)
    {
        static _Thread_local float mine[ROOM];
        multiply(stored, p, omp_get_thread_num(), mine);
        wrong += memcmp(mine, c, sizeof c) != 0;
    }
    omp_set_num_threads(threads);
    assert_int_equal(wrong, 0);
}

static void check_stored_float(const product *p)
{
    multiply(RW_STORED_FLOAT, p, 0, c);
    check_product(p, "oneDNN, float");
    check_same_bits(RW_STORED_FLOAT, p);
}

static void check_stored_bf16(const product *p)
{
    multiply(RW_STORED_BF16, p, 0, c);
    check_product(p, "oneDNN, bf16");
    check_same_bits(RW_STORED_BF16, p);
}

static void skip_if_missing(rw_stored stored)
{
    const char *missing = rw_gemm_stored_missing(stored);
    if (!missing) return;
    print_message("skipped: %s\n", missing);
    skip();
}

static void test_stored_float(void **unused)
{
    (void)unused;
    skip_if_missing(RW_STORED_FLOAT);
    for_every_product(check_stored_float);
}

static void test_stored_bf16(void **unused)
{
    (void)unused;
    skip_if_missing(RW_STORED_BF16);
    for_every_product(check_stored_bf16);
}

/* ---- Ops --------------------------------------------------------------------- */

enum { ROWS = 9, IN = 24, OUT = 40 };

typedef struct {
    rw_node node;
    real x[ROWS * IN], weight[OUT * IN], dy[ROWS * OUT];
    real y[ROWS * OUT], dx[ROWS * IN], dweight[OUT * IN];
    int32_t targets[ROWS];
    double loss;
} problem;

/* `already`: operands that are rounded. */
static void make_problem(const rw_op *op, rw_precision precision, bool already, problem *p)
{
    const rw_precision emulated = RW_PRECISION_BF16_EMULATED;
    memset(p, 0, sizeof *p);
    fill(p->x, ROWS * IN, 8), fill(p->weight, OUT * IN, 9), fill(p->dy, ROWS * OUT, 10);
    for (int t = 0; t < ROWS; t++) p->targets[t] = 5 * t % OUT;
    if (already) {
        rw_round(emulated, ROWS, IN, p->x, IN, 0, p->x);
        rw_round(emulated, OUT, IN, p->weight, IN, 0, p->weight);
        rw_round(emulated, ROWS, OUT, p->dy, OUT, 0, p->dy);
    }
    p->node = (rw_node){
        .op = op, .ins = 1, .in_width = {IN}, .params = 1, .param_rows = {OUT}, .param_cols = {IN}};
    const rw_setting setting = {.chunk = ROWS, .precision = precision};
    assert_int_equal(op->shape(&p->node, &p->node.out_width), RW_OK);
    assert_int_equal(rw_node_set(&p->node, &setting), RW_OK);
    /* In hardware, rows of W up to a whole cache line of y. */
    const size_t outs = precision == RW_PRECISION_BF16 ? (OUT + 15) / 16 * 16 : OUT;
    if (precision != RW_PRECISION_FLOAT32)
        assert_int_equal(p->node.size.derived, rw_rounded_reals(precision, outs * IN));
}

/* The op's forward and backward. */
static void run(const rw_op *op, rw_precision precision, bool already, problem *p)
{
    real *scratch = NULL, *derived = NULL;
    make_problem(op, precision, already, p);
    assert_int_equal(rw_alloc(p->node.size.derived, sizeof(real), "a test", &derived), RW_OK);
    assert_int_equal(rw_alloc(p->node.size.scratch + 1, sizeof(real), "a test", &scratch), RW_OK);
    rw_call call = {.node = &p->node, .rows = ROWS, .scratch = scratch, .derived = derived};
    call.in[0] = p->x, call.in_ld[0] = IN, call.param[0] = p->weight;
    call.out = p->y, call.out_ld = OUT, call.back.dout = p->dy, call.back.dout_ld = OUT;
    call.back.din[0] = p->dx, call.back.din_ld[0] = IN, call.back.dparam[0] = p->dweight;
    call.data.targets = p->targets, call.loss.sum = &p->loss, call.loss.scale = 1;
    for (int slice = 0; slice < p->node.size.slices; slice += 7)
        op->prepare(&p->node, call.param, derived, slice,
                    slice + 7 < p->node.size.slices ? slice + 7 : p->node.size.slices, scratch);
    op->forward(&call);
    op->backward(&call);
    rw_free(&derived);
    rw_free(&scratch);
}

static double farthest(const real *x, const real *y, int count)
{
    double most = 0;
    for (int i = 0; i < count; i++) most = fmax(most, fabs((double)x[i] - (double)y[i]));
    return most;
}

/* Of operands that are rounded already, what a float32 op makes. */
static void test_linear_rounds(void **unused)
{
    static problem rounding, plain, unrounded;
    (void)unused;
    run(&rw_op_linear, RW_PRECISION_BF16_EMULATED, false, &rounding);
    run(&rw_op_linear, RW_PRECISION_FLOAT32, true, &plain);
    run(&rw_op_linear, RW_PRECISION_FLOAT32, false, &unrounded);
    assert_true(farthest(rounding.y, plain.y, ROWS * OUT) < 1e-5);
    assert_true(farthest(rounding.dx, plain.dx, ROWS * IN) < 1e-5);
    assert_true(farthest(rounding.dweight, plain.dweight, OUT * IN) < 1e-5);
    assert_true(farthest(rounding.y, unrounded.y, ROWS * OUT) > 1e-4);
    assert_true(farthest(rounding.dx, unrounded.dx, ROWS * IN) > 1e-4);
    assert_true(farthest(rounding.dweight, unrounded.dweight, OUT * IN) > 1e-4);
}

/* The loss is that of rounded operands; its gradient is of float32 until it is
 * multiplied: 2^-9 of it is lost at most. */
static void test_cross_entropy_rounds(void **unused)
{
    static problem rounding, plain, unrounded;
    (void)unused;
    run(&rw_op_cross_entropy, RW_PRECISION_BF16_EMULATED, false, &rounding);
    run(&rw_op_cross_entropy, RW_PRECISION_FLOAT32, true, &plain);
    run(&rw_op_cross_entropy, RW_PRECISION_FLOAT32, false, &unrounded);
    assert_true(fabs(rounding.loss - plain.loss) < 1e-5 * plain.loss);
    assert_true(fabs(rounding.loss - unrounded.loss) > 1e-5 * plain.loss);
    assert_true(farthest(rounding.dx, plain.dx, ROWS * IN) < 1e-2);
    assert_true(farthest(rounding.dweight, plain.dweight, OUT * IN) < 1e-2);
}

/* The processor's products in ops are the emulated ones, but for the order of sums. */
static void test_hardware_in_ops(void **unused)
{
    static problem hardware, emulated;
    static const rw_op *const ops[] = {&rw_op_linear, &rw_op_cross_entropy};
    (void)unused;
    if (rw_precision_missing(RW_PRECISION_BF16)) skip();
    for (int i = 0; i < 2; i++) {
        run(ops[i], RW_PRECISION_BF16, false, &hardware);
        run(ops[i], RW_PRECISION_BF16_EMULATED, false, &emulated);
        assert_true(fabs(hardware.loss - emulated.loss) <= 1e-5 * emulated.loss);
        assert_true(farthest(hardware.y, emulated.y, ROWS * OUT) < 1e-5);
        /* The gradient of a loss is rounded after sums of another order. */
        const double within = i ? 1e-2 : 1e-5;
        assert_true(farthest(hardware.dx, emulated.dx, ROWS * IN) < within);
        assert_true(farthest(hardware.dweight, emulated.dweight, OUT * IN) < within);
    }
}

/* y + x W^T into rows with a gap between them, which stays as it is. W is rounded into memory that
 * is not zero. */
static void add_product(rw_precision precision, int rows, int ld, real *y)
{
    static problem p;
    real *derived = NULL, *room = NULL;
    make_problem(&rw_op_linear, precision, false, &p);
    assert_int_equal(rw_alloc(p.node.size.derived, sizeof(real), "a test", &derived), RW_OK);
    assert_int_equal(rw_alloc(rw_weight_product_room(&p.node, rows), sizeof(real), "a test", &room),
                     RW_OK);
    memset(derived, 0xff, p.node.size.derived * sizeof(real));
    const real *weight = p.weight;
    rw_weight_product_prepare(&p.node, &weight, derived, 0, OUT, NULL);
    for (int i = 0; i < rows * ld; i++) y[i] = (real)i / 8;
    rw_call call = {.node = &p.node, .rows = rows, .derived = derived};
    rw_weight_product(&call, rows, a, IN, true, y, ld, room);
    rw_free(&derived);
    rw_free(&room);
}

static void test_hardware_adds(void **unused)
{
    enum { MANY = 300, GAP = OUT + 5 };
    static real hardware[MANY * GAP], emulated[MANY * GAP];
    (void)unused;
    if (rw_precision_missing(RW_PRECISION_BF16)) skip();
    fill(a, MANY * IN, 11);
    for (int rows = 1; rows <= MANY; rows += 299) {
        add_product(RW_PRECISION_BF16, rows, GAP, hardware);
        add_product(RW_PRECISION_BF16_EMULATED, rows, GAP, emulated);
        for (int i = 0; i < rows * GAP; i++) {
            if (i % GAP >= OUT) assert_true(hardware[i] == (real)i / 8);
            assert_true(fabs(hardware[i] - emulated[i]) <= 1e-6 * (1 + fabs(emulated[i])));
        }
    }
}

static void test_what_is_missing_is_said(void **unused)
{
    (void)unused;
    assert_null(rw_precision_missing(RW_PRECISION_FLOAT32));
    assert_null(rw_precision_missing(RW_PRECISION_BF16_EMULATED));
    const char *missing = rw_precision_missing(RW_PRECISION_BF16);
    assert_true(missing == rw_gemm_stored_missing(RW_STORED_BF16));
    assert_true(!missing || strlen(missing) > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_special_values),
        cmocka_unit_test(test_exact_values_stay),
        cmocka_unit_test(test_nearest),
        cmocka_unit_test(test_arrays),
        cmocka_unit_test(test_arrays_of_all_kinds),
        cmocka_unit_test(test_emulated),
        cmocka_unit_test(test_stored_float),
        cmocka_unit_test(test_stored_bf16),
        cmocka_unit_test(test_linear_rounds),
        cmocka_unit_test(test_cross_entropy_rounds),
        cmocka_unit_test(test_hardware_in_ops),
        cmocka_unit_test(test_hardware_adds),
        cmocka_unit_test(test_what_is_missing_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
