/* The dataset file: HDF5 with zstd chunks. docs/dataset-format.md is its
 * specification. */
#ifndef RW_DATASET_H
#define RW_DATASET_H

#include <stdint.h>
#include <stdio.h>

#include "base/status.h"

typedef struct {
    const char *format; /* "auto", "text", "jsonl", "fasta" */
    double heldout;     /* share of the tokens kept for evaluation (0.1) */
    const char *field;  /* jsonl: the field that holds the text ("text") */
} rw_dataset_options;

/* Builds `path` from the inputs (plain, .gz or .zst, told by content), with a
 * progress line. Atomic: written to a temporary name, renamed when whole.
 * Not collective (one rank). */
rw_status rw_dataset_build(const char *path, const char *const *inputs, int count,
                           const rw_dataset_options *options);
/* Prints what is in the file. */
rw_status rw_dataset_info(const char *path, FILE *out);
/* Reads everything, checks every checksum and hash; names what is damaged. */
rw_status rw_dataset_verify(const char *path, FILE *out);

#endif
