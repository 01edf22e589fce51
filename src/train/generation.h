/* Generation: one token at a time from the recurrent form, in memory that does
 * not grow with the length. */
#ifndef RW_GENERATION_H
#define RW_GENERATION_H

#include <stdio.h>

#include "train/saved_model.h"
#include "train/token_choice.h"

typedef struct {
    const char *prompt; /* prompt_size bytes; NULL: one that suits the model, see prompt.h */
    size_t prompt_size;
    long tokens; /* to generate after it */
    rw_choice_options choice;
    uint64_t seed;
    long samples; /* continuations, each with random numbers of its own: sample i is the
                     same whatever their number */
    bool escape;  /* write what could harm a terminal as \xNN, see base/terminal_text.h */
} rw_generation_options;

/* Writes prompt and continuation to `out` as it goes, a line end after each; several
 * samples have a line "==> sample I of N <==" before each. Not collective. Errors: the
 * tokens are no text, the prompt does not fit the model, scores are not finite, `out`
 * cannot be written. */
rw_status rw_generate(const rw_saved_model *saved, const rw_generation_options *options, FILE *out);

#endif
