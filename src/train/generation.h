/* Generation: one token at a time from the recurrent form, in memory that does
 * not grow with the length. */
#ifndef RW_GENERATION_H
#define RW_GENERATION_H

#include <stdio.h>

#include "train/saved_model.h"

typedef struct {
    const char *prompt; /* text in the data's alphabet */
    long tokens;        /* to generate after it */
    double temperature; /* 0: always the likeliest */
    int top_k;          /* choose among the k likeliest; 0: among all */
    uint64_t seed;
} rw_generation_options;

/* Writes prompt and continuation to `out` as it goes. Not collective. Errors:
 * the data is not tokens that can be shown, or the prompt holds a character
 * that the alphabet lacks. */
rw_status rw_generate(const rw_saved_model *saved, const rw_generation_options *options, FILE *out);

#endif
