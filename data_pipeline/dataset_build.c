/* Builds a dataset: inputs through readers to the writer. The alphabet is known only at the end of
 * the inputs, so letters are read twice. Pipes are opened once, and stay open after the choice of
 * their reader. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/memory.h"
#include "data_pipeline/build_plan.h"
#include "data_pipeline/dataset.h"
#include "data_pipeline/dataset_append.h"
#include "data_pipeline/dataset_twins.h"
#include "data_pipeline/dataset_writer.h"
#include "data_pipeline/reader.h"
#include "data_pipeline/split_view.h"
#include "storage/durable_file.h"
#include "storage/writer_lock.h"

/* The contribution of an input to the dataset. */
typedef struct {
    uint64_t documents, tokens, bad_lines;
    const char *compression; /* static, or NULL */
} gift;

typedef struct {
    const rw_build_plan *plan;
    int source; /* the next source of the writer */
    const char *path;
    const char *const *inputs;
    int count, current;
    const rw_reader **readers; /* of each input */
    rw_input **pipes;          /* the open pipes, by input, while they are not being read */
    int pipe_count;
    rw_input *input; /* in hand */
    rw_reader_options options;
    rw_reader_notes notes;
    gift *gifts;    /* of each input */
    uint64_t total; /* tokens of all of them */
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
    b->total += count;
    show_progress(b);
    return RW_OK;
}

static rw_status write_document(void *context)
{
    build *b = context;
    b->gifts[b->current].documents++;
    return rw_dataset_writer_begin_document(b->writer);
}

static rw_status write_tokens(void *context, const uint8_t *bytes, size_t count)
{
    build *b = context;
    b->total += count;
    b->gifts[b->current].tokens += count;
    show_progress(b);
    return rw_dataset_writer_append(b->writer, bytes, count);
}

static rw_status check_pipes(const build *b, int current)
{
    for (int i = 0; i < current && b->pipe_count > 0; i++)
        if (b->pipes[i] && rw_input_reads(b->pipes[i], b->inputs[current]))
            return rw_fail(RW_USAGE,
                           "%s and %s are the same pipe: it can be read once; name it once",
                           b->inputs[i], b->inputs[current]);
    return RW_OK;
}

/* Letters are read twice, which a pipe does not allow: a copy is kept beside the dataset. */
static rw_status hold_pipe(build *b, int current)
{
    b->pipes[current] = b->input;
    b->pipe_count++;
    b->input = NULL;
    return b->readers[current]->letters ? rw_input_keep(b->pipes[current], b->path) : RW_OK;
}

