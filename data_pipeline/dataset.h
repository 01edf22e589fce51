/* The dataset file: HDF5 with zstd chunks. docs/dataset-format.md is its
 * specification. */
#ifndef RW_DATASET_H
#define RW_DATASET_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/status.h"

typedef struct {
    const char *format; /* "auto", "text", "jsonl", "fasta", "bytes" */
    double heldout;     /* share of the tokens kept for evaluation, 0 to 1 */
    const char *field;  /* jsonl: the field with the text ("text"); "a.b": field b of field a */
    bool skip_bad;      /* leave out bad lines of jsonl and bad letters of fasta, and tell */

    const char *heldout_by; /* "tail" (or NULL), "document" or "shuffled" */
    uint64_t seed;          /* of "shuffled" */
    /* Asked for; otherwise append keeps those of the file. */
    bool heldout_given, seed_given;

    const char *const *heldout_files; /* inputs whose tokens are all held out */
    int heldout_file_count;
    const char *files_from; /* a file with names of further inputs, "-": standard input; or NULL */
    bool null;              /* the names in the list end with zero bytes, not with lines */

    bool replace; /* replace an existing file */
    bool append; /* append the inputs to the dataset at the path, if there is one; its held-out part
                    is chosen anew, by the old rule unless another is given */
} rw_dataset_options;

/* Builds `path` from the inputs (files, pipes, "-"; plain, gzip, bzip2, xz or zstd, detected by
 * content; folders: all files in them), with a progress line, and a line for each input. Atomic:
 * written to a temporary name, read back, and renamed when whole. An existing file at `path` is
 * kept unless options say otherwise. Not collective (one rank). */
rw_status rw_dataset_build(const char *path, const char *const *inputs, int count,
                           const rw_dataset_options *options);
/* Prints the contents of the file. */
rw_status rw_dataset_info(const char *path, FILE *out);
/* Reads the whole file, checks every checksum and hash, and names damaged parts. */
rw_status rw_dataset_verify(const char *path, FILE *out);

#endif
