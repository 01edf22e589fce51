/* Writing a dataset file (docs/dataset-format.md): under a temporary name (dataset_draft.h),
 * renamed when it is whole and on disk. Not collective. */
#ifndef RW_DATASET_WRITER_H
#define RW_DATASET_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "data_pipeline/heldout.h"

typedef struct rw_dataset_writer rw_dataset_writer;

/* Begins the file for `path`. alphabet: the letters to be appended; a letter becomes its place in
 * this string; NULL: any bytes. sources: names of the `count` inputs. The caller owns *out;
 * destroying an unfinished writer leaves no file. */
rw_status rw_dataset_writer_new(const char *path, const char *alphabet, const char *const *sources,
                                int count, rw_dataset_writer **out);
void rw_dataset_writer_destroy(rw_dataset_writer **writer);

/* Begins the tokens of an input. Inputs come in their order. heldout: its tokens are held out, with
 * RW_HELDOUT_FILES. */
void rw_dataset_writer_begin_source(rw_dataset_writer *writer, int source, bool heldout);
/* Begins the next document. */
rw_status rw_dataset_writer_begin_document(rw_dataset_writer *writer);
rw_status rw_dataset_writer_append(rw_dataset_writer *writer, const uint8_t *bytes, size_t count);
/* Size and XXH3-64 of an input, as it was on disk. */
void rw_dataset_writer_set_source(rw_dataset_writer *writer, int source, uint64_t size,
                                  uint64_t hash);
uint64_t rw_dataset_writer_tokens(const rw_dataset_writer *writer);

/* Completes the draft: applies the held-out rule, brings the file to the device, reads it back and
 * checks it. A file without tokens is an error. */
rw_status rw_dataset_writer_finish(rw_dataset_writer *writer, const rw_heldout_rule *rule);
/* Gives the complete draft its name. */
rw_status rw_dataset_writer_publish(rw_dataset_writer *writer);

#endif
