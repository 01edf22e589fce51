#include "data_pipeline/dataset_twins.h"

#include <stdbool.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/memory.h"

/* An input, as on disk. */
typedef struct {
    uint64_t hash, size;
    size_t place;
} input;

static int compare_contents(const void *a, const void *b)
{
    const input *x = a, *y = b;
    if (x->hash != y->hash) return x->hash < y->hash ? -1 : 1;
    if (x->size != y->size) return x->size < y->size ? -1 : 1;
    return x->place < y->place ? -1 : x->place > y->place;
}

static bool are_twins(const input *a, const input *b)
{
    return a->size > 0 && a->size == b->size && a->hash == b->hash;
}

static void tell(const rw_dataset_index *index, const input *sorted)
{
    const input *first = NULL;
    size_t twins = 0;
    for (size_t i = 1; i < index->source_count; i++) {
        if (!are_twins(&sorted[i - 1], &sorted[i])) continue;
        if (!twins++) first = &sorted[i - 1];
    }
    if (!twins) return;
    rw_warn(
        "%s and %s hold the same bytes (%zu such input%s): their tokens are in the dataset more "
        "than once, and held-out tokens may be trained on",
        rw_dataset_index_name(index, first[0].place), rw_dataset_index_name(index, first[1].place),
        twins, twins == 1 ? "" : "s");
}

rw_status rw_dataset_tell_twins(const rw_dataset_index *index)
{
    input *sorted;
    size_t count = index->source_count;
    RW_TRY(rw_alloc(count, sizeof *sorted, "the inputs of a dataset", &sorted));
    for (size_t i = 0; i < count; i++)
        sorted[i] = (input){index->source_hashes[i], index->source_sizes[i], i};
    if (count > 1) qsort(sorted, count, sizeof *sorted, compare_contents);
    tell(index, sorted);
    rw_free(&sorted);
    return RW_OK;
}
