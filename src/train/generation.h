/* Generation, token by token from the recurrent form. Memory does not grow with the length. */
#ifndef RW_GENERATION_H
#define RW_GENERATION_H

#include <stdio.h>

#include "train/saved_model.h"
#include "train/token_choice.h"

typedef struct {
    const char *prompt; /* prompt_size bytes; NULL: a default prompt, see prompt.h */
    size_t prompt_size;
    long tokens; /* tokens to generate after the prompt */
    rw_choice_options choice;
    uint64_t seed;
    long samples; /* continuations, each with its own random numbers: sample i does not depend on
                     the number of samples */
    bool escape; /* write characters that could harm a terminal as \xNN, see base/terminal_text.h */
} rw_generation_options;

/* Writes prompt and continuation to `out` token by token, and a line end after each continuation.
 * With several samples, a line "==> sample I of N <==" comes before each. Not collective. Errors:
 * the tokens are no text, the prompt does not fit the model, scores are not finite, `out` cannot be
 * written. */
rw_status rw_generate(const rw_saved_model *saved, const rw_generation_options *options, FILE *out);

#endif
