/* FASTA: each record a document of upper-case letters; header lines (>),
 * comment lines (;) and white space are dropped. */
#include <ctype.h>
#include <string.h>

#include "base/memory.h"
#include "data_pipeline/reader.h"
#include "data_pipeline/signature.h"

#define BUFFER_BYTES (128 * 1024)

const char rw_fasta_letters[] = "ACGTN"
                                "URYSWKMBDHV"
                                "EFIJLOPQXZ"
                                "*-";

typedef struct {
    rw_reader_line place;
    const rw_token_sink *sink;
    bool at_line_start, in_header, in_record;
    bool after_cr;    /* a line feed belongs to the line before */
    bool line_noted;  /* as a bad one */
    bool has_letters; /* the document in hand */
    bool splits;      /* letters were left out: the next letter begins a document */
    int mark;         /* bytes of a byte order mark so far */
    uint8_t *letters; /* of the buffer in hand */
    size_t used;
} fasta_state;

static bool is_letter(uint8_t byte)
{
    return byte != '\0' && strchr(rw_fasta_letters, toupper(byte)) != NULL;
}

/* The look of a line without header mark: letters; a single other word, perhaps a sequence with a
 * bad letter; or words, as in a text. */
typedef enum { SEQUENCE, ONE_WORD, WORDS } line_kind;

/* Nucleotides may stand in blocks. */
static line_kind kind_of(const uint8_t *line, size_t count)
{
    bool letters = true, nucleotides = true, words = false;
    while (count > 0 && isspace(line[count - 1])) count--;
    for (size_t i = 0; i < count; i++) {
        words = words || isspace(line[i]);
        letters = letters && (is_letter(line[i]) || isspace(line[i]));
        nucleotides = nucleotides && (strchr("ACGTUN", toupper(line[i])) || isspace(line[i]));
    }
    if (words && !nucleotides) return WORDS;
    return letters ? SEQUENCE : ONE_WORD;
}

/* Begins with a header, after blank and comment lines at most, and most other
 * lines are sequences: a bad letter makes no text of a genome. */
static bool recognise(const uint8_t *head, size_t bytes)
{
    bool header = false, begins_well = false;
    size_t counts[3] = {0}, lines = 0;
    for (size_t at = rw_signature_mark_bytes(head, bytes); at < bytes; at++) {
        size_t begin = at;
        while (at < bytes && head[at] != '\n' && head[at] != '\r') at++;
        while (begin < at && isspace(head[begin])) begin++;
        if (begin == at || head[begin] == ';') continue;
        if (head[begin] == '>') {
            header = true;
            continue;
        }
        line_kind kind = kind_of(head + begin, at - begin);
        if (!header) return false;
        if (lines++ == 0) begins_well = kind == SEQUENCE;
        counts[kind]++;
    }
    return counts[SEQUENCE] > 9 * counts[WORDS] &&
           counts[SEQUENCE] >= (begins_well ? 1 : 4) * counts[ONE_WORD];
}

static rw_status flush(fasta_state *state)
{
    size_t count = state->used;
    state->used = 0;
    return state->sink->append(state->sink->context, state->letters, count);
}

static rw_status begin_document(fasta_state *state)
{
    RW_TRY(flush(state)); /* belongs to the document before */
    state->in_record = true;
    state->has_letters = state->splits = false;
    return state->sink->begin_document(state->sink->context);
}

static rw_status begin_line(fasta_state *state, uint8_t byte)
{
    state->at_line_start = false;
    state->in_header = byte == '>' || byte == ';';
    return byte == '>' ? begin_document(state) : RW_OK;
}

/* LF, CRLF or CR. */
static void end_line(fasta_state *state, uint8_t byte)
{
    bool feed_of_cr = byte == '\n' && state->after_cr;
    state->after_cr = byte == '\r';
    if (feed_of_cr) return;
    state->at_line_start = true;
    state->in_header = state->line_noted = false;
    state->place.number++;
}

/* Is the byte part of a byte order mark? Each line may begin with a mark: files with marks may be
 * concatenated. */
static bool take_mark(fasta_state *state, uint8_t byte)
{
    static const uint8_t mark[] = {0xef, 0xbb, 0xbf};
    if (!state->at_line_start || byte != mark[state->mark]) return false;
    state->mark = (state->mark + 1) % 3;
    return true;
}

/* A letter that is left out ends the document: its neighbours were not neighbours in the input. */
static rw_status bad_letter(fasta_state *state, uint8_t byte)
{
    bool noted = state->line_noted;
    state->line_noted = true;
    state->splits = state->has_letters;
    if (noted) return RW_OK;
    if (!state->in_record)
        return rw_reader_bad_line(&state->place, "lines",
                                  "not FASTA: sequence letters before the first header "
                                  "line (>); choose another --format");
    if (isprint(byte))
        return rw_reader_bad_line(&state->place, "letters", "'%c' is not a sequence letter (%s)",
                                  byte, rw_fasta_letters);
    return rw_reader_bad_line(&state->place, "letters", "byte 0x%02x is not a sequence letter (%s)",
                              byte, rw_fasta_letters);
}

static rw_status take_letter(fasta_state *state, uint8_t byte)
{
    if (!state->in_record || !is_letter(byte)) return bad_letter(state, byte);
    if (state->splits) RW_TRY(begin_document(state));
    state->has_letters = true;
    state->letters[state->used++] = (uint8_t)toupper(byte);
    return RW_OK;
}

static rw_status take_byte(fasta_state *state, uint8_t byte)
{
    if (byte == '\n' || byte == '\r') {
        end_line(state, byte);
        return RW_OK;
    }
    state->after_cr = false;
    if (take_mark(state, byte)) return RW_OK;
    if (state->mark > 0) { /* a part of one is none */
        state->mark = 0;
        state->at_line_start = false;
        RW_TRY(bad_letter(state, 0xef));
    }
    bool blank = isspace(byte);
    if (state->at_line_start && !blank) RW_TRY(begin_line(state, byte));
    return state->in_header || blank ? RW_OK : take_letter(state, byte);
}

static rw_status read_fasta(rw_input *input, const rw_reader_options *options,
                            const rw_token_sink *sink, rw_reader_notes *notes)
{
    rw_status status;
    uint8_t *buffer = NULL;
    size_t got;
    fasta_state state = {
        .place = {rw_input_name(input), 1, options, notes}, .sink = sink, .at_line_start = true};
    RW_TRY_DONE(rw_alloc(BUFFER_BYTES, 1, "a FASTA buffer", &buffer));
    RW_TRY_DONE(rw_alloc(BUFFER_BYTES, 1, "a buffer of letters", &state.letters));
    do {
        RW_TRY_DONE(rw_input_read(input, buffer, BUFFER_BYTES, &got));
        for (size_t i = 0; i < got; i++) RW_TRY_DONE(take_byte(&state, buffer[i]));
        RW_TRY_DONE(flush(&state));
    } while (got > 0);
    if (state.mark > 0) status = bad_letter(&state, 0xef);
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
