#include "kernels/gemm_check.h"

#include <math.h>

#include "base/memory.h"
#include "base/status.h"
#include "kernels/gemm.h"

/* Odd sizes around the tiles of kernels, and one that is larger than their blocks. */
static const struct {
    int m, n, k;
} shapes[] = {{1, 1, 1},    {3, 5, 7},    {17, 33, 9},   {31, 2, 65},
              {64, 48, 33}, {67, 129, 5}, {5, 130, 131}, {131, 97, 400}};
enum { SHAPES = sizeof shapes / sizeof *shapes, SIDE = 400, MARGIN = 3 };

static const real MARK = -12345; /* beside the result, where nothing may be written */

/* A whole number from -3 to 3. */
static real operand(int row, int column, int salt)
{
    return (real)((row * 31 + column * 17 + salt + row * column % 5) % 7 - 3);
}

static void fill(bool transposed, int rows, int columns, int salt, real *out)
{
    int across = transposed ? rows : columns, down = transposed ? columns : rows;
    for (int i = 0; i < down; i++)
        for (int j = 0; j < across; j++)
            out[i * across + j] = transposed ? operand(j, i, salt) : operand(i, j, salt);
}

/* x is (m, k), y is (k, n), as they are before they are transposed. */
static void multiply_plainly(int m, int n, int k, const real *x, const real *y, real *out)
{
    for (int i = 0; i < m * n; i++) out[i] = 0;
    for (int i = 0; i < m; i++)
        for (int l = 0; l < k; l++)
            for (int j = 0; j < n; j++) out[i * n + j] += x[i * k + l] * y[l * n + j];
}

typedef struct {
    real *x, *y;   /* operands as they are multiplied: (m, k), (k, n) */
    real *a, *b;   /* as they are stored */
    real *c;       /* the result of BLAS, with a margin in each row */
    real *product; /* of plain loops */
} arrays;

/* The result of BLAS, times `alpha`, added to `before` in each place. */
static bool same(int m, int n, const real *product, real alpha, real before, const real *c)
{
    bool right = true;
    for (int i = 0; i < m; i++) {
        for (int j = 0; j < n; j++)
            right &= c[i * (n + MARGIN) + j] == alpha * product[i * n + j] + before;
        for (int j = n; j < n + MARGIN; j++) right &= c[i * (n + MARGIN) + j] == MARK;
    }
    return right;
}

static void prepare(int m, int n, real before, real *c)
{
    for (int i = 0; i < m; i++)
        for (int j = 0; j < n + MARGIN; j++) c[i * (n + MARGIN) + j] = j < n ? before : MARK;
}

static bool right_shape(int m, int n, int k, arrays *w)
{
    bool right = true;
    fill(false, m, k, 1, w->x);
    fill(false, k, n, 2, w->y);
    multiply_plainly(m, n, k, w->x, w->y, w->product);
    for (int way = 0; way < 4; way++) {
        bool ta = way & 1, tb = way & 2;
        fill(ta, m, k, 1, w->a);
        fill(tb, k, n, 2, w->b);
        prepare(m, n, NAN, w->c); /* with beta 0 the old result is not read */
        rw_gemm(ta, tb, m, n, k, 1, w->a, ta ? m : k, w->b, tb ? k : n, 0, w->c, n + MARGIN);
        right &= same(m, n, w->product, 1, 0, w->c);
        prepare(m, n, 5, w->c);
        rw_gemm(ta, tb, m, n, k, 2, w->a, ta ? m : k, w->b, tb ? k : n, 1, w->c, n + MARGIN);
        right &= same(m, n, w->product, 2, 5, w->c);
    }
    return right;
}

bool rw_gemm_is_right(void)
{
    enum { REALS = SIDE * (SIDE + MARGIN) };
    real *all = NULL;
    bool right = true;
    if (rw_alloc((size_t)6 * REALS, sizeof(real), "a check of BLAS", &all) != RW_OK) {
        rw_clear_message();
        return true; /* what runs out of memory here says so later */
    }
    arrays w = {all,
                all + REALS,
                all + 2 * (size_t)REALS,
                all + 3 * (size_t)REALS,
                all + 4 * (size_t)REALS,
                all + 5 * (size_t)REALS};
    bool room = rw_gemm_take_buffers(1); /* else OpenBLAS would hang; a command says so later */
    for (int s = 0; room && s < SHAPES; s++)
        right &= right_shape(shapes[s].m, shapes[s].n, shapes[s].k, &w);
    rw_free(&all);
    return right;
}
