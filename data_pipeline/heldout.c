#include "data_pipeline/heldout.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/config.h"
#include "base/memory.h"
#include "base/random.h"

rw_status rw_heldout_find(const char *name, rw_heldout_choice *out)
{
    char advice[RW_NAME_ADVICE];
    const int named = RW_HELDOUT_FILES; /* chosen by naming files */
    for (int i = 0; i < named; i++) {
        *out = (rw_heldout_choice)i;
        if (strcmp(name, rw_heldout_names[i]) == 0) return RW_OK;
    }
    return rw_fail(RW_USAGE, "unknown way to hold out '%.60s'%s", name,
                   rw_name_advice(name, "ways", rw_heldout_names, named, advice));
}

/* Adds tokens after the held-out tokens; touching ranges become one range. */
static rw_status add_range(rw_dataset_index *index, uint64_t begin, uint64_t end)
{
    if (begin == end) return RW_OK;
    size_t n = index->heldout_count;
    if (n > 0 && index->heldout[n - 1].end == begin) {
        index->heldout[n - 1].end = end;
        return RW_OK;
    }
    RW_TRY(rw_grow(&index->heldout, &index->heldout_capacity, n + 1, sizeof *index->heldout));
    index->heldout[index->heldout_count++] = (rw_token_range){begin, end};
    return RW_OK;
}

static uint64_t document_end(const rw_dataset_index *index, size_t document, uint64_t tokens)
{
    bool last = document + 1 == index->document_count;
    return last ? tokens : index->documents[document + 1];
}

static rw_status one_document(const char *path)
{
    return rw_fail(
        RW_USAGE,
        "%s has only one document with tokens, so that no whole document can be held out "
        "beside others for training; use --heldout-by tail",
        path);
}

/* Of all places where a document begins, the nearest to the border of the tail. */
static rw_status choose_documents(uint64_t tokens, double wanted, const char *path,
                                  rw_dataset_index *index)
{
    uint64_t best = 0;
    double nearest = INFINITY;
    for (size_t i = 0; i < index->document_count; i++) {
        uint64_t begin = index->documents[i];
        double off = fabs((double)(tokens - begin) - wanted);
        if (begin == 0 || begin == tokens || off >= nearest) continue;
        best = begin;
        nearest = off;
    }
    return best ? add_range(index, best, tokens) : one_document(path);
}

/* The shortest document with tokens. */
static size_t shortest(const rw_dataset_index *index, uint64_t tokens)
{
    size_t best = 0;
    uint64_t least = UINT64_MAX;
    for (size_t d = 0; d < index->document_count; d++) {
        uint64_t size = document_end(index, d, tokens) - index->documents[d];
        if (size == 0 || size >= least) continue;
        best = d;
        least = size;
    }
    return best;
}

/* Takes documents, in the order of the permutation, up to the number of tokens nearest to the
 * wanted number; neither none nor all. Skips a document that would lead farther away. */
static rw_status draw(const rw_heldout_rule *rule, uint64_t tokens, const char *path,
                      const rw_dataset_index *index, uint8_t *taken)
{
    size_t n = index->document_count;
    double wanted = (double)tokens * rule->share;
    uint64_t held = 0;
    rw_random order = rw_random_stream(rule->seed, RW_RANDOM_HELDOUT, 0);
    for (size_t i = 0; i < n && (double)held < wanted; i++) {
        size_t d = (size_t)rw_random_permute(order, i, n);
        uint64_t size = document_end(index, d, tokens) - index->documents[d];
        bool farther = (double)(held + size) - wanted > wanted - (double)held;
        if (size == 0 || farther || held + size == tokens) continue;
        taken[d] = 1;
        held += size;
    }
    if (held > 0) return RW_OK;
    size_t d = shortest(index, tokens);
    taken[d] = 1;
    if (document_end(index, d, tokens) - index->documents[d] == tokens) return one_document(path);
    return RW_OK;
}

static rw_status choose_shuffled(const rw_heldout_rule *rule, uint64_t tokens, const char *path,
                                 rw_dataset_index *index)
{
    rw_status status;
    uint8_t *taken;
    RW_TRY(rw_alloc(index->document_count, 1, "held-out documents", &taken));
    RW_TRY_DONE(draw(rule, tokens, path, index, taken));
    for (size_t d = 0; d < index->document_count; d++)
        if (taken[d])
            RW_TRY_DONE(add_range(index, index->documents[d], document_end(index, d, tokens)));
done:
    rw_free(&taken);
    return status;
}

static rw_status choose_files(uint64_t tokens, rw_dataset_index *index)
{
    for (size_t i = 0; i < index->source_count; i++) {
        rw_token_range r = rw_dataset_index_source(index, i, tokens);
        if (index->source_heldout[i]) RW_TRY(add_range(index, r.begin, r.end));
    }
    return RW_OK;
}

rw_status rw_heldout_choose(const rw_heldout_rule *rule, uint64_t tokens, const char *path,
                            rw_dataset_index *index)
{
    index->heldout_count = 0;
    if (rule->by == RW_HELDOUT_FILES) return choose_files(tokens, index);
    if (rule->share >= 1) return add_range(index, 0, tokens);
    if (rule->share <= 0) return RW_OK;
    double wanted = (double)tokens * rule->share;
    if (rule->by == RW_HELDOUT_DOCUMENT) return choose_documents(tokens, wanted, path, index);
    if (rule->by == RW_HELDOUT_SHUFFLED) return choose_shuffled(rule, tokens, path, index);
    return add_range(index, tokens - (uint64_t)wanted, tokens);
}
