#include "data_pipeline/source.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "data_pipeline/dataset_file.h"
#include "data_pipeline/stream_sampler.h"
#include "data_pipeline/window_sampler.h"
#include "mpi/rank_compare.h"
#include "storage/content_hash.h"

#define PIECE 16384 /* tokens that are converted at a time */

const rw_key rw_data_keys[] = {
    {.name = "dataset",
     .type = RW_KEY_STRING,
     .doc = "file written by `ropewalk data build`; this or task"},
    {.name = "reset_documents",
     .type = RW_KEY_BOOL,
     .fallback = "true",
     .doc = "nothing crosses from a document of the dataset to the next"},
    {.name = "carry",
     .type = RW_KEY_BOOL,
     .fallback = "false",
     .doc = "a step goes on in the text, and with the states, where the one before ended"},
    {.name = "task", .type = RW_KEY_MAP, .doc = "a generated task: {name: ..., its keys}"},
    {.name = "length",
     .type = RW_KEY_INT,
     .required = true,
     .min = 1,
     .max = 1e12,
     .doc = "tokens of one sequence"},
    {.name = "batch",
     .type = RW_KEY_INT,
     .required = true,
     .min = 1,
     .max = 1e9,
     .doc = "sequences of one step, over all ranks"},
    RW_KEYS_END,
};

static const rw_key name_keys[] = {
    {.name = "name", .type = RW_KEY_STRING, .required = true, .doc = "which task"},
    RW_KEYS_END,
};

struct rw_source {
    char *name;
    rw_format format;
    long length;
    uint64_t seed, fingerprint;
    /* of a dataset */
    rw_dataset *dataset;
    rw_dataset_index index; /* documents: where each begins; read if they matter */
    rw_window_sampler sampler;
    bool evaluates;           /* alone: RW_TRAIN is not read */
    uint64_t evaluated_begin; /* the held-out split: from here on */
    uint64_t heldout_targets;
    char alphabet[257];    /* of the tokens that are given out */
    int32_t token_of[256]; /* what a token of the file is given out as */
    bool carry;            /* sequences go on in streams instead */
    rw_stream_sampler streams;
    /* of a task */
    const rw_task *task;
    void *state;
    pthread_mutex_t lock; /* guards what follows */
    rw_sequence whole;    /* a sequence of which only a part is wanted */
};

static const rw_dataset_facts *facts_of(const rw_source *s)
{
    return rw_dataset_describe(s->dataset);
}

/* data.carry: the text in streams. */
static rw_status open_streams(rw_source *s, const rw_config *data)
{
    uint64_t tokens = facts_of(s)->heldout_begin, batch = (uint64_t)rw_config_int(data, "batch");
    s->streams = rw_stream_sampler_make(tokens, (uint64_t)s->length, batch, s->seed);
    s->carry = true;
    if (s->streams.windows) return RW_OK;
    return rw_config_fail(data, "carry",
                          "%llu streams of the %llu training tokens of %s are shorter than one "
                          "sequence of %ld; use a smaller batch or length, or a larger dataset",
                          (unsigned long long)batch, (unsigned long long)tokens, s->name,
                          s->length);
}

