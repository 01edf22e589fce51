/* The index of a dataset: everything in the file but the tokens. Builder and
 * reader share it, and so does the hash that protects it. */
#ifndef RW_DATASET_INDEX_H
#define RW_DATASET_INDEX_H

#include <hdf5.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef struct {
    uint64_t *documents; /* where each begins */
    size_t document_count, document_capacity;
    uint64_t *chunk_hashes; /* XXH3-64 of each chunk, its padding included */
    size_t chunk_count, chunk_capacity;
    char *source_names; /* source_count strings of name_bytes each */
    size_t source_count, name_bytes;
    uint64_t *source_sizes, *source_hashes; /* of the input files as they were on disk */
} rw_dataset_index;

/* HDF5 lock held. The caller frees *out. */
rw_status rw_dataset_index_write(const rw_dataset_index *index, hid_t file, const char *path);
rw_status rw_dataset_index_read(hid_t file, const char *path, rw_dataset_index *out);

/* XXH3-64 of all lists one after another, as they are stored. */
uint64_t rw_dataset_index_hash(const rw_dataset_index *index);
void rw_dataset_index_free(rw_dataset_index *index);

#endif
