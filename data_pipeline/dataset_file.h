/* Reading a dataset file (docs/dataset-format.md): its facts at once, its
 * tokens chunk by chunk, each checked when it is read. Not collective. */
#ifndef RW_DATASET_FILE_H
#define RW_DATASET_FILE_H

#include <stdint.h>

#include "base/status.h"
#include "data_pipeline/dataset_index.h"

#define RW_DATASET_VERSION 1
#define RW_DATASET_CHUNK   262144 /* tokens, one byte each */

typedef struct {
    uint64_t tokens;        /* > 0 */
    uint64_t heldout_begin; /* training: [0, heldout_begin); held out: the rest */
    uint64_t chunks;
    uint64_t content_hash, index_hash;
    int vocab;
    char alphabet[257]; /* letter of each token; "" where tokens are bytes */
} rw_dataset_facts;

typedef struct rw_dataset rw_dataset;

/* Opens the file at `path`; the caller closes *out. Reads the facts and the
 * hashes of the chunks. */
rw_status rw_dataset_open(const char *path, rw_dataset **out);
void rw_dataset_close(rw_dataset **dataset);

const rw_dataset_facts *rw_dataset_describe(const rw_dataset *dataset);
/* The whole index; the caller frees it. */
rw_status rw_dataset_read_index(rw_dataset *dataset, rw_dataset_index *out);

/* Tokens [first, first + count) to `out`, which must lie within the file's.
 * Reads only the chunks that hold them, and keeps the last few. Thread-safe.
 * Errors name file and chunk. */
rw_status rw_dataset_read(rw_dataset *dataset, uint64_t first, uint64_t count, uint8_t *out);

/* XXH3-64 of what the tokens mean besides their values; see the format. */
uint64_t rw_dataset_content_hash(uint64_t token_hash, const char *alphabet, uint64_t heldout_begin);

#endif
