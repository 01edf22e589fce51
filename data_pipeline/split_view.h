/* A part of a dataset as one row of tokens: the training part, the held-out
 * part, or all. The part may lie in several ranges of the file, which follow one
 * another in the view without a gap.
 *
 *   file   |  range 0  |.......|  range 1  |....|range 2|
 *   view   |  range 0  |  range 1  |range 2|              place 0, 1 ... tokens - 1
 */
#ifndef RW_SPLIT_VIEW_H
#define RW_SPLIT_VIEW_H

#include <stdbool.h>

#include "data_pipeline/dataset_file.h"

typedef enum { RW_PART_TRAINING, RW_PART_HELDOUT, RW_PART_ALL } rw_part;

typedef struct {
    rw_dataset *dataset; /* borrowed */
    bool documents;      /* documents count: no prediction across them */
    rw_token_range *ranges;
    uint64_t *places; /* of the first token of each range */
    size_t count, capacity, place_capacity;
    uint64_t tokens;
} rw_split_view;

/* Borrows the dataset. The caller frees *out. */
rw_status rw_split_view_make(rw_dataset *dataset, rw_part part, bool documents, rw_split_view *out);
void rw_split_view_free(rw_split_view *view);

/* Tokens at places [first, first + count), which must be in the view. */
rw_status rw_split_view_read(const rw_split_view *view, uint64_t first, uint64_t count,
                             uint8_t *out);

/* Calls `visit` with each place in [first, last] where a document begins, in order; never if
 * documents do not count. A place may come twice, for an empty document. */
void rw_split_view_documents(const rw_split_view *view, uint64_t first, uint64_t last,
                             void (*visit)(void *context, uint64_t place), void *context);

/* Number of tokens predicted from the token before: all tokens except the first of the view and of
 * each document. */
uint64_t rw_split_view_targets(const rw_split_view *view);

#endif
