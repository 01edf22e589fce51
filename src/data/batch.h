/* The data that a model reads: the contract between the data pipeline and the engine. */
#ifndef RW_BATCH_H
#define RW_BATCH_H

#include <stdint.h>

#include "data/target.h"
#include "tensor/real.h"

/* The format of a token, as input and as target. */
typedef struct {
    int vocab;           /* > 0: token ids 0..vocab-1; 0: real features */
    int features;        /* reals per token where vocab == 0 */
    int target_vocab;    /* > 0: targets are ids (RW_IGNORE: none); 0: reals */
    int target_features; /* reals per target where target_vocab == 0 */
} rw_format;

/* A sequence of `length` tokens, row-major; arrays that the format lacks are NULL. */
typedef struct {
    int32_t *tokens;       /* (length) */
    int32_t *targets;      /* (length), RW_IGNORE where nothing is to be predicted */
    real *features;        /* (length, features) */
    uint8_t *starts;       /* (length), 1 where a document begins; NULL: not wanted */
    real *target_features; /* (length, target_features); NAN in the first: ignored */
} rw_sequence;

/* The part of one step that a rank computes: sequences x rows tokens, row-major. Arrays that the
 * format lacks are NULL. */
typedef struct {
    long sequences;   /* of this rank */
    long rows;        /* tokens of each sequence on this rank */
    int32_t *tokens;  /* (sequences, rows) */
    int32_t *targets; /* (sequences, rows) */
    real *features;   /* (sequences, rows, features) */
    real *target_features;
    uint8_t *starts; /* (sequences, rows), 1 where a document begins; NULL: nowhere */
    long position;   /* in its stream (data.carry), of the first token of each sequence; else 0 */
    int feature_width, target_width; /* reals a token of the last two */
    long counted;                    /* targets that are not ignored */
    double wait_s;                   /* how long the training loop waited for the batch */
} rw_batch;

#endif
