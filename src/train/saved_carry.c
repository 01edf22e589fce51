#include "train/saved_carry.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"

/* All ranks that share sequences hold the states; the first of them saves. */
static rw_tensor tensor_of(const rw_carried *carried, const rw_engine *engine,
                           const rw_layout *layout, long batch, const char *name)
{
    rw_range own = rw_engine_sequences(engine);
    if (layout->sp_rank > 0) own.end = own.begin;
    return (rw_tensor){.name = name,
                       .dims = 2,
                       .shape = {(size_t)batch, carried->state},
                       .data = carried->data,
                       .sharded = true,
                       .begin = (size_t)own.begin * carried->state,
                       .end = (size_t)own.end * carried->state};
}

rw_status rw_saved_carry_new(const rw_engine *engine, const rw_layout *layout, long batch,
                             const rw_state *state, rw_saved_carry *out)
{
    const rw_carried *carried;
    memset(out, 0, sizeof *out);
    out->carried = rw_engine_carried(engine, &carried);
    out->count = state->count + out->carried;
    RW_TRY(rw_alloc((size_t)out->count, sizeof *out->tensors, "a checkpoint", &out->tensors));
    RW_TRY(rw_alloc((size_t)out->carried, sizeof *out->names, "a checkpoint", &out->names));
    for (int i = 0; i < state->count; i++) out->tensors[i] = state->tensors[i];
    for (int i = 0; i < out->carried; i++) {
        snprintf(out->names[i], RW_CARRY_NAME, "carry/%s", carried[i].name);
        out->tensors[state->count + i] =
            tensor_of(&carried[i], engine, layout, batch, out->names[i]);
    }
    return RW_OK;
}

void rw_saved_carry_free(rw_saved_carry *saved)
{
    rw_free(&saved->tensors);
    rw_free(&saved->names);
    saved->count = saved->carried = 0;
}

static bool holds(const rw_checkpoint *checkpoint, const rw_tensor *wanted)
{
    for (int i = 0; i < rw_checkpoint_count(checkpoint); i++) {
        rw_tensor t = rw_checkpoint_tensor(checkpoint, i);
        if (strcmp(t.name, wanted->name) == 0)
            return t.dims == 2 && t.shape[0] == wanted->shape[0] && t.shape[1] == wanted->shape[1];
    }
    return false;
}

/* Every rank reads the states of its sequences, also of sequences that another rank saves. */
rw_status rw_saved_carry_read(const rw_saved_carry *saved, const rw_engine *engine,
                              rw_checkpoint *checkpoint)
{
    const rw_tensor *carry = saved->tensors + saved->count - saved->carried;
    long sequences = rw_engine_sequences(engine).end - rw_engine_sequences(engine).begin;
    bool whole = true;
    for (int i = 0; i < saved->carried; i++) whole = whole && holds(checkpoint, &carry[i]);
    if (!whole)
        rw_warn("the checkpoint has no carry of %zu sequences (it was written without data.carry, "
                "or with another data.batch): the streams go on from a zero state",
                carry->shape[0]);
    for (int i = 0; whole && i < saved->carried; i++) {
        rw_tensor mine = carry[i];
        mine.end = mine.begin + (size_t)sequences * mine.shape[1];
        RW_TRY(rw_checkpoint_read(checkpoint, &mine, 1));
    }
    return RW_OK;
}
