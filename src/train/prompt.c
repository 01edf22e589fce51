#include "train/prompt.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"

static int place_of(const char *alphabet, int letter)
{
    const char *at = letter ? strchr(alphabet, letter) : NULL;
    return at ? (int)(at - alphabet) : -1;
}

static rw_status unknown_letter(const char *alphabet, unsigned char byte, size_t position)
{
    char shown[8];
    if (isgraph(byte))
        snprintf(shown, sizeof shown, "'%c'", byte);
    else
        snprintf(shown, sizeof shown, "\\x%02x", byte);
    return rw_fail(RW_USAGE,
                   "the prompt has %s at position %zu, which is not a letter that the model knows; "
                   "its letters are %s",
                   shown, position, alphabet);
}

/* Lines that the FASTA reader drops, unless the model has their mark as a letter. */
static bool is_comment(const char *alphabet, unsigned char first)
{
    return (first == '>' || first == ';') && place_of(alphabet, first) < 0;
}

static rw_status read_letters(const char *alphabet, const char *text, size_t size, rw_prompt *out)
{
    bool begins_line = true, comment = false;
    for (size_t i = 0; i < size; i++) {
        unsigned char byte = (unsigned char)text[i];
        if (begins_line) comment = is_comment(alphabet, byte);
        begins_line = byte == '\n' || byte == '\r';
        int token = place_of(alphabet, byte);
        if (comment || (token < 0 && isspace(byte))) continue;
        if (token < 0) {
            token = place_of(alphabet, toupper(byte));
            out->folded = true;
        }
        if (token < 0) return unknown_letter(alphabet, byte, i + 1);
        out->tokens[out->count++] = token;
    }
    return RW_OK;
}

static bool is_text(const rw_checkpoint_tokens *tokens)
{
    return strcmp(tokens->kind, "bytes") == 0 || strcmp(tokens->kind, "letters") == 0;
}

rw_status rw_prompt_read(const rw_checkpoint_tokens *tokens, const char *text, size_t size,
                         rw_prompt *out)
{
    *out = (rw_prompt){0};
    if (!is_text(tokens))
        return rw_fail(RW_USAGE,
                       "the model was trained on %s of a task, not on text: there is nothing to "
                       "generate; use a run on a dataset of text or FASTA",
                       tokens->kind);
    if (!text) {
        text = tokens->alphabet[0] ? tokens->alphabet : "\n";
        size = 1;
    }
    RW_TRY(rw_alloc(size, sizeof *out->tokens, "the prompt", &out->tokens));
    if (tokens->alphabet[0])
        RW_TRY(read_letters(tokens->alphabet, text, size, out));
    else
        for (; (size_t)out->count < size; out->count++)
            out->tokens[out->count] = (unsigned char)text[out->count];
    if (out->count == 0)
        return rw_fail(RW_USAGE, "the prompt is empty: give at least one %s, or no --prompt",
                       tokens->alphabet[0] ? "letter" : "character");
    return RW_OK;
}

void rw_prompt_free(rw_prompt *prompt)
{
    rw_free(&prompt->tokens);
}
