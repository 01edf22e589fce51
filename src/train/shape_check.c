#include "train/shape_check.h"

#include <stdio.h>
#include <string.h>

#define SHAPE_TEXT 64

/* The weights with this name; false: there are none. */
static bool find(const rw_checkpoint *checkpoint, const char *name, rw_tensor *out)
{
    for (int i = 0; i < rw_checkpoint_count(checkpoint); i++) {
        *out = rw_checkpoint_tensor(checkpoint, i);
        if (strncmp(out->name, "param/", 6) == 0 && strcmp(out->name + 6, name) == 0) return true;
    }
    return false;
}

static void describe(const rw_tensor *tensor, char text[SHAPE_TEXT])
{
    if (tensor->dims == 1)
        snprintf(text, SHAPE_TEXT, "%zu", tensor->shape[0]);
    else
        snprintf(text, SHAPE_TEXT, "%zux%zu", tensor->shape[0], tensor->shape[1]);
}

static rw_tensor wanted(const rw_param *p)
{
    if (p->rows == 1) return (rw_tensor){.dims = 1, .shape = {(size_t)p->cols}};
    return (rw_tensor){.dims = 2, .shape = {(size_t)p->rows, (size_t)p->cols}};
}

static rw_status check_param(const rw_checkpoint *checkpoint, const rw_param *p, const char *advice)
{
    rw_tensor stored, model = wanted(p);
    char here[SHAPE_TEXT] = "none", there[SHAPE_TEXT];
    bool found = find(checkpoint, p->name, &stored);
    if (found && stored.dims == model.dims && stored.shape[0] == model.shape[0] &&
        (stored.dims == 1 || stored.shape[1] == model.shape[1]))
        return RW_OK;
    if (found) describe(&stored, here);
    describe(&model, there);
    return rw_fail(RW_ERROR,
                   "the checkpoint is of another model, or of data with another vocabulary: %.100s "
                   "has shape %s there, and %s in the model of this configuration; %s",
                   p->name, here, there, advice);
}

rw_status rw_shapes_check(const rw_checkpoint *checkpoint, rw_config *model,
                          const rw_format *format, const char *advice)
{
    rw_graph *graph = NULL;
    rw_status status = rw_model_graph(model, format, &graph);
    for (int i = 0; status == RW_OK && i < rw_graph_params(graph); i++)
        status = check_param(checkpoint, rw_graph_param_at(graph, i), advice);
    rw_graph_destroy(&graph);
    return status;
}
