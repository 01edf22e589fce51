/* Readers: how a format of input files becomes documents of tokens. One file,
 * one descriptor; rw_readers is the list. */
#ifndef RW_READER_H
#define RW_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "data_pipeline/input_stream.h"

/* Where a reader puts what it finds. */
typedef struct {
    void *context;
    rw_status (*begin_document)(void *context);
    rw_status (*append)(void *context, const uint8_t *bytes, size_t count);
} rw_token_sink;

typedef struct {
    const char *name;
    const char *extensions; /* " .a .b ": names of files of this format */
    bool letters;           /* tokens are letters of an alphabet; else bytes */
    /* Does a file that begins like this look like the format? */
    bool (*recognise)(const uint8_t *head, size_t bytes);
    /* Reads the input to its end. `field`: of JSON lines. Errors name file and
     * line. */
    rw_status (*read)(rw_input *input, const char *field, const rw_token_sink *sink);
} rw_reader;

extern const rw_reader rw_reader_text, rw_reader_jsonl, rw_reader_fasta;
/* NULL-terminated; the last one, text, recognises everything. */
extern const rw_reader *const rw_readers[];

/* The reader for `format`; "auto" is told by the name of the input, .gz and
 * .zst aside, and then by its content. Errors: RW_USAGE for an unknown format. */
rw_status rw_reader_choose(const char *format, const rw_input *input, const rw_reader **out);

/* The letters that sequences may hold (IUPAC nucleotides, then amino acids,
 * stop and gap), in the order in which alphabets list them. */
extern const char rw_fasta_letters[];

#endif
