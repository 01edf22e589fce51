/* The header of a dataset file (docs/dataset-format.md): the first 1024 bytes. The header describes
 * the contents, the places of the lists, and their hashes. A file is read by its header alone: HDF5
 * never reads a file for ropewalk, so damage cannot reach HDF5. */
#ifndef RW_DATASET_HEADER_H
#define RW_DATASET_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

#define RW_DATASET_VERSION 2
#define RW_DATASET_CHUNK   262144 /* tokens, one byte each */
#define RW_DATASET_HEADER  1024   /* bytes */
#define RW_DATASET_NAME    65536  /* bytes of the name of an input at most */

/* How the held-out part was chosen. */
typedef enum {
    RW_HELDOUT_TAIL,     /* the last tokens */
    RW_HELDOUT_DOCUMENT, /* the last documents, whole */
    RW_HELDOUT_SHUFFLED, /* whole documents, drawn by lot */
    RW_HELDOUT_FILES,    /* held-out inputs */
    RW_HELDOUT_CHOICES,
} rw_heldout_choice;

/* "tail", "document", "shuffled", "files". */
extern const char *const rw_heldout_names[RW_HELDOUT_CHOICES];

/* The lists of a file, in the order of the header. */
typedef enum {
    RW_LIST_DOCUMENTS,
    RW_LIST_HELDOUT,
    RW_LIST_CHUNK_OFFSETS,
    RW_LIST_CHUNK_SIZES,
    RW_LIST_CHUNK_HASHES,
    RW_LIST_SOURCE_NAMES,
    RW_LIST_SOURCE_SIZES,
    RW_LIST_SOURCE_HASHES,
    RW_LIST_SOURCE_DOCUMENTS,
    RW_LIST_SOURCE_HELDOUT,
    RW_DATASET_LISTS,
} rw_list_name;

/* The names of the lists in the file, as HDF5 datasets. */
extern const char *const rw_list_names[RW_DATASET_LISTS];

typedef struct {
    uint64_t offset, bytes; /* in the file */
    uint64_t hash;
} rw_list_extent;

typedef struct {
    uint64_t file_bytes; /* of the whole file */
    uint64_t rest_hash;  /* of all bytes after the header */
    uint64_t tokens;     /* > 0 */
    uint64_t token_hash; /* of all tokens */
    uint64_t content_hash;
    rw_heldout_choice heldout_by;
    double heldout_share; /* 0 to 1 */
    uint64_t seed;        /* seed of a randomly chosen part */
    uint64_t name_bytes;  /* bytes of the name of each source, with its final zero */
    rw_list_extent lists[RW_DATASET_LISTS];
    char alphabet[257]; /* letter of each token; "" where tokens are bytes */
} rw_dataset_header;

/* The header as bytes of the file. */
void rw_dataset_header_write(const rw_dataset_header *header, uint8_t out[RW_DATASET_HEADER]);

/* The inverse. `bytes`: the first `count` bytes of the file at `path`; `file_bytes`: the size of
 * the file. Any difference from the form of rw_dataset_header_write is an error; lists lie within
 * the file. */
rw_status rw_dataset_header_read(const uint8_t *bytes, size_t count, uint64_t file_bytes,
                                 const char *path, rw_dataset_header *out);

/* Does a file with these first bytes claim to be a dataset of ropewalk? */
bool rw_dataset_header_recognise(const uint8_t *bytes, size_t count);

uint64_t rw_dataset_chunks(uint64_t tokens);

/* The fingerprint of the data: the meaning of the tokens in a number. Needs token_hash, alphabet
 * and the hashes of the lists `documents` and `heldout`. */
uint64_t rw_dataset_content_hash(const rw_dataset_header *header);

#endif