/* Opens every input once, before anything is written: errors appear at once. */
static rw_status choose_readers(build *b, const char *format)
{
    for (int i = 0; i < b->count; i++) {
        RW_TRY(check_pipes(b, i));
        RW_TRY(rw_input_open(b->inputs[i], &b->input));
        RW_TRY(rw_reader_choose(format, b->input, &b->readers[i]));
        if (rw_input_is_pipe(b->input)) RW_TRY(hold_pipe(b, i));
        rw_input_close(&b->input);
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

/* Begins the source of the present input, after the earlier sources of the old dataset. */
static rw_status begin_source(build *b)
{
    bool heldout = (size_t)b->current >= b->plan->heldout_from;
    if ((size_t)b->current == b->plan->heldout_from)
        RW_TRY(rw_dataset_copy_sources(b->plan->old, true, b->writer, &b->source));
    rw_dataset_writer_begin_source(b->writer, b->source, heldout);
    return RW_OK;
}

static rw_status take_input(build *b)
{
    b->gifts[b->current] = (gift){0};
    b->input = b->pipes[b->current];
    b->pipes[b->current] = NULL;
    return b->input ? RW_OK : rw_input_open(b->inputs[b->current], &b->input);
}

/* The writer records the input; a pipe of letters is rewound. */
static void finish_input(build *b)
{
    b->gifts[b->current].compression = rw_input_compression(b->input);
    if (b->writer) {
        rw_dataset_writer_set_source(b->writer, b->source++, rw_input_bytes(b->input),
                                     rw_input_hash(b->input));
    } else if (rw_input_is_pipe(b->input)) {
        rw_input_rewind(b->input);
        b->pipes[b->current] = b->input;
        b->input = NULL;
    }
    rw_input_close(&b->input);
}

static rw_status refuse_nothing(const build *b)
{
    const char *what = b->readers[0]->letters ? "sequence letters" : "tokens";
    if (b->notes.bad_lines == 0)
        return rw_fail(RW_ERROR,
                       "no %s in the %d inputs of %s (the first is %s); nothing was written", what,
                       b->count, b->path, b->inputs[0]);
    return rw_fail(
        RW_ERROR,
        "no %s in the %d inputs of %s, nothing was written: %llu bad lines were left out, the "
        "first is %s",
        what, b->count, b->path, (unsigned long long)b->notes.bad_lines, b->notes.places[0]);
}

static rw_status read_inputs(build *b, const rw_token_sink *sink)
{
    b->total = 0;
    b->notes = (rw_reader_notes){0};
    for (b->current = 0; b->current < b->count; b->current++) {
        uint64_t bad_before = b->notes.bad_lines;
        if (b->writer) RW_TRY(begin_source(b));
        RW_TRY(take_input(b));
        RW_TRY(b->readers[b->current]->read(b->input, &b->options, sink, &b->notes));
        b->gifts[b->current].bad_lines = b->notes.bad_lines - bad_before;
        finish_input(b);
    }
    return b->total > 0 || b->plan->old ? RW_OK : refuse_nothing(b);
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
    return RW_OK;
}

static void report_input(const build *b, int input)
{
    const gift *g = &b->gifts[input];
    const char *name = b->inputs[input];
    char bad[64] = "";
    if (g->bad_lines > 0)
        snprintf(bad, sizeof bad, ", %llu bad line%s", (unsigned long long)g->bad_lines,
                 g->bad_lines == 1 ? "" : "s");
    rw_info("%s: %s%s%s, %llu document%s, %llu tokens%s", name, b->readers[input]->name,
            g->compression ? " in " : "", g->compression ? g->compression : "",
            (unsigned long long)g->documents, g->documents == 1 ? "" : "s",
            (unsigned long long)g->tokens, bad);
    if (g->tokens == 0) rw_warn("%s gives nothing to %s: it holds no tokens", name, b->path);
}

/* Reports the tokens of each input, and the parts that were left out or changed. */
static void report_inputs(const build *b)
{
    const rw_reader_notes *notes = &b->notes;
    uint64_t shown = notes->bad_lines < RW_READER_PLACES ? notes->bad_lines : RW_READER_PLACES;
    for (int i = 0; i < b->count; i++) report_input(b, i);
    if (notes->bad_lines > 0)
        rw_warn("%llu bad line%s, or the bad letters in them, left out; the first:",
                (unsigned long long)notes->bad_lines, notes->bad_lines == 1 ? " was" : "s were");
    for (uint64_t i = 0; i < shown; i++) rw_warn("  %s", notes->places[i]);
    if (notes->surrogates > 0)
        rw_warn("%llu lone surrogate%s (\\ud800 to \\udfff) became U+FFFD",
                (unsigned long long)notes->surrogates, notes->surrogates == 1 ? "" : "s");
}

/* Reports the written dataset, and its limits. */
static rw_status report(const build *b)
{
    rw_status status;
    rw_dataset *dataset;
    rw_split_view view = {0};
    RW_TRY(rw_dataset_open(b->path, &dataset));
    RW_TRY_DONE(rw_split_view_make(dataset, RW_PART_HELDOUT, true, &view));
    RW_TRY_DONE(rw_dataset_tell_twins(rw_dataset_lists(dataset)));
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
    report_inputs(b);
    return report(b);
}

static rw_status build_alone(const char *path, const char *const *inputs, int count,
                             const rw_dataset_options *options)
{
    rw_status status;
    char alphabet[257];
    rw_build_plan plan;
    RW_TRY(rw_build_plan_make(path, inputs, count, options, &plan));
    build b = {.plan = &plan, .path = path, .count = (int)plan.inputs.count};
    b.inputs = (const char *const *)plan.inputs.names;
    b.options.field = options->field ? options->field : "text";
    b.options.skip_bad = options->skip_bad;
    b.shown = seconds();
    RW_TRY_DONE(rw_alloc((size_t)b.count, sizeof(const rw_reader *), "readers", &b.readers));
    RW_TRY_DONE(rw_alloc((size_t)b.count, sizeof(rw_input *), "pipes", &b.pipes));
    RW_TRY_DONE(rw_alloc((size_t)b.count, sizeof(gift), "what inputs give", &b.gifts));
    RW_TRY_DONE(choose_readers(&b, options->format ? options->format : "auto"));
    RW_TRY_DONE(check_kind(&b));
    bool letters = b.readers[0]->letters;
    if (letters) RW_TRY_DONE(find_alphabet(&b, alphabet));
    RW_TRY_DONE(write_dataset(&b, letters ? alphabet : NULL));
done:
    rw_dataset_writer_destroy(&b.writer);
    rw_input_close(&b.input);
    for (int i = 0; b.pipes && i < b.count; i++) rw_input_close(&b.pipes[i]);
    rw_free(&b.gifts);
    rw_free(&b.pipes);
    rw_free(&b.readers);
    rw_build_plan_free(&plan);
    return status;
}

/* Only one build of a file at a time: the later of two builds would undo the other. */
rw_status rw_dataset_build(const char *path, const char *const *inputs, int count,
                           const rw_dataset_options *options)
{
    char *name = NULL;
    rw_writer_lock *lock = NULL;
    rw_status status = RW_OK;
    RW_TRY_DONE(rw_path_extend(path, ".lock", &name));
    RW_TRY_DONE(rw_writer_lock_take(name, path, "name another file", &lock));
    rw_temporaries_clean(path);
    status = build_alone(path, inputs, count, options);
done:
    rw_writer_lock_release(&lock);
    rw_free(&name);
    return status;
}
