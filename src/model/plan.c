#include "model/plan.h"

#include "base/memory.h"

int rw_plan_groups(const rw_layout *layout, long sequences)
{
    return layout->sp > 1 && sequences > 1 ? RW_MAX_GROUPS : 1;
}

size_t rw_plan_thread_scratch(const rw_plan *plan)
{
    return rw_whole_lines(plan->scratch) + rw_whole_lines(plan->op_scratch) + 16;
}

long rw_plan_rows(const rw_plan *plan)
{
    long begin = plan->chunks.begin * plan->options.chunk;
    long end = plan->chunks.end * plan->options.chunk;
    return (end > plan->options.length ? plan->options.length : end) - begin;
}

int rw_plan_chunk_rows(const rw_plan *plan, long chunk)
{
    long left = plan->options.length - chunk * plan->options.chunk;
    return left < plan->options.chunk ? (int)left : plan->options.chunk;
}

int rw_plan_run_end(const rw_plan *plan, int node, int last)
{
    const rw_node *nodes = plan->nodes;
    int end = node + 1;
    if (!nodes[node].op->promises.rowwise || rw_has_carry(nodes[node].op)) return end;
    while (end < last && nodes[end].op->promises.rowwise && !rw_has_carry(nodes[end].op)) end++;
    return end;
}

size_t rw_plan_input_width(const rw_node *node)
{
    size_t width = 0;
    for (int k = 0; k < node->ins; k++) width += (size_t)node->in_width[k];
    return width;
}

void rw_plan_destroy(rw_plan **plan)
{
    rw_plan *p = *plan;
    if (!p) return;
    rw_free(&p->nodes);
    rw_free(&p->places);
    rw_free(&p->values);
    rw_free(&p->recomputes);
    rw_free(&p->segments);
    rw_free(plan);
}