/* The first document that begins at or after token `token`. */
static size_t document_from(const rw_source *s, uint64_t token)
{
    size_t low = 0, high = s->index.document_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (s->index.documents[middle] < token)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The tokens of the split, but its last one and those before a document. */
static uint64_t count_targets(const rw_source *s, uint64_t begin, uint64_t end)
{
    if (begin == end) return 0;
    uint64_t targets = end - begin - 1, before = begin;
    for (size_t i = document_from(s, begin + 1); i < s->index.document_count; i++) {
        if (s->index.documents[i] >= end) break;
        targets -= s->index.documents[i] > before;
        before = s->index.documents[i];
    }
    return targets;
}

static rw_status open_to_train(rw_source *s, const rw_config *data)
{
    const rw_dataset_facts *f = facts_of(s);
    if ((uint64_t)s->length > f->heldout_begin)
        return rw_config_fail(data, "length",
                              "a sequence of %ld tokens is longer than the %llu "
                              "training tokens of %s; use a smaller length or a larger dataset",
                              s->length, (unsigned long long)f->heldout_begin, s->name);
    s->sampler = rw_window_sampler_make(f->heldout_begin, (uint64_t)s->length, s->seed);
    return rw_config_bool(data, "carry") ? open_streams(s, data) : RW_OK;
}

static rw_status refuse_evaluation(const rw_source *s)
{
    const rw_dataset_facts *f = facts_of(s);
    uint64_t tokens = f->tokens - s->evaluated_begin;
    if (tokens == 0)
        return rw_fail(RW_ERROR,
                       "%s has no held-out tokens; build it again with some (data build "
                       "--heldout), or evaluate on another dataset",
                       s->name);
    return rw_fail(RW_ERROR,
                   "there is nothing to predict in the %llu tokens of %s to evaluate on: every "
                   "document in it is one token; set data.reset_documents to false, or hold out "
                   "a larger part",
                   (unsigned long long)tokens, s->name);
}

static rw_status open_dataset(rw_source *s, const rw_config *data, rw_evaluated_part part)
{
    RW_TRY(rw_strdup(rw_config_string(data, "dataset"), &s->name));
    RW_TRY(rw_dataset_open(s->name, &s->dataset));
    const rw_dataset_facts *f = facts_of(s);
    s->format = (rw_format){.vocab = f->vocab, .target_vocab = f->vocab};
    s->fingerprint = f->content_hash;
    s->evaluated_begin = part == RW_EVALUATE_ALL ? 0 : f->heldout_begin;
    memcpy(s->alphabet, f->alphabet, sizeof s->alphabet);
    for (int i = 0; i < 256; i++) s->token_of[i] = i;
    if (rw_config_bool(data, "reset_documents"))
        RW_TRY(rw_dataset_read_index(s->dataset, &s->index));
    s->heldout_targets = count_targets(s, s->evaluated_begin, f->tokens);
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
    const rw_key *const tables[] = {name_keys, s->task->keys};
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
    rw_dataset_index_free(&s->index);
    rw_dataset_close(&s->dataset);
    free_sequence(&s->whole);
    pthread_mutex_destroy(&s->lock);
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
    return s->index.document_count > 1 || s->carry;
}

uint64_t rw_source_heldout_count(const rw_source *s)
{
    if (!s->dataset) return 0;
    uint64_t tokens = facts_of(s)->tokens - s->evaluated_begin;
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
    bool held_out = s->evaluated_begin == facts_of(s)->heldout_begin;
    return held_out ? RW_OVERLAP_NONE : RW_OVERLAP_CERTAIN;
}

uint64_t rw_source_tokens(const rw_source *s)
{
    return s->dataset ? facts_of(s)->heldout_begin : 0;
}

rw_status rw_source_compare(const rw_source *s, MPI_Comm comm)
{
    char text[64];
    snprintf(text, sizeof text, "fingerprint %016llx", (unsigned long long)s->fingerprint);
    return rw_rank_compare(comm, "dataset", text, "give all hosts the same file");
}

/* Marks the documents that begin in the window; the token before one has no
 * target. */
static void mark_documents(const rw_source *s, uint64_t begin, long count, rw_sequence *out)
{
    if (!rw_source_has_documents(s)) return;
    if (out->starts) memset(out->starts, 0, (size_t)count);
    uint64_t end = begin + (uint64_t)count;
    for (size_t i = document_from(s, begin); i < s->index.document_count; i++) {
        uint64_t at = s->index.documents[i];
        if (at > end) break;
        if (at < end && out->starts) out->starts[at - begin] = 1;
        if (at > begin) out->targets[at - begin - 1] = RW_IGNORE;
    }
}

/* Tokens from `begin` on, each with the next one as target; the split ends
 * before `end`: its last token has no target, and beyond it is nothing. */
static rw_status read_window(rw_source *s, uint64_t begin, uint64_t end, long count,
                             rw_sequence *out)
{
    uint8_t piece[PIECE + 1];
    for (long done = 0; done < count; done += PIECE) {
        long rows = count - done < PIECE ? count - done : PIECE;
        uint64_t first = begin + (uint64_t)done, left = first < end ? end - first : 0;
        long present = left < (uint64_t)rows + 1 ? (long)left : rows + 1;
        RW_TRY(rw_dataset_read(s->dataset, present > 0 ? first : end, (uint64_t)present, piece));
        for (long i = 0; i < rows; i++) {
            out->tokens[done + i] = i < present ? s->token_of[piece[i]] : 0;
            out->targets[done + i] = i + 1 < present ? s->token_of[piece[i + 1]] : RW_IGNORE;
        }
    }
    mark_documents(s, begin, count, out);
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
    RW_TRY(read_window(s, start + (uint64_t)first, facts_of(s)->heldout_begin, count, out));
    if (begins && first == 0 && count > 0 && out->starts) out->starts[0] = 1;
    return RW_OK;
}

static rw_status read_dataset(rw_source *s, rw_split_name split, uint64_t index, long first,
                              long count, rw_sequence *out)
{
    const rw_dataset_facts *f = facts_of(s);
    assert(split == RW_HELDOUT || !s->evaluates);
    if (split == RW_TRAIN) return read_training(s, index, first, count, out);
    if (s->evaluated_begin == f->tokens)
        return rw_fail(RW_ERROR,
                       "%s has no held-out tokens (it was built with --heldout 0); build "
                       "it again with some, or evaluate on another dataset",
                       s->name);
    uint64_t windows = rw_source_heldout_count(s);
    if (index > windows) index = windows; /* all beyond the end, without overflow */
    return read_window(s, s->evaluated_begin + index * (uint64_t)s->length + (uint64_t)first,
                       f->tokens, count, out);
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
