#include "data_pipeline/split_view.h"

#include "base/memory.h"

static rw_status add(rw_split_view *v, uint64_t begin, uint64_t end)
{
    if (begin == end) return RW_OK;
    RW_TRY(rw_grow(&v->ranges, &v->capacity, v->count + 1, sizeof *v->ranges));
    RW_TRY(rw_grow(&v->places, &v->place_capacity, v->count + 1, sizeof *v->places));
    v->ranges[v->count] = (rw_token_range){begin, end};
    v->places[v->count++] = v->tokens;
    v->tokens += end - begin;
    return RW_OK;
}

static rw_status add_part(rw_split_view *v, rw_part part)
{
    const rw_dataset_index *index = rw_dataset_lists(v->dataset);
    uint64_t tokens = rw_dataset_describe(v->dataset)->tokens, at = 0;
    if (part == RW_PART_ALL) return add(v, 0, tokens);
    for (size_t i = 0; i < index->heldout_count; i++) {
        rw_token_range r = index->heldout[i];
        RW_TRY(part == RW_PART_HELDOUT ? add(v, r.begin, r.end) : add(v, at, r.begin));
        at = r.end;
    }
    return part == RW_PART_TRAINING ? add(v, at, tokens) : RW_OK;
}

rw_status rw_split_view_make(rw_dataset *dataset, rw_part part, bool documents, rw_split_view *out)
{
    *out = (rw_split_view){.dataset = dataset, .documents = documents};
    rw_status status = add_part(out, part);
    if (status != RW_OK) rw_split_view_free(out);
    return status;
}

void rw_split_view_free(rw_split_view *view)
{
    rw_free(&view->ranges);
    rw_free(&view->places);
    *view = (rw_split_view){0};
}

/* The range that holds `place`; the last range for places after the end. */
static size_t range_of(const rw_split_view *v, uint64_t place)
{
    size_t low = 0, high = v->count;
    while (high - low > 1) {
        size_t middle = (low + high) / 2;
        if (v->places[middle] <= place)
            low = middle;
        else
            high = middle;
    }
    return low;
}

rw_status rw_split_view_read(const rw_split_view *v, uint64_t first, uint64_t count, uint8_t *out)
{
    for (size_t i = count ? range_of(v, first) : v->count; count > 0; i++) {
        uint64_t from = first - v->places[i], left = v->ranges[i].end - v->ranges[i].begin - from;
        uint64_t part = left < count ? left : count;
        RW_TRY(rw_dataset_read(v->dataset, v->ranges[i].begin + from, part, out));
        first += part;
        count -= part;
        out += part;
    }
    return RW_OK;
}

/* The first document that begins at or after token `token` of the file. */
static size_t document_from(const rw_dataset_index *index, uint64_t token)
{
    size_t low = 0, high = index->document_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (index->documents[middle] < token)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void rw_split_view_documents(const rw_split_view *v, uint64_t first, uint64_t last,
                             void (*visit)(void *context, uint64_t place), void *context)
{
    if (!v->documents || v->count == 0) return;
    const rw_dataset_index *index = rw_dataset_lists(v->dataset);
    for (size_t i = range_of(v, first); i < v->count && v->places[i] <= last; i++) {
        rw_token_range r = v->ranges[i];
        uint64_t place = v->places[i], from = first > place ? r.begin + (first - place) : r.begin;
        for (size_t d = document_from(index, from); d < index->document_count; d++) {
            uint64_t at = index->documents[d];
            if (at >= r.end || place + (at - r.begin) > last) break;
            visit(context, place + (at - r.begin));
        }
    }
}

typedef struct {
    uint64_t count, last;
} counter;

static void count_new(void *context, uint64_t place)
{
    counter *c = context;
    c->count += place != c->last;
    c->last = place;
}

uint64_t rw_split_view_targets(const rw_split_view *v)
{
    if (v->tokens < 2) return 0;
    counter beginnings = {0, 0};
    rw_split_view_documents(v, 1, v->tokens - 1, count_new, &beginnings);
    return v->tokens - 1 - beginnings.count;
}
