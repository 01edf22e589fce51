/* The source of sequences: a dataset file or a generated task, with one interface. Sequence `index`
 * of a split is the same for every rank, a function of (seed, index) alone: it depends neither on
 * the layout nor on earlier reads. Training step k of batch B uses the indices k B ... k B + B - 1.
 */
#ifndef RW_SOURCE_H
#define RW_SOURCE_H

#include <mpi.h>

#include "base/config.h"
#include "data_pipeline/task.h"

typedef struct rw_source rw_source;

typedef enum { RW_TRAIN, RW_HELDOUT } rw_split_name;

/* Opens the data of the mapping `data` of the configuration (keys dataset or task, length, batch,
 * carry; tables in rw_data_keys). Relative paths are as given, from the working directory. Not
 * collective; reads only the index of the file. Errors: missing or truncated file, no room for a
 * sequence of `length`. */
rw_status rw_source_open(const rw_config *data, uint64_t seed, rw_source **out);
void rw_source_close(rw_source **source);
extern const rw_key rw_data_keys[];
extern const rw_key rw_task_keys[]; /* of every task: name */

/* The part of a dataset in the split RW_HELDOUT: the tokens held out at the build, or all tokens.
 * Tasks have no parts. */
typedef enum { RW_EVALUATE_HELDOUT, RW_EVALUATE_ALL } rw_evaluated_part;

/* The same for evaluation and generation alone: the dataset needs no training
 * tokens, `length` may be longer than the dataset, and RW_TRAIN may not be read.
 * Errors besides those of rw_source_open: the part has no token to predict. */
rw_status rw_source_open_to_evaluate(const rw_config *data, uint64_t seed, rw_evaluated_part part,
                                     rw_source **out);

/* Numbers the tokens of a dataset like a model trained with `alphabet` (NULL: bytes): each letter
 * becomes its place in the alphabet. Changes the format. Errors: the dataset has a letter that the
 * alphabet lacks, or one of the two is bytes and the other letters. A task: does nothing. Call
 * before any reading. */
rw_status rw_source_set_alphabet(rw_source *source, const char *alphabet);

const rw_format *rw_source_format(const rw_source *source);
/* The name of a task; the path of a dataset. */
const char *rw_source_name(const rw_source *source);
/* True if tokens are bytes of text, so that bits per byte make sense. */
bool rw_source_is_bytes(const rw_source *source);
/* How a token is shown to people: a dataset's alphabet (256 entries at most,
 * e.g. "ACGTN" for FASTA), or NULL for bytes and tasks. */
const char *rw_source_alphabet(const rw_source *source);
/* Do sequences hold boundaries that no state may cross: of documents, or of the streams of
 * data.carry? */
bool rw_source_has_documents(const rw_source *source);
/* A fingerprint of the data (content hash of a dataset, configuration of a task). */
uint64_t rw_source_fingerprint(const rw_source *source);
/* Fails on all ranks if a rank reads other data (a stale copy on one host), and names the host.
 * Collective over comm. */
rw_status rw_source_compare(const rw_source *source, MPI_Comm comm);
/* Number of distinct sequences in a pass over the held-out split; 0: unlimited (a task), or no
 * held-out tokens (a dataset). */
uint64_t rw_source_heldout_count(const rw_source *source);
/* Number of targets in a pass over the held-out split: the divisor of a mean. 0: nothing to
 * evaluate. A task: UINT64_MAX. */
uint64_t rw_source_heldout_targets(const rw_source *source);

/* May a run with data of the fingerprint `trained` have trained on tokens of the split RW_HELDOUT?
 */
typedef enum {
    RW_OVERLAP_NONE,     /* the same data and split: held out then as now; or a task */
    RW_OVERLAP_POSSIBLE, /* other data, or the same text with another split */
    RW_OVERLAP_CERTAIN,  /* all data of the run, with its training tokens */
} rw_overlap;
rw_overlap rw_source_overlap(const rw_source *source, uint64_t trained);
/* Tokens of the training split (datasets), 0 for tasks. */
uint64_t rw_source_tokens(const rw_source *source);

/* Tokens of the stream (data.carry) before sequence `index`; else 0. */
uint64_t rw_source_position(const rw_source *source, rw_split_name split, uint64_t index);

/* Writes tokens [first, first + count) of sequence `index`, and their targets, to `out` (arrays of
 * count rows). Reads only this part from disk. RW_TRAIN: the order is a keyed permutation for each
 * pass; window starts shift from pass to pass. With data.carry, sequence i continues sequence i -
 * batch, until the pass is over (stream_sampler.h). RW_HELDOUT: consecutive windows in file order;
 * the last window may be short: after its end the token is 0 with target RW_IGNORE. Thread-safe
 * against other rw_ calls (takes the HDF5 lock). */
rw_status rw_source_read(rw_source *source, rw_split_name split, uint64_t index, long first,
                         long count, rw_sequence *out);

#endif
