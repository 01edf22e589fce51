#include "model/recurrent.h"

#include <string.h>

#include "base/memory.h"

struct rw_recurrent {
    const rw_model *model;
    rw_node *nodes;
    int count;
    size_t *derived_at, *state_at; /* by node */
    real **value;                  /* by value id: a row */
    real *values, *derived, *state, *scratch;
    size_t states;
    long position;
    real *marked; /* the state after a reset; NULL: zeros */
    long marked_position;
};

static rw_status plan(rw_recurrent *r, long horizon, size_t *derived, size_t *scratch)
{
    const rw_graph *g = r->model->graph;
    const rw_setting setting = {.chunk = r->model->chunk, .horizon = horizon};
    size_t n = (size_t)r->count;
    RW_TRY(rw_alloc(n, sizeof *r->nodes, "generation", &r->nodes));
    RW_TRY(rw_alloc(n, sizeof(size_t), "generation", &r->derived_at));
    RW_TRY(rw_alloc(n, sizeof(size_t), "generation", &r->state_at));
    for (int i = 0; i < r->count; i++) {
        rw_node *node = &r->nodes[i];
        *node = *rw_graph_node(g, i);
        if (node->op->sees_ahead)
            return rw_fail(RW_USAGE, "the model reads later tokens (bidirectional: true), so the "
                                     "model cannot run token by token");
        RW_TRY(rw_node_set(node, &setting));
        r->derived_at[i] = *derived;
        r->state_at[i] = r->states;
        *derived += rw_whole_lines(node->size.derived);
        if (rw_has_carry(node->op)) r->states += rw_whole_lines(node->size.state);
        if (node->size.scratch > *scratch) *scratch = node->size.scratch;
    }
    return RW_OK;
}

static rw_status allocate(rw_recurrent *r, size_t derived, size_t scratch)
{
    const rw_graph *g = r->model->graph;
    size_t width = 0, values = (size_t)rw_graph_values(g);
    for (size_t v = 0; v < values; v++) width += rw_whole_lines((size_t)rw_graph_width(g, (int)v));
    RW_TRY(rw_alloc(values + 1, sizeof *r->value, "generation", &r->value));
    RW_TRY(rw_alloc(width, sizeof(real), "generation", &r->values));
    RW_TRY(rw_alloc(derived, sizeof(real), "derived parameters", &r->derived));
    RW_TRY(rw_alloc(r->states, sizeof(real), "recurrent state", &r->state));
    RW_TRY(rw_alloc(scratch, sizeof(real), "scratch memory", &r->scratch));
    real *next = r->values;
    for (size_t v = 0; v < values; v++) {
        r->value[v] = next;
        next += rw_whole_lines((size_t)rw_graph_width(g, (int)v));
    }
    return RW_OK;
}

rw_status rw_recurrent_new(const rw_model *model, long horizon, rw_recurrent **out)
{
    rw_status status = RW_OK;
    size_t derived = 0, scratch = 0;
    rw_recurrent *r = NULL;
    RW_TRY(rw_alloc(1, sizeof *r, "generation", &r));
    r->model = model;
    r->count = rw_graph_nodes(model->graph);
    RW_TRY_DONE(plan(r, horizon, &derived, &scratch));
    RW_TRY_DONE(allocate(r, derived, scratch));
    for (int i = 0; i < r->count; i++) {
        const rw_node *node = &r->nodes[i];
        real *param[RW_MAX_OP_PARAMS];
        rw_graph_params_of(model->graph, node, model->weights, param);
        if (node->op->prepare)
            node->op->prepare(node, (const real *const *)param, r->derived + r->derived_at[i], 0,
                              node->size.slices, r->scratch);
    }
done:
    if (status != RW_OK) rw_recurrent_destroy(&r);
    *out = r;
    return status;
}

void rw_recurrent_destroy(rw_recurrent **recurrent)
{
    rw_recurrent *r = *recurrent;
    if (!r) return;
    rw_free(&r->nodes);
    rw_free(&r->derived_at);
    rw_free(&r->state_at);
    rw_free(&r->value);
    rw_free(&r->values);
    rw_free(&r->derived);
    rw_free(&r->state);
    rw_free(&r->marked);
    rw_free(&r->scratch);
    rw_free(recurrent);
}

rw_status rw_recurrent_mark(rw_recurrent *r)
{
    if (!r->marked) RW_TRY(rw_alloc(r->states, sizeof(real), "recurrent state", &r->marked));
    if (r->states) memcpy(r->marked, r->state, r->states * sizeof(real));
    r->marked_position = r->position;
    return RW_OK;
}

void rw_recurrent_reset(rw_recurrent *r)
{
    if (!r->marked)
        memset(r->state, 0, r->states * sizeof(real));
    else if (r->states)
        memcpy(r->state, r->marked, r->states * sizeof(real));
    r->position = r->marked_position;
}

void rw_recurrent_step(rw_recurrent *r, int32_t token, const real *features, real *scores)
{
    for (int i = 0; i < r->count; i++) {
        const rw_node *node = &r->nodes[i];
        rw_call call = rw_graph_call(r->model->graph, node, 1, r->model->weights, r->value);
        call.at.position = r->position;
        call.data.tokens = &token;
        call.data.features = features;
        call.loss.scores = scores;
        call.scratch = r->scratch;
        call.derived = r->derived + r->derived_at[i];
        call.carry.state = r->state + r->state_at[i];
        if (node->op->step)
            node->op->step(&call);
        else
            node->op->forward(&call);
    }
    r->position++;
}
