/* The carries of a model's tree ops over the chunks of a rank: on the chunk tree, as in training,
 * and in a single pass from chunk to chunk, which would be enough if the order of operations could
 * depend on the layout. */
#ifndef RW_SCAN_COST_H
#define RW_SCAN_COST_H

#include "model/model.h"
#include "model/plan.h"

typedef struct rw_scan_cost rw_scan_cost;

/* All tree carries of the plan's nodes, forward and mirrored, on the chunks of this rank. Borrows
 * all arguments. Not collective. */
rw_status rw_scan_cost_new(const rw_model *model, const rw_plan *plan, int threads,
                           rw_scan_cost **out);
void rw_scan_cost_destroy(rw_scan_cost **cost);

/* Not collective. */
void rw_scan_cost_tree(rw_scan_cost *cost);
void rw_scan_cost_pass(rw_scan_cost *cost);

#endif
