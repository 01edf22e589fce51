/* Reading a dataset file (docs/dataset-format.md): the index at once, tokens chunk by chunk. All
 * data are checked before use; HDF5 reads no part of the file (dataset_header.h). Not collective.
 */
#ifndef RW_DATASET_FILE_H
#define RW_DATASET_FILE_H

#include <stdint.h>

#include "base/status.h"
#include "data_pipeline/dataset_index.h"

typedef struct {
    uint64_t tokens;  /* > 0 */
    uint64_t heldout; /* held-out tokens, for evaluation; the others are for training */
    uint64_t chunks;
    uint64_t content_hash; /* the fingerprint: tokens, documents, held-out part, alphabet */
    rw_heldout_choice heldout_by;
    double heldout_share;
    uint64_t seed;
    int vocab;
    char alphabet[257]; /* letter of each token; "" where tokens are bytes */
} rw_dataset_facts;

typedef struct rw_dataset rw_dataset;

/* Opens the file at `path`; the caller closes *out. Reads and checks the whole index, so that its
 * damage is reported here. */
rw_status rw_dataset_open(const char *path, rw_dataset **out);
void rw_dataset_close(rw_dataset **dataset);

/* Owned by the dataset. */
const rw_dataset_facts *rw_dataset_describe(const rw_dataset *dataset);
const rw_dataset_index *rw_dataset_lists(const rw_dataset *dataset);
const rw_dataset_header *rw_dataset_begin(const rw_dataset *dataset);

/* Tokens [first, first + count) of the file to `out`. Reads only the chunks that hold them, checks
 * each chunk when it is read, and keeps the last few. Thread-safe. Errors name file and chunk. */
rw_status rw_dataset_read(rw_dataset *dataset, uint64_t first, uint64_t count, uint8_t *out);

/* The XXH3-64 of all bytes after the header, as stored. */
rw_status rw_dataset_hash_rest(rw_dataset *dataset, uint64_t *out);

#endif
