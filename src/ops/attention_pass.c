#include "ops/attention_pass.h"

#include <omp.h>
#include <string.h>

#include "kernels/attention_block.h"
#include "mpi/fold.h"

typedef struct item item;

/* A kind of sum. */
typedef struct {
    bool of_keys; /* sums of rows of keys over queries; else of queries over keys */
    size_t (*slot)(int block, int width); /* reals of a value */
    void (*leaf)(const item *it, long other, real *value);
    void (*combine)(const item *it, const real *left, const real *right, real *out);
    void (*finish)(const item *it, const real *value);
} sum_kind;

/* One sum: a block of rows of one head of queries, or of keys. */
struct item {
    const rw_attention_work *work;
    const sum_kind *kind;
    const rw_attention_target *target;
    long sequence, block; /* the sequence among those of the matrices */
    int lane, head;       /* head: in the group */
    int rows;
    real *stack, *scratch; /* values of the fold; of the kernels */
    long *first;           /* (block) of the mask */
};

static const real *read_at(const rw_attention_rows *m, const item *it, long row, int column)
{
    return m->at + (size_t)it->sequence * m->sequence + (size_t)it->lane * m->lane +
           (size_t)(row - m->begin) * m->ld + column;
}

static real *write_at(const rw_attention_target *m, const item *it, long row, int column)
{
    return m->at + (size_t)it->sequence * m->sequence + (size_t)it->lane * m->lane +
           (size_t)(row - m->begin) * m->ld + column;
}

static int rows_of(const rw_attention_mask *mask, long block)
{
    long left = mask->length - block * mask->block;
    return left < mask->block ? (int)left : mask->block;
}

/* ---- Pairs of blocks ------------------------------------------------------------ */

static rw_attention_pair pair_of(const item *it, int head, long queries, long keys)
{
    const rw_attention_work *w = it->work;
    const long query = queries * w->mask->block, key = keys * w->mask->block;
    return (rw_attention_pair){
        .queries = rows_of(w->mask, queries),
        .keys = rows_of(w->mask, keys),
        .width = w->width,
        .query_begin = query,
        .key_begin = key,
        .first = it->first,
        .scale = w->scale,
        .q = read_at(&w->q, it, query, head * w->width),
        .k = read_at(&w->k, it, key, 0),
        .v = read_at(&w->v, it, key, 0),
        .q_ld = (int)w->q.ld,
        .k_ld = (int)w->k.ld,
        .v_ld = (int)w->v.ld,
    };
}

static rw_attention_rows_grad grad_of(const item *it, int head, long queries)
{
    const rw_attention_work *w = it->work;
    const long row = queries * w->mask->block;
    return (rw_attention_rows_grad){
        .dout = read_at(&w->dout, it, row, head * w->width),
        .logs = read_at(&w->logs, it, row, head),
        .dots = read_at(&w->dots, it, row, head),
        .dout_ld = (int)w->dout.ld,
        .logs_ld = (int)w->logs.ld,
        .dots_ld = (int)w->dots.ld,
    };
}

static void set_first(const item *it, long queries)
{
    rw_attention_mask_rows(it->work->mask, it->work->sequences.begin + it->sequence, queries,
                           it->first);
}

/* Rows (rows, width), dense, to where they belong. */
static void put(const item *it, const rw_attention_target *target, int column, const real *from)
{
    const int width = it->work->width;
    const long begin = it->block * it->work->mask->block;
    for (int t = 0; target->at && t < it->rows; t++, from += width) {
        real *to = write_at(target, it, begin + t, column);
        if (!target->add)
            memcpy(to, from, (size_t)width * sizeof(real));
        else
            for (int i = 0; i < width; i++) to[i] += from[i];
    }
}

/* ---- Kinds of sums -------------------------------------------------------------- */

static void leaf_forward(const item *it, long keys, real *value)
{
    rw_attention_pair pair = pair_of(it, it->head, it->block, keys);
    rw_attention_block_forward(&pair, value, it->scratch);
}

static void combine_forward(const item *it, const real *left, const real *right, real *out)
{
    rw_attention_combine(it->rows, it->work->width, left, right, out);
}

