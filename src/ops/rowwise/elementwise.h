/* Element-wise ops: the loops over the rows of a chunk, around a function of an element. The
 * function is inlined and vectorised. */
#ifndef RW_ELEMENTWISE_H
#define RW_ELEMENTWISE_H

#include "kernels/elementary.h"
#include "graph/layers.h"

/* Operations of an exponential in `flops`: those of the polynomial in kernels/elementary.h. */
#define RW_EXP_FLOPS 16

/* Row `t` of a matrix with leading dimension ld. */
static inline const real *rw_row(const real *matrix, int ld, int t)
{
    return matrix + (size_t)t * (size_t)ld;
}
static inline real *rw_row_out(real *matrix, int ld, int t)
{
    return matrix + (size_t)t * (size_t)ld;
}

#ifdef RW_DOUBLE
typedef uint64_t rw_real_bits;
#else
typedef uint32_t rw_real_bits;
#endif

/* The new value of an element of din (see din_add of rw_call); without `add`, `old` may be
 * anything. A mask instead of a branch: compilers do not move a branch out of a long loop, and then
 * do not vectorise the loop. */
static inline real rw_put(bool add, real old, real value)
{
    rw_real_bits bits;
    memcpy(&bits, &old, sizeof bits);
    bits &= (rw_real_bits)0 - (rw_real_bits)add;
    memcpy(&old, &bits, sizeof old);
    return old + value;
}

typedef real rw_element(real x);

static inline __attribute__((always_inline)) void
rw_map_row(int n, rw_element *f, const real *restrict x, real *restrict y)
{
    for (int i = 0; i < n; i++) y[i] = f(x[i]);
}

/* dx may be x (rw_op.in_place). */
static inline __attribute__((always_inline)) void
rw_map_row_backward(int n, rw_element *slope, const real *x, const real *dy, bool add, real *dx)
{
#pragma omp simd
    for (int i = 0; i < n; i++) dx[i] = rw_put(add, dx[i], dy[i] * slope(x[i]));
}

/* y = f(x) for all elements. */
static inline __attribute__((always_inline)) void rw_map(const rw_call *call, rw_element *f)
{
    for (int t = 0; t < call->rows; t++)
        rw_map_row(call->node->out_width, f, rw_row(call->in[0], call->in_ld[0], t),
                   rw_row_out(call->out, call->out_ld, t));
}

/* dx = dy slope(x) for all elements, slope being the derivative of f. */
static inline __attribute__((always_inline)) void rw_map_backward(const rw_call *call,
                                                                  rw_element *slope)
{
    if (!call->back.din[0]) return;
    for (int t = 0; t < call->rows; t++)
        rw_map_row_backward(call->node->out_width, slope, rw_row(call->in[0], call->in_ld[0], t),
                            rw_row(call->back.dout, call->back.dout_ld, t), call->back.din_add[0],
                            rw_row_out(call->back.din[0], call->back.din_ld[0], t));
}

/* The same for references: in double, with the functions of libm. */
static inline void rw_map_reference(const rw_call *call, double (*f)(double x))
{
    for (int t = 0; t < call->rows; t++)
        for (int i = 0; i < call->node->out_width; i++)
            rw_row_out(call->out, call->out_ld, t)[i] =
                (real)f(rw_row(call->in[0], call->in_ld[0], t)[i]);
}

/* rw_op.shape of an op whose output is as wide as all its inputs. */
static inline rw_status rw_elementwise_shape(const rw_node *node, int *out_width)
{
    for (int i = 1; i < node->ins; i++)
        if (node->in_width[i] != node->in_width[0])
            return rw_fail(RW_USAGE,
                           "%s: the inputs have %d and %d columns; they must have the same number",
                           node->op->name, node->in_width[0], node->in_width[i]);
    *out_width = node->in_width[0];
    return RW_OK;
}

/* Error (RW_USAGE) unless `heads` heads divide the columns of a node's input. */
static inline rw_status rw_check_heads(const rw_node *node, int heads, int columns)
{
    if (heads >= 1 && columns % heads == 0) return RW_OK;
    return rw_fail(RW_USAGE, "%s: %d heads do not divide %d columns; choose a divisor",
                   node->op->name, heads, columns);
}

/* Builder of an op with one input, without parameters and attributes. */
static inline rw_status rw_apply_unary(rw_graph *graph, const rw_op *op, rw_value x, rw_value *y)
{
    return rw_graph_apply(graph, op, NULL, 0, &x, 1, NULL, 0, y);
}

#endif
