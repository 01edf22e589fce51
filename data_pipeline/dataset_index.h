/* The index of a dataset: lists that describe its tokens. Shared by builder and reader. */
#ifndef RW_DATASET_INDEX_H
#define RW_DATASET_INDEX_H

#include <hdf5.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "data_pipeline/dataset_header.h"

typedef struct {
    uint64_t begin, end; /* tokens [begin, end) */
} rw_token_range;

typedef struct {
    uint64_t *documents; /* where each begins */
    size_t document_count, document_capacity;
    rw_token_range *heldout; /* in order, neither empty nor touching */
    size_t heldout_count, heldout_capacity;
    /* For each chunk: place and bytes of its frame in the file, and the XXH3-64 of its tokens,
     * padding included. */
    uint64_t *chunk_offsets, *chunk_sizes, *chunk_hashes;
    size_t chunk_count, chunk_capacity; /* the capacity of chunk_hashes */
    char *source_names;                 /* source_count strings of name_bytes each */
    size_t source_count, name_bytes;
    uint64_t *source_sizes, *source_hashes; /* of the input files, as on disk */
    uint64_t *source_documents;             /* the first document of each */
    uint64_t *source_heldout;               /* 1: an input of held-out files */
} rw_dataset_index;

/* Writes the lists as HDF5 datasets, and their places and hashes into header->lists. HDF5 lock
 * held. */
rw_status rw_dataset_index_write(const rw_dataset_index *index, hid_t file, const char *path,
                                 rw_dataset_header *header);

/* Reads the lists of the open file `descriptor`, whose header has been checked. Checks their hashes
 * and all properties that readers rely on. The caller frees *out. */
rw_status rw_dataset_index_read(int descriptor, const char *path, const rw_dataset_header *header,
                                rw_dataset_index *out);

/* The tokens of source `source`: the tokens of its documents. */
rw_token_range rw_dataset_index_source(const rw_dataset_index *index, size_t source,
                                       uint64_t tokens);
const char *rw_dataset_index_name(const rw_dataset_index *index, size_t source);
uint64_t rw_dataset_index_heldout(const rw_dataset_index *index); /* tokens */

void rw_dataset_index_free(rw_dataset_index *index);

#endif
