/* The definition of an activation: an op from three functions of a number. */
#ifndef RW_ACTIVATION_H
#define RW_ACTIVATION_H

#include "ops/rowwise/elementwise.h"

/* Defines rw_op_NAME and its builder rw_NAME.
 *   VALUE, SLOPE   inline functions of a real: y and dy/dx
 *   NAIVE          the definition, a function of a double
 *   FLOPS          operations an element
 *   DOC, SOURCE    as in rw_op */
#define RW_ACTIVATION(NAME, VALUE, SLOPE, NAIVE, FLOPS, DOC, SOURCE)                               \
    static void NAME##_forward(const rw_call *call)                                                \
    {                                                                                              \
        rw_map(call, VALUE);                                                                       \
    }                                                                                              \
    static void NAME##_backward(const rw_call *call)                                               \
    {                                                                                              \
        rw_map_backward(call, SLOPE);                                                              \
    }                                                                                              \
    static void NAME##_reference(const rw_call *call)                                              \
    {                                                                                              \
        rw_map_reference(call, NAIVE);                                                             \
    }                                                                                              \
    static double NAME##_flops(const rw_node *node, int rows)                                      \
    {                                                                                              \
        return (FLOPS) * (double)rows * node->out_width;                                           \
    }                                                                                              \
    const rw_op rw_op_##NAME = {                                                                   \
        .name = #NAME,                                                                             \
        .doc = DOC,                                                                                \
        .source = SOURCE,                                                                          \
        .promises = {.rowwise = true, .keeps_in = 1u << 0, .in_place = 1u << 0},                   \
        .shape = rw_elementwise_shape,                                                             \
        .forward = NAME##_forward,                                                                 \
        .backward = NAME##_backward,                                                               \
        .reference = NAME##_reference,                                                             \
        .flops = NAME##_flops,                                                                     \
        .sample = rw_##NAME,                                                                       \
    };                                                                                             \
    rw_status rw_##NAME(rw_graph *graph, rw_value x, rw_value *y)                                  \
    {                                                                                              \
        return rw_apply_unary(graph, &rw_op_##NAME, x, y);                                         \
    }                                                                                              \
    extern const rw_op rw_op_##NAME /* takes the semicolon */

#endif
