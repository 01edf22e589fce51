/* Rates of the machine, and the least time of work at these rates. */
#ifndef RW_ROOFLINE_H
#define RW_ROOFLINE_H

#include <stdbool.h>

#include "model/model.h"
#include "mpi/layout.h"
#include "graph/op_cost.h"

/* Of all ranks and threads together, all busy at the same time. */
typedef struct {
    double products; /* operations a second, float32 */
    double memory;   /* bytes a second */
} rw_rates;

/* Each limit for about `seconds`. Collective; the same on every rank. */
rw_rates rw_rates_measure(const rw_layout *layout, double seconds);
/* The rate of products alone. */
double rw_rates_products(const rw_layout *layout, double seconds);

/* Seconds for the work at the rates: the longer of both. */
double rw_roofline_seconds(rw_cost cost, rw_rates rates);
/* Is the limit the rate of memory? */
bool rw_roofline_is_memory(rw_cost cost, rw_rates rates);

/* Seconds for `tokens` tokens of a model in sequences of `length`, forward, or (training) forward
 * and backward, with every op alone at its roofline and all its operands in memory. Values that
 * pass between ops in cache are faster. */
double rw_roofline_model(const rw_model *model, long length, double tokens, bool training,
                         rw_rates rates);

/* Over all ranks: collective. */
double rw_over_ranks(const rw_layout *layout, double value, MPI_Op op);

#endif
