/* The choice of held-out tokens of a dataset, for evaluation. */
#ifndef RW_HELDOUT_H
#define RW_HELDOUT_H

#include "data_pipeline/dataset_index.h"

typedef struct {
    rw_heldout_choice by;
    double share;  /* of the tokens: 0 none, 1 all; of RW_HELDOUT_FILES no matter */
    uint64_t seed; /* of RW_HELDOUT_SHUFFLED */
} rw_heldout_rule;

/* The choice with the name `name`; RW_USAGE for an unknown name. */
rw_status rw_heldout_find(const char *name, rw_heldout_choice *out);

/* Fills index->heldout, as the rule says, from the documents and sources of the
 * index; `path` is for messages. A function of the arguments alone.
 *
 *   tail       the last floor(tokens x share) tokens
 *   document   whole documents at the end, as near to the share as they come
 *   shuffled   whole documents in the order of a permutation keyed by the seed,
 *              as near to the share as they come
 *   files      the documents of the sources that are marked as held out
 *
 * Errors: RW_USAGE where whole documents are wanted and there is only one. */
rw_status rw_heldout_choose(const rw_heldout_rule *rule, uint64_t tokens, const char *path,
                            rw_dataset_index *index);

#endif
