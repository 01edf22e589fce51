#include "measure/roofline.h"

#include <limits.h>

#include "measure/limits.h"

double rw_over_ranks(const rw_layout *layout, double value, MPI_Op op)
{
    MPI_Allreduce(MPI_IN_PLACE, &value, 1, MPI_DOUBLE, op, layout->world);
    return value;
}

double rw_rates_products(const rw_layout *layout, double seconds)
{
    MPI_Barrier(layout->world);
    return rw_over_ranks(layout, rw_measure_products(layout->threads, seconds), MPI_SUM);
}

rw_rates rw_rates_measure(const rw_layout *layout, double seconds)
{
    rw_rates rates = {.products = rw_rates_products(layout, seconds)};
    MPI_Barrier(layout->world);
    rates.memory = rw_over_ranks(layout, rw_measure_triad(layout->threads, seconds), MPI_SUM);
    return rates;
}

static double seconds_for(double amount, double rate)
{
    return rate > 0 ? amount / rate : 0;
}

double rw_roofline_seconds(rw_cost cost, rw_rates rates)
{
    double products = seconds_for(cost.flops, rates.products);
    double memory = seconds_for(cost.bytes, rates.memory);
    return memory > products ? memory : products;
}

bool rw_roofline_is_memory(rw_cost cost, rw_rates rates)
{
    return seconds_for(cost.bytes, rates.memory) > seconds_for(cost.flops, rates.products);
}

/* In training a loss is computed in backward. */
static double node_seconds(const rw_node *node, int rows, bool training, rw_rates rates)
{
    double forward = rw_roofline_seconds(rw_op_cost(node, rows, false), rates);
    if (!training) return forward;
    double backward = rw_roofline_seconds(rw_op_cost(node, rows, true), rates);
    return node->op->is_loss ? backward : forward + backward;
}

double rw_roofline_model(const rw_model *model, long length, double tokens, bool training,
                         rw_rates rates)
{
    int whole = length < INT_MAX ? (int)length : INT_MAX;
    int rows = whole < model->chunk ? whole : model->chunk;
    double seconds = 0; /* of a token */
    for (int i = 0; i < rw_graph_nodes(model->graph); i++) {
        rw_node node;
        if (rw_model_node(model, i, &node) != RW_OK) continue;
        int of = node.op->global ? whole : rows;
        seconds += node_seconds(&node, of, training, rates) / of;
    }
    return seconds * tokens;
}
