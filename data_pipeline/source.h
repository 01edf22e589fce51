/* Where sequences come from: a dataset file or a generated task, behind one
 * interface. Sequence `index` of a split is the same for everybody, and is a
 * function of (seed, index) alone: not of the layout, not of what was read
 * before. Training step k of batch B uses the indices k B ... k B + B - 1. */
#ifndef RW_SOURCE_H
#define RW_SOURCE_H

#include <mpi.h>

#include "base/config.h"
#include "data_pipeline/task.h"

typedef struct rw_source rw_source;

typedef enum { RW_TRAIN, RW_HELDOUT } rw_split_name;

/* Opens what the mapping `data` of the configuration names (keys dataset or
 * task, length, batch, carry; tables in rw_data_keys). Relative paths are as given,
 * from the working directory. Not collective; reads the index of the file only.
 * Errors: missing or truncated file, no room for one sequence of `length`. */
rw_status rw_source_open(const rw_config *data, uint64_t seed, rw_source **out);
void rw_source_close(rw_source **source);
extern const rw_key rw_data_keys[];

/* Which part of a dataset the split RW_HELDOUT is: the part that was held out
 * when it was built, or all of its tokens. Tasks have no parts. */
typedef enum { RW_EVALUATE_HELDOUT, RW_EVALUATE_ALL } rw_evaluated_part;

/* The same for evaluation and generation alone: the dataset needs no training
 * tokens, `length` may be longer than the dataset, and RW_TRAIN may not be read.
 * Errors besides those of rw_source_open: the part has no token to predict. */
rw_status rw_source_open_to_evaluate(const rw_config *data, uint64_t seed, rw_evaluated_part part,
                                     rw_source **out);

/* Numbers the tokens of a dataset as a model does that was trained with
 * `alphabet` (NULL: bytes): each letter becomes its place in that alphabet.
 * Changes the format. Errors: the dataset has a letter that the alphabet lacks,
 * or one of the two is bytes and the other letters. A task: nothing happens.
 * To be called before anything is read. */
rw_status rw_source_set_alphabet(rw_source *source, const char *alphabet);

const rw_format *rw_source_format(const rw_source *source);
/* Of a task: its name; of a dataset: its path. */
const char *rw_source_name(const rw_source *source);
/* True where tokens are bytes of text, so that bits per byte make sense. */
bool rw_source_is_bytes(const rw_source *source);
/* How a token is shown to people: a dataset's alphabet (256 entries at most,
 * e.g. "ACGTN" for FASTA), or NULL for bytes and tasks. */
const char *rw_source_alphabet(const rw_source *source);
/* Do boundaries that nothing may cross lie in sequences: of several documents, or
 * of the streams of data.carry? */
bool rw_source_has_documents(const rw_source *source);
/* A fingerprint of the data (content hash of a dataset, configuration of a task). */
uint64_t rw_source_fingerprint(const rw_source *source);
/* Fails on all ranks if a rank reads other data (a stale copy on one host), naming the host.
 * Collective over comm. */
rw_status rw_source_compare(const rw_source *source, MPI_Comm comm);
/* Number of distinct sequences in one pass over the held-out split; 0: unlimited
 * (a task), or none are held out (a dataset). */
uint64_t rw_source_heldout_count(const rw_source *source);
/* Number of targets in one pass over the held-out split: what a mean over it
 * divides by. 0: there is nothing to evaluate on. A task: UINT64_MAX. */
uint64_t rw_source_heldout_targets(const rw_source *source);

/* May tokens of the split RW_HELDOUT have been trained on, by a run whose data
 * had the fingerprint `trained`? */
typedef enum {
    RW_OVERLAP_NONE,     /* the same data and split: held out then as now; or a task */
    RW_OVERLAP_POSSIBLE, /* other data, or the same text with another split */
    RW_OVERLAP_CERTAIN,  /* the run's data, all of it: its training tokens are among them */
} rw_overlap;
rw_overlap rw_source_overlap(const rw_source *source, uint64_t trained);
/* Tokens of the training split (datasets), 0 for tasks. */
uint64_t rw_source_tokens(const rw_source *source);

/* How many tokens of its stream (data.carry) are before sequence `index`; else 0. */
uint64_t rw_source_position(const rw_source *source, rw_split_name split, uint64_t index);

/* Writes tokens [first, first + count) of sequence `index`, and their targets,
 * to `out` (arrays of count rows). Reads no more than that part from disk.
 * RW_TRAIN: order is a keyed permutation per pass; window starts shift from
 * pass to pass. With data.carry, sequence i goes on where sequence i - batch ended,
 * until the pass is over (stream_sampler.h). RW_HELDOUT: consecutive windows in file order; the
 * last may be short, what is beyond the end is token 0 with target RW_IGNORE. Thread-safe against
 * other rw_ calls (takes the HDF5 lock). */
rw_status rw_source_read(rw_source *source, rw_split_name split, uint64_t index, long first,
                         long count, rw_sequence *out);

#endif
