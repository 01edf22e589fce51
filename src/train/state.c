#include "train/state.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "mpi/shards.h"

static rw_status add(rw_state *s, const char *prefix, const rw_param *p, real *data)
{
    char name[512];
    snprintf(name, sizeof name, "%s%s", prefix, p->name);
    RW_TRY(rw_strdup(name, &s->names[s->count]));
    rw_tensor *t = &s->tensors[s->count];
    t->name = s->names[s->count];
    bool vector = p->rows == 1;
    t->dims = vector ? 1 : 2;
    t->shape[0] = (size_t)(vector ? p->cols : p->rows);
    t->shape[1] = vector ? 0 : (size_t)p->cols;
    t->data = data;
    s->count++;
    return RW_OK;
}

static rw_status add_moment(rw_state *s, const char *prefix, const rw_param *p, rw_part part,
                            real *data)
{
    RW_TRY(add(s, prefix, p, data));
    rw_tensor *t = &s->tensors[s->count - 1];
    t->begin = (size_t)part.begin;
    t->end = (size_t)part.end;
    t->sharded = part.end - part.begin < p->rows * p->cols;
    return RW_OK;
}

static rw_status add_moments(rw_state *s, const rw_model *model, rw_updater *updater, int moment)
{
    char prefix[64];
    snprintf(prefix, sizeof prefix, "opt/%s/", rw_updater_moment_name(updater, moment));
    for (int i = 0; i < rw_graph_params(model->graph); i++)
        RW_TRY(add_moment(s, prefix, rw_graph_param_at(model->graph, i),
                          rw_updater_part(updater, i), rw_updater_moment(updater, i, moment)));
    return RW_OK;
}

rw_status rw_state_new(const rw_model *model, rw_updater *updater, rw_state *out)
{
    rw_status status = RW_OK;
    int params = rw_graph_params(model->graph), moments = updater ? rw_updater_moments(updater) : 0;
    size_t all = (size_t)(params * (1 + moments));
    memset(out, 0, sizeof *out);
    RW_TRY_DONE(rw_alloc(all, sizeof *out->tensors, "the training state", &out->tensors));
    RW_TRY_DONE(rw_alloc(all, sizeof *out->names, "the training state", &out->names));
    for (int i = 0; i < params; i++) {
        const rw_param *p = rw_graph_param_at(model->graph, i);
        RW_TRY_DONE(add(out, "param/", p, model->weights + p->offset));
    }
    for (int m = 0; m < moments; m++) RW_TRY_DONE(add_moments(out, model, updater, m));
done:
    if (status != RW_OK) rw_state_free(out);
    return status;
}

void rw_state_free(rw_state *state)
{
    for (int i = 0; i < state->count; i++) rw_free(&state->names[i]);
    rw_free(&state->names);
    rw_free(&state->tensors);
    state->count = 0;
}

static bool all_finite(const real *x, size_t n)
{
    size_t bad = 0;
#pragma omp parallel for schedule(static) reduction(+ : bad)
    for (size_t i = 0; i < n; i++) bad += !isfinite(x[i]);
    return bad == 0;
}

const char *rw_state_not_finite(const rw_tensor *tensors, int count)
{
    for (int i = 0; i < count; i++) {
        const rw_tensor *t = &tensors[i];
        size_t n = 1;
        for (int d = 0; d < t->dims; d++) n *= t->shape[d];
        if (t->sharded) n = t->end - t->begin;
        if (!all_finite(t->data, n)) return t->name;
    }
    return NULL;
}

rw_status rw_state_trained(const rw_model *model, double state_lr_factor, rw_trained **out)
{
    int params = rw_graph_params(model->graph);
    RW_TRY(rw_alloc((size_t)params, sizeof **out, "the training state", out));
    for (int i = 0; i < params; i++) {
        const rw_param *p = rw_graph_param_at(model->graph, i);
        (*out)[i] = (rw_trained){
            .name = p->name,
            .count = p->rows * p->cols,
            .weights = model->weights + p->offset,
            .gradient = model->gradient + p->offset,
            .lr_factor = (p->group == RW_GROUP_STATE ? state_lr_factor : 1) * p->rate,
            .decay_factor = p->group == RW_GROUP_WEIGHT ? p->decay : 0,
        };
    }
    return RW_OK;
}

rw_status rw_state_parts(const rw_model *model, const rw_layout *layout, rw_part **out)
{
    rw_range own = rw_shard_of(rw_graph_weights(model->graph), layout->size, layout->rank);
    int params = rw_graph_params(model->graph);
    RW_TRY(rw_alloc((size_t)params, sizeof **out, "the training state", out));
    for (int i = 0; i < params; i++) {
        const rw_param *p = rw_graph_param_at(model->graph, i);
        long offset = (long)p->offset, count = p->rows * p->cols;
        long begin = own.begin - offset, end = own.end - offset;
        if (begin < 0) begin = 0;
        if (end > count) end = count;
        if (begin < end) (*out)[i] = (rw_part){begin, end};
    }
    return RW_OK;
}
