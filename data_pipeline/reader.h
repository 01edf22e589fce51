/* Readers: turn a format of input files into documents of tokens. One file, one descriptor;
 * rw_readers is the list. */
#ifndef RW_READER_H
#define RW_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "data_pipeline/input_stream.h"

/* The destination of a reader's documents. */
typedef struct {
    void *context;
    rw_status (*begin_document)(void *context);
    rw_status (*append)(void *context, const uint8_t *bytes, size_t count);
} rw_token_sink;

/* Input that readers left out or changed, over all their inputs. */
#define RW_READER_PLACES 5
typedef struct {
    uint64_t bad_lines;                 /* left out, or parts of them */
    char places[RW_READER_PLACES][256]; /* the first of them: "file:line: reason" */
    uint64_t surrogates;                /* surrogates without a partner, now U+FFFD */
} rw_reader_notes;

typedef struct {
    const char *field; /* of JSON lines; "a.b": field b of the object in field a */
    bool skip_bad;     /* leave out bad lines of JSON lines and bad letters of FASTA */
} rw_reader_options;

/* The present line. */
typedef struct {
    const char *name; /* of the input */
    unsigned long long number;
    const rw_reader_options *options;
    rw_reader_notes *notes;
} rw_reader_line;

/* Notes that the line is bad and is left out, wholly or some letters (`what`); without skip_bad
 * this is an error with skip_bad as advice. */
rw_status rw_reader_bad_line(const rw_reader_line *line, const char *what, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

typedef struct {
    const char *name;
    const char *extensions; /* " .a .b ": names of files of this format */
    bool letters;           /* tokens are letters of an alphabet; else bytes */
    /* Does a file with this beginning look like the format? */
    bool (*recognise)(const uint8_t *head, size_t bytes);
    /* Reads the input to its end and adds to the notes. Errors name file and line. */
    rw_status (*read)(rw_input *input, const rw_reader_options *options, const rw_token_sink *sink,
                      rw_reader_notes *notes);
} rw_reader;

extern const rw_reader rw_reader_text, rw_reader_bytes, rw_reader_jsonl, rw_reader_fasta;
/* NULL-terminated; the last reader, text, recognises all files. */
extern const rw_reader *const rw_readers[];

/* The reader for `format`; "auto" decides by the name of the input without its compression suffix,
 * then by its content. Known formats other than text are refused by name, except for "bytes"; text
 * of a format without a reader is refused for "auto" only. Errors: RW_USAGE for an unknown format.
 */
rw_status rw_reader_choose(const char *format, const rw_input *input, const rw_reader **out);

/* The letters of sequences (IUPAC nucleotides, then amino acids, stop and gap), in the order of
 * alphabets. */
extern const char rw_fasta_letters[];

#endif
