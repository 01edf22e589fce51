#include "data_pipeline/source.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "data_pipeline/split_view.h"
#include "data_pipeline/stream_sampler.h"
#include "data_pipeline/window_sampler.h"
#include "mpi/rank_compare.h"
#include "storage/content_hash.h"

#define PIECE 16384 /* tokens that are converted at a time */

const rw_key rw_data_keys[] = {
    {.name = "dataset",
     .type = RW_KEY_STRING,
     .doc = "file written by `ropewalk data build`; this or task. A relative path is looked up "
            "from the working directory, then from the folder of the configuration file"},
    {.name = "reset_documents",
     .type = RW_KEY_BOOL,
     .fallback = "true",
     .doc = "nothing crosses from a document of the dataset to the next: no state, no target"},
    {.name = "carry",
     .type = RW_KEY_BOOL,
     .fallback = "false",
     .doc = "a step continues the text and the states of the step before; datasets only"},
    {.name = "task", .type = RW_KEY_MAP, .doc = "a generated task: {name: ..., its keys}"},
    {.name = "length",
     .type = RW_KEY_INT,
     .required = true,
     .min = 1,
     .max = 1e12,
     .doc = "sequence length, in tokens"},
    {.name = "batch",
     .type = RW_KEY_INT,
     .required = true,
     .min = 1,
     .max = 1e9,
     .doc = "sequences per step, over all ranks"},
    RW_KEYS_END,
};

const rw_key rw_task_keys[] = {
    {.name = "name", .type = RW_KEY_STRING, .required = true, .doc = "the task"},
    RW_KEYS_END,
};

struct rw_source {
    char *name;
    rw_format format;
    long length;
    uint64_t seed, fingerprint;
    /* of a dataset */
    rw_dataset *dataset;
    rw_split_view splits[2]; /* of RW_TRAIN and RW_HELDOUT */
    rw_window_sampler sampler;
    bool evaluates; /* alone: RW_TRAIN is not read */
    uint64_t heldout_targets;
    char alphabet[257];    /* numbers of the tokens of sequences */
    int32_t token_of[256]; /* the number of a token of the file in sequences */
    bool carry;            /* sequences go on in streams instead */
    rw_stream_sampler streams;
    /* of a task */
    const rw_task *task;
    void *state;
    pthread_mutex_t lock; /* guards all members below */
    rw_sequence whole;    /* a whole sequence, if only a part is wanted */
};

static const rw_dataset_facts *facts_of(const rw_source *s)
{
    return rw_dataset_describe(s->dataset);
}

/* data.carry: the text in streams. */
static rw_status open_streams(rw_source *s, const rw_config *data)
{
    uint64_t tokens = s->splits[RW_TRAIN].tokens, batch = (uint64_t)rw_config_int(data, "batch");
    s->streams = rw_stream_sampler_make(tokens, (uint64_t)s->length, batch, s->seed);
    s->carry = true;
    if (s->streams.windows) return RW_OK;
    return rw_config_fail(data, "carry",
                          "%llu streams of the %llu training tokens of %s are shorter than one "
                          "sequence of %ld; use a smaller batch or length, or a larger dataset",
                          (unsigned long long)batch, (unsigned long long)tokens, s->name,
                          s->length);
}

static rw_status refuse_training(const rw_source *s)
{
    uint64_t tokens = s->splits[RW_TRAIN].tokens;
    if (tokens == 0)
        return rw_fail(RW_ERROR,
                       "%s has no training tokens: all of it is held out for evaluation; train on "
                       "another dataset, or build it again with a smaller --heldout",
                       s->name);
    return rw_fail(RW_ERROR,
                   "there is nothing to predict in the %llu training tokens of %s: no document has "
                   "two tokens; set data.reset_documents to false, or use another dataset",
                   (unsigned long long)tokens, s->name);
}

static rw_status open_to_train(rw_source *s, const rw_config *data)
{
    const rw_split_view *split = &s->splits[RW_TRAIN];
    if (split->tokens > 0 && (uint64_t)s->length > split->tokens)
        return rw_config_fail(data, "length",
                              "a sequence of %ld tokens is longer than the %llu "
                              "training tokens of %s; use a smaller length or a larger dataset",
                              s->length, (unsigned long long)split->tokens, s->name);
    if (rw_split_view_targets(split) == 0) return refuse_training(s);
    s->sampler = rw_window_sampler_make(split->tokens, (uint64_t)s->length, s->seed);
    return rw_config_bool(data, "carry") ? open_streams(s, data) : RW_OK;
}

