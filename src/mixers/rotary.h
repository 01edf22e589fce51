/* Rotary positions: what the scores of attention see of where their rows are. */
#ifndef RW_ROTARY_H
#define RW_ROTARY_H

#include "graph/layers.h"

/* y = x with the columns of each of the first `heads` groups of d = head_width turned
 * in pairs (i, i + d/2), by the angle position / base^(2i/d): products of rows then
 * depend on the distance of the rows alone. d is even; further columns stay. */
rw_status rw_rotary(rw_graph *graph, rw_value x, int heads, int head_width, double base,
                    rw_value *y);

#endif
