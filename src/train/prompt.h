/* The tokens of a prompt, as `ropewalk data build` makes them from the same text. */
#ifndef RW_PROMPT_H
#define RW_PROMPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "checkpoints/checkpoint.h"

typedef struct {
    int32_t *tokens;
    long count;
    bool folded; /* lower-case letters were taken as upper-case ones */
} rw_prompt;

/* The tokens of `size` bytes of text. For a model of bytes, each byte is a token. For letters,
 * white space and lines that begin with > or ; are dropped and lower case becomes upper case.
 * `text` NULL: a default prompt, a line end or the first letter. The caller frees *out with
 * rw_prompt_free, also after an error. Not collective. Errors (RW_USAGE): tokens that are no text;
 * a letter that the model does not know, with its position; no token at all. */
rw_status rw_prompt_read(const rw_checkpoint_tokens *tokens, const char *text, size_t size,
                         rw_prompt *out);
void rw_prompt_free(rw_prompt *prompt);

#endif