static rw_status refuse_evaluation(const rw_source *s)
{
    uint64_t tokens = s->splits[RW_HELDOUT].tokens;
    if (tokens == 0)
        return rw_fail(RW_ERROR,
                       "%s has no held-out tokens; build it again with some (data build "
                       "--heldout), or evaluate on another dataset",
                       s->name);
    return rw_fail(RW_ERROR,
                   "there is nothing to predict in the %llu tokens of %s to evaluate on: no "
                   "document in it has two tokens; set data.reset_documents to false, or hold out "
                   "a larger part",
                   (unsigned long long)tokens, s->name);
}

static rw_status open_dataset(rw_source *s, const rw_config *data, rw_evaluated_part part)
{
    bool documents = rw_config_bool(data, "reset_documents");
    rw_part evaluated = part == RW_EVALUATE_ALL ? RW_PART_ALL : RW_PART_HELDOUT;
    RW_TRY(rw_strdup(rw_config_string(data, "dataset"), &s->name));
    RW_TRY(rw_dataset_open(s->name, &s->dataset));
    const rw_dataset_facts *f = facts_of(s);
    s->format = (rw_format){.vocab = f->vocab, .target_vocab = f->vocab};
    s->fingerprint = f->content_hash;
    memcpy(s->alphabet, f->alphabet, sizeof s->alphabet);
    for (int i = 0; i < 256; i++) s->token_of[i] = i;
    RW_TRY(rw_split_view_make(s->dataset, RW_PART_TRAINING, documents, &s->splits[RW_TRAIN]));
    RW_TRY(rw_split_view_make(s->dataset, evaluated, documents, &s->splits[RW_HELDOUT]));
    s->heldout_targets = rw_split_view_targets(&s->splits[RW_HELDOUT]);
    if (!s->evaluates) return open_to_train(s, data);
    return s->heldout_targets ? RW_OK : refuse_evaluation(s);
}

static rw_status unknown_task(const rw_config *config, const char *name)
{
    const char *names[64];
    char advice[RW_NAME_ADVICE];
    int count = 0;
    for (; rw_task_registry[count] && count < 64; count++)
        names[count] = rw_task_registry[count]->name;
    return rw_config_fail(config, "name", "unknown task '%s'%s", name,
                          rw_name_advice(name, "tasks", names, count, advice));
}

static rw_status open_task(rw_source *s, const rw_config *data)
{
    rw_config *config = rw_config_map(data, "task");
    if (rw_config_bool(data, "carry"))
        return rw_config_fail(data, "carry",
                              "sequences of a task do not go on in one another; use a dataset, or "
                              "leave carry false");
    const char *name = rw_config_raw(config, "name");
    if (!name) return rw_config_fail(config, "name", "missing; for example task: {name: mqar}");
    s->task = rw_task_find(name);
    if (!s->task) return unknown_task(config, name);
    const rw_key *const tables[] = {rw_task_keys, s->task->keys};
    RW_TRY(rw_config_check(config, tables, 2));
    RW_TRY(rw_strdup(name, &s->name));
    RW_TRY(s->task->setup(config, s->length, &s->state, &s->format));
    char *text;
    RW_TRY(rw_config_write(config, &text));
    s->fingerprint = rw_hash(text, strlen(text));
    rw_free(&text);
    return RW_OK;
}

static rw_status open_source(const rw_config *data, uint64_t seed, bool evaluates,
                             rw_evaluated_part part, rw_source **out)
{
    rw_status status;
    rw_source *s;
    bool dataset = rw_config_has(data, "dataset"), task = rw_config_has(data, "task");
    *out = NULL;
    if (dataset == task)
        return rw_config_fail(data, dataset ? "task" : "dataset",
                              dataset ? "there is a dataset too; keep one of them"
                                      : "name a dataset (a file) or a task ({name: mqar, ...})");
    RW_TRY(rw_alloc(1, sizeof *s, "a data source", &s));
    pthread_mutex_init(&s->lock, NULL);
    s->seed = seed;
    s->length = (long)rw_config_int(data, "length");
    s->evaluates = evaluates;
    RW_TRY_DONE(dataset ? open_dataset(s, data, part) : open_task(s, data));
done:
    if (status != RW_OK)
        rw_source_close(&s);
    else
        *out = s;
    return status;
}

rw_status rw_source_open(const rw_config *data, uint64_t seed, rw_source **out)
{
    return open_source(data, seed, false, RW_EVALUATE_HELDOUT, out);
}

rw_status rw_source_open_to_evaluate(const rw_config *data, uint64_t seed, rw_evaluated_part part,
                                     rw_source **out)
{
    return open_source(data, seed, true, part, out);
}

static void free_sequence(rw_sequence *sequence)
{
    rw_free(&sequence->tokens);
    rw_free(&sequence->targets);
    rw_free(&sequence->features);
    rw_free(&sequence->target_features);
}

