/* Building a dataset: inputs through readers to the writer. Alphabets are not
 * known before the end of the inputs, so letters are read twice. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/memory.h"
#include "data_pipeline/build_plan.h"
#include "data_pipeline/dataset.h"
#include "data_pipeline/dataset_append.h"
#include "data_pipeline/dataset_writer.h"
#include "data_pipeline/reader.h"
#include "data_pipeline/split_view.h"

typedef struct {
    const rw_build_plan *plan;
    int source; /* the next one of the writer */
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

/* Letters are added to letters, bytes to bytes. */
static rw_status check_kind(const build *b)
{
    if (!b->plan->old) return RW_OK;
    bool letters = rw_dataset_describe(b->plan->old)->alphabet[0] != '\0';
    if (letters == b->readers[0]->letters) return RW_OK;
    return rw_fail(RW_USAGE,
                   "%s holds %s but %s is %s: letters and bytes do not go into one dataset; build "
                   "another, or give --format",
                   b->path, letters ? "letters" : "bytes", b->inputs[0], b->readers[0]->name);
}

/* Begins the source that the input in hand is, after those of the old dataset
 * that come before it. */
static rw_status begin_source(build *b)
{
    bool heldout = (size_t)b->current >= b->plan->heldout_from;
    if ((size_t)b->current == b->plan->heldout_from)
        RW_TRY(rw_dataset_copy_sources(b->plan->old, true, b->writer, &b->source));
    rw_dataset_writer_begin_source(b->writer, b->source, heldout);
    return RW_OK;
}

static rw_status read_inputs(build *b, const rw_token_sink *sink)
{
    for (b->current = 0; b->current < b->count; b->current++) {
        if (b->writer) RW_TRY(begin_source(b));
        RW_TRY(rw_input_open(b->inputs[b->current], &b->input));
        RW_TRY(b->readers[b->current]->read(b->input, b->field, sink));
        if (b->writer)
            rw_dataset_writer_set_source(b->writer, b->source++, rw_input_bytes(b->input),
                                         rw_input_hash(b->input));
        rw_input_close(&b->input);
    }
    return RW_OK;
}

static rw_status find_alphabet(build *b, char *alphabet)
{
    const rw_token_sink sink = {b, scan_document, scan_letters};
    b->doing = "scanning the letters of";
    if (b->plan->old)
        for (const char *l = rw_dataset_describe(b->plan->old)->alphabet; *l; l++)
            b->seen[(uint8_t)*l] = true;
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

/* Says what was written, and what cannot be done with it. */
static rw_status report(const build *b)
{
    rw_status status;
    rw_dataset *dataset;
    rw_split_view view = {0};
    RW_TRY(rw_dataset_open(b->path, &dataset));
    RW_TRY_DONE(rw_split_view_make(dataset, RW_PART_HELDOUT, true, &view));
    const rw_dataset_facts *f = rw_dataset_describe(dataset);
    int count = b->plan->sources;
    rw_progress(true, "wrote %s: %llu tokens from %d input%s (held out %llu)", b->path,
                (unsigned long long)f->tokens, count, count == 1 ? "" : "s",
                (unsigned long long)f->heldout);
    bool wanted = f->heldout_share > 0 || f->heldout_by == RW_HELDOUT_FILES;
    if (wanted && rw_split_view_targets(&view) == 0)
        rw_warn("the held-out part of %s has nothing to predict (%llu tokens): nothing can be "
                "evaluated on it; hold out more (--heldout)",
                b->path, (unsigned long long)f->heldout);
    if (f->heldout == f->tokens)
        rw_warn("all of %s is held out: it is for evaluation alone, not for training", b->path);
done:
    rw_split_view_free(&view);
    rw_dataset_close(&dataset);
    return status;
}

static rw_status write_dataset(build *b, const char *alphabet)
{
    const rw_token_sink sink = {b, write_document, write_tokens};
    const rw_build_plan *plan = b->plan;
    b->doing = "writing";
    RW_TRY(rw_dataset_writer_new(b->path, alphabet, plan->names, plan->sources, &b->writer));
    RW_TRY(rw_dataset_copy_sources(plan->old, false, b->writer, &b->source));
    RW_TRY(read_inputs(b, &sink));
    if (plan->heldout_from == plan->inputs.count)
        RW_TRY(rw_dataset_copy_sources(plan->old, true, b->writer, &b->source));
    RW_TRY(rw_dataset_writer_finish(b->writer, &plan->rule));
    RW_TRY(rw_build_plan_recheck(plan));
    RW_TRY(rw_dataset_writer_publish(b->writer));
    return report(b);
}

rw_status rw_dataset_build(const char *path, const char *const *inputs, int count,
                           const rw_dataset_options *options)
{
    rw_status status;
    char alphabet[257];
    rw_build_plan plan;
    RW_TRY(rw_build_plan_make(path, inputs, count, options, &plan));
    build b = {.plan = &plan, .path = path, .count = (int)plan.inputs.count};
    b.inputs = (const char *const *)plan.inputs.names;
    b.field = options->field ? options->field : "text";
    b.shown = seconds();
    RW_TRY_DONE(rw_alloc((size_t)b.count, sizeof(const rw_reader *), "readers", &b.readers));
    RW_TRY_DONE(choose_readers(&b, options->format ? options->format : "auto"));
    RW_TRY_DONE(check_kind(&b));
    bool letters = b.readers[0]->letters;
    if (letters) RW_TRY_DONE(find_alphabet(&b, alphabet));
    RW_TRY_DONE(write_dataset(&b, letters ? alphabet : NULL));
done:
    rw_dataset_writer_destroy(&b.writer);
    rw_input_close(&b.input);
    rw_free(&b.readers);
    rw_build_plan_free(&plan);
    return status;
}
