/* Reading a dataset file (docs/dataset-format.md): its index at once, its
 * tokens chunk by chunk. Everything is checked before it is used; see
 * dataset_header.h for what reaches HDF5: nothing. Not collective. */
#ifndef RW_DATASET_FILE_H
#define RW_DATASET_FILE_H

#include <stdint.h>

#include "base/status.h"
#include "data_pipeline/dataset_index.h"

typedef struct {
    uint64_t tokens;  /* > 0 */
    uint64_t heldout; /* tokens that are kept for evaluation; the others are for training */
    uint64_t chunks;
    uint64_t content_hash; /* the fingerprint: tokens, documents, held-out part, alphabet */
    rw_heldout_choice heldout_by;
    double heldout_share;
    uint64_t seed;
    int vocab;
    char alphabet[257]; /* letter of each token; "" where tokens are bytes */
} rw_dataset_facts;

typedef struct rw_dataset rw_dataset;

/* Opens the file at `path`; the caller closes *out. Reads the index and checks
 * all of it, so that damage to it is told here. */
rw_status rw_dataset_open(const char *path, rw_dataset **out);
void rw_dataset_close(rw_dataset **dataset);

/* Owned by the dataset. */
const rw_dataset_facts *rw_dataset_describe(const rw_dataset *dataset);
const rw_dataset_index *rw_dataset_lists(const rw_dataset *dataset);
const rw_dataset_header *rw_dataset_begin(const rw_dataset *dataset);

/* Tokens [first, first + count) to `out`, which must lie within the file's.
 * Reads only the chunks that hold them, checks each when it is read, and keeps
 * the last few. Thread-safe. Errors name file and chunk. */
rw_status rw_dataset_read(rw_dataset *dataset, uint64_t first, uint64_t count, uint8_t *out);

/* The XXH3-64 of all bytes after the header, as they are in the file. */
rw_status rw_dataset_hash_rest(rw_dataset *dataset, uint64_t *out);

#endif
