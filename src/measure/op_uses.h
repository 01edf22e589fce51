/* The ops to measure, each in its first use: in blocks of the mixers and mlps with their defaults,
 * or in the op's own sample. */
#ifndef RW_OP_USES_H
#define RW_OP_USES_H

#include "model/model.h"

typedef struct {
    const rw_op *op;
    const rw_model *model; /* node `node` of the model is the use */
    int node;
    const char *where; /* mixer, "mlp" or "sample" */
} rw_op_use;

typedef struct {
    rw_op_use *use;
    rw_model **models; /* owned */
    const char **where;
    size_t count, capacity, model_count, model_capacity, where_capacity;
} rw_op_uses;

/* All ops of the registry, in its order. Mixers that do not fit the width are left out. Not
 * collective; to be freed, also after an error. */
rw_status rw_op_uses_new(int width, int chunk, rw_op_uses *out);
void rw_op_uses_free(rw_op_uses *uses);

#endif
