#include "model/plan_scratch.h"

#include "base/memory.h"

static size_t chunk_reals(const rw_plan *p, int v)
{
    return (size_t)p->options.chunk * (size_t)rw_graph_width(p->graph, v);
}

/* ---- What lives within one segment ---------------------------------------- */

/* Places the scratch values (or gradients) of segment s. */
static rw_status place_segment(rw_plan *p, rw_lifetime *item, const int *only, int s,
                               bool gradients)
{
    const rw_segment *segment = &p->segments[s];
    int values = rw_graph_values(p->graph), run = 0;
    for (int v = 0; v < values; v++) item[v] = RW_LIFETIME_NONE;
    for (int i = segment->first; i < segment->last; run++) {
        int end = rw_plan_run_end(p, i, segment->last);
        for (; i < end; i++) {
            const rw_node *node = &p->nodes[i];
            if (node->out >= 0) rw_lifetime_use(&item[node->out], 0, run);
            for (int k = 0; k < node->ins; k++) rw_lifetime_use(&item[node->in[k]], 0, run);
        }
    }
    const rw_node *closer = segment->closes >= 0 ? &p->nodes[segment->closes] : NULL;
    for (int k = 0; closer && k < closer->ins; k++) rw_lifetime_use(&item[closer->in[k]], 0, run);
    for (int v = 0; v < values; v++)
        if (only[v] == s) item[v].size = chunk_reals(p, v);
    size_t total;
    RW_TRY(rw_liveness_place(item, values, &total));
    for (int v = 0; v < values; v++)
        if (only[v] == s)
            (gradients ? &p->values[v].gradient : &p->values[v].value)->offset = item[v].offset;
    if (total > p->scratch) p->scratch = total;
    return RW_OK;
}

/* ---- What lives within the replay of a block -------------------------------- */

/* Runs are numbered through the block; backward of run r comes at last - r. */
typedef struct {
    rw_lifetime *value, *gradient; /* by value id */
    int run, last;
} block_use;

static void use_in_block(const rw_plan *p, const block_use *r, const rw_node *node)
{
    int backward = r->last - r->run;
    if (node->out >= 0) {
        rw_lifetime_use(&r->value[node->out], 0, r->run);
        if (node->op->promises.keeps_out) rw_lifetime_use(&r->value[node->out], 0, backward);
        rw_lifetime_use(&r->gradient[node->out], 0, backward);
    }
    for (int k = 0; k < node->ins; k++) {
        int v = node->in[k];
        if (p->values[v].block != node->block) continue;
        rw_lifetime_use(&r->value[v], 0, r->run);
        if (node->op->promises.keeps_in >> k & 1) rw_lifetime_use(&r->value[v], 0, backward);
        rw_lifetime_use(&r->gradient[v], 0, backward);
    }
}

static void set_sizes(const rw_plan *p, const block_use *r, int block)
{
    for (int v = 0; v < rw_graph_values(p->graph); v++) {
        if (p->values[v].block != block) continue;
        r->value[v].size = chunk_reals(p, v);
        if (!p->values[v].gradient.stored && p->options.training)
            r->gradient[v].size = chunk_reals(p, v);
    }
}

/* The scratch begins with room for a gradient that nobody reads, if the block has several segments.
 */
static size_t discarded(const rw_plan *p)
{
    size_t most = 0;
    for (int v = 0; v < rw_graph_values(p->graph); v++)
        if (chunk_reals(p, v) > most) most = chunk_reals(p, v);
    return rw_whole_lines(most);
}

static rw_status place_block(rw_plan *p, rw_lifetime *item, int begin)
{
    int values = rw_graph_values(p->graph), nodes = p->node_count, end = p->segments[begin].end;
    block_use r = {item, item + values, 0, 2 * nodes};
    size_t total, base = p->options.training && end - begin > 1 ? discarded(p) : 0;
    for (int v = 0; v < 2 * values; v++) item[v] = RW_LIFETIME_NONE;
    for (int s = begin; s < end; s++)
        for (int i = p->segments[s].first; i < p->segments[s].last; r.run++) {
            int after = rw_plan_run_end(p, i, p->segments[s].last);
            for (; i < after; i++) use_in_block(p, &r, &p->nodes[i]);
        }
    set_sizes(p, &r, p->segments[begin].block);
    RW_TRY(rw_liveness_place(item, 2 * values, &total));
    for (int v = 0; v < values; v++) {
        if (p->values[v].block != p->segments[begin].block) continue;
        p->values[v].recomputed = base + r.value[v].offset;
        if (!p->values[v].value.stored) p->values[v].value.offset = p->values[v].recomputed;
        if (!p->values[v].gradient.stored)
            p->values[v].gradient.offset = base + r.gradient[v].offset;
    }
    if (base + total > p->scratch) p->scratch = base + total;
    return RW_OK;
}

/* ---- What backward makes again ----------------------------------------------- */

/* After all other scratch values: several segments may recompute the same value. */
static rw_status place_recomputed(rw_plan *p, rw_lifetime *item)
{
    int values = rw_graph_values(p->graph);
    size_t total, base = p->scratch;
    for (int v = 0; v < values; v++) {
        item[v] = RW_LIFETIME_NONE;
        for (int s = 0; s < p->segment_count; s++)
            if (rw_plan_recomputes(p, s)[v]) {
                item[v].size = chunk_reals(p, v);
                rw_lifetime_use(&item[v], 0, s);
            }
    }
    RW_TRY(rw_liveness_place(item, values, &total));
    for (int v = 0; v < values; v++)
        if (item[v].size) p->values[v].recomputed = base + item[v].offset;
    p->scratch = base + total;
    return RW_OK;
}

/* ---- The whole -------------------------------------------------------------- */

static rw_status place_in(rw_plan *p, rw_lifetime *item, int s, const int *value_segment,
                          const int *gradient_segment)
{
    const rw_segment *segment = &p->segments[s];
    if (segment->recompute == RW_RECOMPUTE_CHUNK)
        return s == segment->begin ? place_block(p, item, s) : RW_OK;
    RW_TRY(place_segment(p, item, value_segment, s, false));
    if (!p->options.training) return RW_OK;
    return place_segment(p, item, gradient_segment, s, true);
}

rw_status rw_plan_scratch(rw_plan *p, const int *value_segment, const int *gradient_segment)
{
    rw_status status = RW_OK;
    rw_lifetime *item = NULL;
    RW_TRY_DONE(rw_alloc(2 * (size_t)rw_graph_values(p->graph) + 1, sizeof *item, "memory planning",
                         &item));
    for (int s = 0; s < p->segment_count; s++)
        RW_TRY_DONE(place_in(p, item, s, value_segment, gradient_segment));
    RW_TRY_DONE(place_recomputed(p, item));
done:
    rw_free(&item);
    return status;
}