static void finish_forward(const item *it, const real *value)
{
    const int width = it->work->width;
    const long row = it->block * it->work->mask->block;
    rw_attention_finish(it->rows, width, value, write_at(&it->target[0], it, row, it->head * width),
                        (int)it->target[0].ld, write_at(&it->target[1], it, row, it->head),
                        (int)it->target[1].ld);
}

static const sum_kind forward_kind = {false, rw_attention_triple_reals, leaf_forward,
                                      combine_forward, finish_forward};

static size_t slot_queries(int block, int width)
{
    return (size_t)block * (size_t)width;
}

static void leaf_queries(const item *it, long keys, real *value)
{
    rw_attention_pair pair = pair_of(it, it->head, it->block, keys);
    rw_attention_rows_grad grad = grad_of(it, it->head, it->block);
    rw_attention_query_grad(&pair, &grad, value, it->scratch);
}

static void add_values(const item *it, const real *left, const real *right, real *out)
{
    const size_t n = it->kind->slot(it->rows, it->work->width);
#pragma omp simd
    for (size_t i = 0; i < n; i++) out[i] = left[i] + right[i];
}

static void finish_queries(const item *it, const real *value)
{
    put(it, &it->target[0], it->head * it->work->width, value);
}

static const sum_kind queries_kind = {false, slot_queries, leaf_queries, add_values,
                                      finish_queries};

/* dk, then dv. */
static size_t slot_keys(int block, int width)
{
    return 2 * slot_queries(block, width);
}

static void leaf_keys(const item *it, long queries, real *value)
{
    real *dv = value + slot_queries(it->rows, it->work->width);
    set_first(it, queries);
    for (int head = 0; head < it->work->group; head++) {
        rw_attention_pair pair = pair_of(it, head, queries, it->block);
        rw_attention_rows_grad grad = grad_of(it, head, queries);
        rw_attention_key_grad(&pair, &grad, head > 0, value, dv, it->scratch);
    }
}

static void finish_keys(const item *it, const real *value)
{
    put(it, &it->target[0], 0, value);
    put(it, &it->target[1], 0, value + slot_queries(it->rows, it->work->width));
}

static const sum_kind keys_kind = {true, slot_keys, leaf_keys, add_values, finish_keys};

/* ---- Memory ----------------------------------------------------------------------
 *
 *   of each thread: scratch | first rows | (not resumed) stack
 *   of each item, resumed: fold | stack
 */

static size_t reals_of(size_t bytes)
{
    return (bytes + 63) / 64 * 64 / sizeof(real);
}

static size_t first_reals(const rw_attention_work *w)
{
    return reals_of((size_t)w->mask->block * sizeof(long));
}

static size_t scratch_reals(const rw_attention_work *w)
{
    return reals_of(rw_attention_scratch_reals(w->mask->block) * sizeof(real));
}

/* Of the kind that needs the most: forward has two numbers a row more than dq. */
static size_t stack_reals(const rw_attention_work *w)
{
    const size_t keys = slot_keys(w->mask->block, w->width);
    const size_t triples = rw_attention_triple_reals(w->mask->block, w->width);
    const size_t slots = (size_t)rw_fold_slots(rw_attention_blocks(w->mask));
    return reals_of(slots * (keys > triples ? keys : triples) * sizeof(real));
}

static size_t thread_reals(const rw_attention_work *w, bool resumed)
{
    return scratch_reals(w) + first_reals(w) + (resumed ? 0 : stack_reals(w));
}

static size_t item_reals(const rw_attention_work *w)
{
    return reals_of(sizeof(rw_fold)) + stack_reals(w);
}

size_t rw_attention_pass_reals(const rw_attention_work *w, long lanes, long rows)
{
    const long blocks = (rows + w->mask->block - 1) / w->mask->block;
    return (size_t)w->threads * thread_reals(w, rows > 0) +
           (size_t)(lanes * w->group * blocks) * item_reals(w);
}

/* ---- Running ---------------------------------------------------------------------- */

static void combine_slots(void *context, int left, int right, int out)
{
    const item *it = context;
    const size_t slot = it->kind->slot(it->work->mask->block, it->work->width);
    it->kind->combine(it, it->stack + (size_t)left * slot, it->stack + (size_t)right * slot,
                      it->stack + (size_t)out * slot);
}