void rw_source_close(rw_source **pointer)
{
    rw_source *s = *pointer;
    if (!s) return;
    for (int i = 0; i < 2; i++) rw_split_view_free(&s->splits[i]);
    rw_dataset_close(&s->dataset);
    free_sequence(&s->whole);
    pthread_mutex_destroy(&s->lock);
    if (s->task && s->task->destroy) {
        s->task->destroy(s->state);
        s->state = NULL;
    }
    rw_free(&s->state);
    rw_free(&s->name);
    rw_free(pointer);
}

const rw_format *rw_source_format(const rw_source *s)
{
    return &s->format;
}
const char *rw_source_name(const rw_source *s)
{
    return s->name;
}
uint64_t rw_source_fingerprint(const rw_source *s)
{
    return s->fingerprint;
}

bool rw_source_is_bytes(const rw_source *s)
{
    return s->dataset && !s->alphabet[0];
}

const char *rw_source_alphabet(const rw_source *s)
{
    return s->dataset && s->alphabet[0] ? s->alphabet : NULL;
}

rw_status rw_source_set_alphabet(rw_source *s, const char *alphabet)
{
    if (!s->dataset) return RW_OK;
    const char *letters = facts_of(s)->alphabet;
    if ((alphabet == NULL) != (letters[0] == '\0'))
        return rw_fail(RW_ERROR,
                       "%s holds %s, but the model was trained on %s; use a dataset of the same "
                       "kind (data build --format)",
                       s->name, alphabet ? "bytes" : "letters", alphabet ? "letters" : "bytes");
    for (int i = 0; letters[i]; i++) {
        const char *place = strchr(alphabet, letters[i]);
        if (!place)
            return rw_fail(RW_ERROR,
                           "%s holds the letter %c, which is not in the alphabet of the model, %s; "
                           "use a dataset without it",
                           s->name, letters[i], alphabet);
        s->token_of[i] = (int32_t)(place - alphabet);
    }
    if (!alphabet) return RW_OK;
    snprintf(s->alphabet, sizeof s->alphabet, "%s", alphabet);
    s->format.vocab = s->format.target_vocab = (int)strlen(s->alphabet);
    return RW_OK;
}

bool rw_source_has_documents(const rw_source *s)
{
    if (s->carry) return true;
    return s->dataset && s->splits[RW_TRAIN].documents &&
           rw_dataset_lists(s->dataset)->document_count > 1;
}

uint64_t rw_source_heldout_count(const rw_source *s)
{
    if (!s->dataset) return 0;
    uint64_t tokens = s->splits[RW_HELDOUT].tokens;
    return (tokens + (uint64_t)s->length - 1) / (uint64_t)s->length;
}

uint64_t rw_source_heldout_targets(const rw_source *s)
{
    return s->dataset ? s->heldout_targets : UINT64_MAX;
}

rw_overlap rw_source_overlap(const rw_source *s, uint64_t trained)
{
    if (!s->dataset) return RW_OVERLAP_NONE;
    if (s->fingerprint != trained) return RW_OVERLAP_POSSIBLE;
    bool held_out = s->splits[RW_HELDOUT].tokens == facts_of(s)->heldout;
    return held_out ? RW_OVERLAP_NONE : RW_OVERLAP_CERTAIN;
}

uint64_t rw_source_tokens(const rw_source *s)
{
    return s->dataset ? s->splits[RW_TRAIN].tokens : 0;
}

typedef struct {
    uint64_t begin, end; /* of the window */
    rw_sequence *out;
} window;

static void mark_document(void *context, uint64_t place)
{
    window *w = context;
    if (place < w->end && w->out->starts) w->out->starts[place - w->begin] = 1;
    if (place > w->begin) w->out->targets[place - w->begin - 1] = RW_IGNORE;
}

rw_status rw_source_compare(const rw_source *s, MPI_Comm comm)
{
    char text[64];
    snprintf(text, sizeof text, "fingerprint %016llx", (unsigned long long)s->fingerprint);
    return rw_rank_compare(comm, "dataset", text, "give all hosts the same file");
}

/* Marks the documents that begin in the window; the last token of a document has no target. */
static void mark_documents(const rw_source *s, const rw_split_view *split, uint64_t begin,
                           long count, rw_sequence *out)
{
    if (!rw_source_has_documents(s)) return;
    if (out->starts) memset(out->starts, 0, (size_t)count);
    window w = {begin, begin + (uint64_t)count, out};
    rw_split_view_documents(split, begin, w.end, mark_document, &w);
}

/* Tokens of the split from `begin` on, each with the next token as target. The last token of the
 * split has no target, and there are no tokens after it. */
