/* FASTA: each record a document of upper-case letters; header lines (>),
 * comment lines (;) and white space are dropped. */
#include <ctype.h>
#include <string.h>

#include "base/memory.h"
#include "data_pipeline/reader.h"

#define BUFFER_BYTES (128 * 1024)

const char rw_fasta_letters[] = "ACGTN"
                                "URYSWKMBDHV"
                                "EFIJLOPQXZ"
                                "*-";

typedef struct {
    const char *path;
    const rw_token_sink *sink;
    unsigned long long number; /* of the line, from 1 */
    bool at_line_start, in_header, in_record;
    uint8_t *letters; /* of the buffer in hand */
    size_t used;
} fasta_state;

static bool is_letter(uint8_t byte)
{
    return byte != '\0' && strchr(rw_fasta_letters, toupper(byte)) != NULL;
}

static bool recognise(const uint8_t *head, size_t bytes)
{
    if (bytes < 2 || head[0] != '>') return false;
    const uint8_t *end = memchr(head, '\n', bytes);
    if (!end) return false;
    size_t letters = 0;
    for (const uint8_t *c = end + 1; c < head + bytes && *c != '\n' && *c != '\r'; c++, letters++)
        if (!is_letter(*c)) return false;
    return letters > 0;
}

static rw_status flush(fasta_state *state)
{
    size_t count = state->used;
    state->used = 0;
    return state->sink->append(state->sink->context, state->letters, count);
}

static rw_status begin_line(fasta_state *state, uint8_t byte)
{
    state->at_line_start = false;
    state->in_header = byte == '>' || byte == ';';
    if (byte != '>') return RW_OK;
    RW_TRY(flush(state)); /* belongs to the record before */
    state->in_record = true;
    return state->sink->begin_document(state->sink->context);
}

static rw_status take_byte(fasta_state *state, uint8_t byte)
{
    if (byte == '\n') {
        state->at_line_start = true;
        state->in_header = false;
        state->number++;
        return RW_OK;
    }
    if (state->at_line_start) RW_TRY(begin_line(state, byte));
    if (state->in_header || isspace(byte)) return RW_OK;
    if (!state->in_record)
        return rw_fail(RW_ERROR,
                       "%s:%llu: not FASTA: sequence letters before the first header "
                       "line (>); choose another --format",
                       state->path, state->number);
    if (!is_letter(byte))
        return rw_fail(RW_ERROR,
                       isprint(byte) ? "%s:%llu: '%c' is not a sequence letter (%s)"
                                     : "%s:%llu: byte 0x%02x is not a sequence letter (%s)",
                       state->path, state->number, byte, rw_fasta_letters);
    state->letters[state->used++] = (uint8_t)toupper(byte);
    return RW_OK;
}

static rw_status read_fasta(rw_input *input, const char *field, const rw_token_sink *sink)
{
    (void)field;
    rw_status status;
    uint8_t *buffer = NULL;
    size_t got;
    fasta_state state = {
        .path = rw_input_path(input), .sink = sink, .number = 1, .at_line_start = true};
    RW_TRY_DONE(rw_alloc(BUFFER_BYTES, 1, "a FASTA buffer", &buffer));
    RW_TRY_DONE(rw_alloc(BUFFER_BYTES, 1, "a buffer of letters", &state.letters));
    do {
        RW_TRY_DONE(rw_input_read(input, buffer, BUFFER_BYTES, &got));
        for (size_t i = 0; i < got; i++) RW_TRY_DONE(take_byte(&state, buffer[i]));
        RW_TRY_DONE(flush(&state));
    } while (got > 0);
done:
    rw_free(&state.letters);
    rw_free(&buffer);
    return status;
}

const rw_reader rw_reader_fasta = {
    .name = "fasta",
    .extensions = " .fa .fas .fasta .fna .ffn .frn .faa ",
    .letters = true,
    .recognise = recognise,
    .read = read_fasta,
};