/* Adds the blocks of `now`, all seen and the next in order, to a sum over `seen`. */
static void extend(item *it, rw_fold *fold, rw_range seen, rw_range now)
{
    const bool upward = it->kind->of_keys;
    const size_t slot = it->kind->slot(it->work->mask->block, it->work->width);
    if (upward ? now.begin == seen.begin : now.end == seen.end)
        rw_fold_start(fold, seen.begin, seen.end);
    for (long n = 0; n < now.end - now.begin; n++) {
        long other = upward ? now.begin + n : now.end - 1 - n;
        it->kind->leaf(it, other, it->stack + (size_t)fold->depth * slot);
        rw_fold_push(fold, other, combine_slots, it);
    }
    if (upward ? now.end == seen.end : now.begin == seen.begin) it->kind->finish(it, it->stack);
}

static void run_item(item *it, rw_fold *fold)
{
    const rw_attention_work *w = it->work;
    const rw_attention_mask *mask = w->mask;
    const long sequence = w->sequences.begin + it->sequence;
    const rw_range seen = it->kind->of_keys ? rw_attention_queries_of(mask, sequence, it->block)
                                            : rw_attention_keys_of(mask, sequence, it->block);
    rw_range now = {w->arrived.begin / mask->block,
                    (w->arrived.end + mask->block - 1) / mask->block};
    if (now.begin < seen.begin) now.begin = seen.begin;
    if (now.end > seen.end) now.end = seen.end;
    if (now.begin >= now.end) return;
    it->rows = rows_of(mask, it->block);
    if (!it->kind->of_keys) set_first(it, it->block);
    extend(it, fold, seen, now);
}

/* Item n of the work, the last blocks first: of queries they see the most keys. */
static item item_at(const rw_attention_work *w, const sum_kind *kind,
                    const rw_attention_target *target, long n)
{
    const long first = w->rows.begin / w->mask->block;
    const long blocks = (w->rows.end + w->mask->block - 1) / w->mask->block - first;
    const long heads = kind->of_keys ? 1 : w->group, each = w->lanes * heads;
    const long sequences = w->sequences.end - w->sequences.begin;
    const long block = n / (each * sequences), rest = n % (each * sequences);
    return (item){.work = w,
                  .kind = kind,
                  .target = target,
                  .sequence = rest / each,
                  .block = first + (kind->of_keys ? block : blocks - 1 - block),
                  .lane = (int)(rest % each / heads),
                  .head = (int)(rest % heads)};
}

static long item_count(const rw_attention_work *w, const sum_kind *kind)
{
    const long first = w->rows.begin / w->mask->block;
    const long blocks = (w->rows.end + w->mask->block - 1) / w->mask->block - first;
    return blocks * (w->sequences.end - w->sequences.begin) * w->lanes *
           (kind->of_keys ? 1 : w->group);
}

static void run(const rw_attention_work *w, const sum_kind *kind, const rw_attention_target *target)
{
    const long items = item_count(w, kind);
    real *kept = w->memory + (size_t)w->threads * thread_reals(w, w->resumed);
#pragma omp parallel for schedule(dynamic) num_threads(w->threads)
    for (long n = 0; n < items; n++) {
        real *own = w->memory + (size_t)omp_get_thread_num() * thread_reals(w, w->resumed);
        real *sums = kept + (size_t)n * item_reals(w);
        item it = item_at(w, kind, target, n);
        rw_fold here;
        it.scratch = own;
        it.first = (long *)(void *)(own + scratch_reals(w));
        it.stack =
            w->resumed ? sums + reals_of(sizeof(rw_fold)) : own + scratch_reals(w) + first_reals(w);
        run_item(&it, w->resumed ? (rw_fold *)(void *)sums : &here);
    }
}

void rw_attention_forward(const rw_attention_work *work, rw_attention_target out,
                          rw_attention_target logs)
{
    run(work, &forward_kind, (rw_attention_target[]){out, logs});
}

void rw_attention_backward_queries(const rw_attention_work *work, rw_attention_target dq)
{
    if (dq.at) run(work, &queries_kind, &dq);
}

void rw_attention_backward_keys(const rw_attention_work *work, rw_attention_target dk,
                                rw_attention_target dv)
{
    if (dk.at || dv.at) run(work, &keys_kind, (rw_attention_target[]){dk, dv});
}
