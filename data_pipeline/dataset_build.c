/* Building a dataset: inputs through readers to the writer. Alphabets are not
 * known before the end of the inputs, so letters are read twice. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/memory.h"
#include "data_pipeline/dataset.h"
#include "data_pipeline/dataset_writer.h"
#include "data_pipeline/reader.h"

typedef struct {
    const char *path, *field;
    const char *const *inputs;
    int count, current;
    const rw_reader **readers; /* of each input */
    rw_input *input;           /* in hand */
    rw_dataset_writer *writer;
    bool seen[256]; /* letters, in the first pass */
    const char *doing;
    double shown; /* when progress was last told, in seconds */
} build;

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void show_progress(build *b)
{
    double now = seconds();
    if (now - b->shown < (rw_on_terminal() ? 0.2 : 30)) return;
    b->shown = now;
    double done = (b->current + rw_input_share(b->input)) / b->count;
    rw_progress(false, "%s %s: %d of %d inputs, %.0f%%", b->doing, b->path, b->current, b->count,
                100 * done);
}

static rw_status scan_document(void *context)
{
    (void)context;
    return RW_OK;
}

static rw_status scan_letters(void *context, const uint8_t *bytes, size_t count)
{
    build *b = context;
    for (size_t i = 0; i < count; i++) b->seen[bytes[i]] = true;
    show_progress(b);
    return RW_OK;
}

static rw_status write_document(void *context)
{
    build *b = context;
    return rw_dataset_writer_begin_document(b->writer);
}

static rw_status write_tokens(void *context, const uint8_t *bytes, size_t count)
{
    build *b = context;
    show_progress(b);
    return rw_dataset_writer_append(b->writer, bytes, count);
}

static rw_status check_options(const char *path, int count, const rw_dataset_options *options)
{
    if (count < 1)
        return rw_fail(RW_USAGE,
                       "no inputs for %s; name one or more files (text, JSON lines or "
                       "FASTA)",
                       path);
    if (!(options->heldout >= 0 && options->heldout < 1))
        return rw_fail(RW_USAGE, "a held-out share of %g; it must be at least 0 and below 1",
                       options->heldout);
    return RW_OK;
}

/* Opens every input once, before anything is written: what is missing or does
 * not fit together is found at once. */
static rw_status choose_readers(build *b, const char *format)
{
    for (int i = 0; i < b->count; i++) {
        RW_TRY(rw_input_open(b->inputs[i], &b->input));
        rw_status status = rw_reader_choose(format, b->input, &b->readers[i]);
        rw_input_close(&b->input);
        RW_TRY(status);
        if (b->readers[i]->letters != b->readers[0]->letters)
            return rw_fail(RW_USAGE,
                           "%s is %s but %s is %s: letters and bytes do not go into one "
                           "dataset; build two, or give --format",
                           b->inputs[0], b->readers[0]->name, b->inputs[i], b->readers[i]->name);
    }
    return RW_OK;
}

static rw_status read_inputs(build *b, const rw_token_sink *sink)
{
    for (b->current = 0; b->current < b->count; b->current++) {
        RW_TRY(rw_input_open(b->inputs[b->current], &b->input));
        RW_TRY(b->readers[b->current]->read(b->input, b->field, sink));
        if (b->writer)
            rw_dataset_writer_set_source(b->writer, b->current, rw_input_bytes(b->input),
                                         rw_input_hash(b->input));
        rw_input_close(&b->input);
    }
    return RW_OK;
}

static rw_status find_alphabet(build *b, char *alphabet)
{
    const rw_token_sink sink = {b, scan_document, scan_letters};
    b->doing = "scanning the letters of";
    RW_TRY(read_inputs(b, &sink));
    size_t used = 0;
    for (const char *letter = rw_fasta_letters; *letter; letter++)
        if (b->seen[(uint8_t)*letter]) alphabet[used++] = *letter;
    alphabet[used] = '\0';
    if (used == 0)
        return rw_fail(RW_ERROR, "no sequence letters in the %d inputs of %s (the first is %s)",
                       b->count, b->path, b->inputs[0]);
    return RW_OK;
}

static rw_status write_dataset(build *b, const char *alphabet, double heldout)
{
    const rw_token_sink sink = {b, write_document, write_tokens};
    b->doing = "writing";
    RW_TRY(rw_dataset_writer_new(b->path, alphabet, b->inputs, b->count, &b->writer));
    RW_TRY(read_inputs(b, &sink));
    RW_TRY(rw_dataset_writer_finish(b->writer, heldout));
    rw_progress(true, "wrote %s: %llu tokens from %d input%s", b->path,
                (unsigned long long)rw_dataset_writer_tokens(b->writer), b->count,
                b->count == 1 ? "" : "s");
    return RW_OK;
}

rw_status rw_dataset_build(const char *path, const char *const *inputs, int count,
                           const rw_dataset_options *options)
{
    rw_status status;
    char alphabet[257];
    build b = {.path = path, .inputs = inputs, .count = count};
    b.field = options->field ? options->field : "text";
    b.shown = seconds();
    RW_TRY(check_options(path, count, options));
    RW_TRY(rw_alloc((size_t)count, sizeof(const rw_reader *), "readers", &b.readers));
    RW_TRY_DONE(choose_readers(&b, options->format ? options->format : "auto"));
    bool letters = b.readers[0]->letters;
    if (letters) RW_TRY_DONE(find_alphabet(&b, alphabet));
    RW_TRY_DONE(write_dataset(&b, letters ? alphabet : NULL, options->heldout));
done:
    rw_dataset_writer_destroy(&b.writer);
    rw_input_close(&b.input);
    rw_free(&b.readers);
    return status;
}
