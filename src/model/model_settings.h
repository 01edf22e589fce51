/* The mapping `model` of a configuration: its keys, the keys of its blocks, and comparison of two
 * models. Not collective. */
#ifndef RW_MODEL_SETTINGS_H
#define RW_MODEL_SETTINGS_H

#include "base/config_compare.h"
#include "data/batch.h"

/* Keys of `model`: width, chunk, tie_embeddings, repeat, blocks, dropout, norm, objective. */
extern const rw_key rw_model_keys[];
/* Keys of every block with a mixer; with an mlp. */
extern const rw_key rw_mixer_block_keys[], rw_mlp_block_keys[];

/* Checks the mapping and each of its blocks, and fills in all defaults. RW_USAGE, naming the
 * key. */
rw_status rw_model_check(rw_config *model);

/* Appends the differences between two mappings `model` that rw_model_check has accepted. A
 * difference that is not neutral changes the function that the weights compute. Both mappings are
 * altered: pass copies. `format`: of the data; `objective: auto` depends on the format. */
rw_status rw_model_compare(rw_config *old, rw_config *now, const rw_format *format,
                           rw_changes *out);

#endif