static rw_status read_window(rw_source *s, rw_split_name name, uint64_t begin, long count,
                             rw_sequence *out)
{
    uint8_t piece[PIECE + 1];
    const rw_split_view *split = &s->splits[name];
    for (long done = 0; done < count; done += PIECE) {
        long rows = count - done < PIECE ? count - done : PIECE;
        uint64_t first = begin + (uint64_t)done;
        uint64_t left = first < split->tokens ? split->tokens - first : 0;
        long present = left < (uint64_t)rows + 1 ? (long)left : rows + 1;
        RW_TRY(rw_split_view_read(split, first, (uint64_t)present, piece));
        for (long i = 0; i < rows; i++) {
            out->tokens[done + i] = i < present ? s->token_of[piece[i]] : 0;
            out->targets[done + i] = i + 1 < present ? s->token_of[piece[i + 1]] : RW_IGNORE;
        }
    }
    mark_documents(s, split, begin, count, out);
    return RW_OK;
}

uint64_t rw_source_position(const rw_source *s, rw_split_name split, uint64_t index)
{
    if (!s->carry || split != RW_TRAIN) return 0;
    return rw_stream_sampler_window(&s->streams, index) * (uint64_t)s->length;
}

/* Where a stream begins, a document does: nothing is carried over. */
static rw_status read_training(rw_source *s, uint64_t index, long first, long count,
                               rw_sequence *out)
{
    bool begins = false;
    uint64_t start = s->carry ? rw_stream_sampler_start(&s->streams, index, &begins)
                              : rw_window_sampler_start(&s->sampler, index);
    RW_TRY(read_window(s, RW_TRAIN, start + (uint64_t)first, count, out));
    if (begins && first == 0 && count > 0 && out->starts) out->starts[0] = 1;
    return RW_OK;
}

static rw_status read_dataset(rw_source *s, rw_split_name split, uint64_t index, long first,
                              long count, rw_sequence *out)
{
    assert(split == RW_HELDOUT || !s->evaluates);
    if (split == RW_TRAIN) return read_training(s, index, first, count, out);
    if (s->heldout_targets == 0) return refuse_evaluation(s);
    uint64_t windows = rw_source_heldout_count(s);
    if (index > windows) index = windows; /* all beyond the end, without overflow */
    return read_window(s, RW_HELDOUT, index * (uint64_t)s->length + (uint64_t)first, count, out);
}

static rw_status allocate_whole(rw_source *s)
{
    const rw_format *f = &s->format;
    rw_sequence *w = &s->whole;
    size_t length = (size_t)s->length;
    if (f->vocab > 0 && !w->tokens)
        RW_TRY(rw_alloc(length, sizeof(int32_t), "tokens of a task", &w->tokens));
    if (f->target_vocab > 0 && !w->targets)
        RW_TRY(rw_alloc(length, sizeof(int32_t), "targets of a task", &w->targets));
    if (f->vocab == 0 && !w->features)
        RW_TRY(rw_alloc(length * (size_t)f->features, sizeof(real), "features of a task",
                        &w->features));
    if (f->target_vocab == 0 && !w->target_features)
        RW_TRY(rw_alloc(length * (size_t)f->target_features, sizeof(real),
                        "target features of a task", &w->target_features));
    return RW_OK;
}

static void copy_part(const rw_format *f, const rw_sequence *whole, long first, long count,
                      rw_sequence *out)
{
    size_t from = (size_t)first, rows = (size_t)count;
    if (f->vocab > 0)
        memcpy(out->tokens, whole->tokens + from, rows * sizeof(int32_t));
    else
        memcpy(out->features, whole->features + from * (size_t)f->features,
               rows * (size_t)f->features * sizeof(real));
    if (f->target_vocab > 0)
        memcpy(out->targets, whole->targets + from, rows * sizeof(int32_t));
    else
        memcpy(out->target_features, whole->target_features + from * (size_t)f->target_features,
               rows * (size_t)f->target_features * sizeof(real));
}

static rw_status read_task(rw_source *s, rw_split_name split, uint64_t index, long first,
                           long count, rw_sequence *out)
{
    rw_purpose purpose = split == RW_TRAIN ? RW_RANDOM_TASK : RW_RANDOM_TASK_EVAL;
    rw_random stream = rw_random_stream(s->seed, purpose, 0);
    if (first == 0 && count == s->length) {
        s->task->generate(s->state, stream, index, s->length, out);
        return RW_OK;
    }
    pthread_mutex_lock(&s->lock);
    rw_status status = allocate_whole(s);
    if (status == RW_OK) {
        s->task->generate(s->state, stream, index, s->length, &s->whole);
        copy_part(&s->format, &s->whole, first, count, out);
    }
    pthread_mutex_unlock(&s->lock);
    return status;
}

rw_status rw_source_read(rw_source *s, rw_split_name split, uint64_t index, long first, long count,
                         rw_sequence *out)
{
    assert(first >= 0 && count >= 0 && count <= s->length - first);
    if (s->dataset) return read_dataset(s, split, index, first, count, out);
    return read_task(s, split, index, first, count, out);
}
