/* Declared in ops/attention/attention_pass.h. Example: a causal mask over blocks 0, 1 and 2, a slab
 * with two heads of queries, all operands present:
 *
 *   rw_attention_forward
 *     run(forward_kind)           threads: a sum each: (block 2, head 0), (block 2, head 1), ...
 *       run_item(block 2, head 0)
 *         extend                  start_forward; add_keys 2, 1, 0; finish_forward writes out, logs
 *   rw_attention_backward         with at least as many slabs as threads:
 *     run_slabs                   threads: a slab each
 *       run_slab
 *         add_keys_of_slab(2)     add_pair: queries 2; put_keys writes dk, dv of block 2
 *         add_keys_of_slab(1)     add_pair: queries 1, 2, both heads; put_keys
 *         add_keys_of_slab(0)     add_pair: queries 0, 1, 2; put_keys
 *         put_queries             writes dq of all blocks
 *                                 with fewer slabs, each pair of blocks is computed twice:
 *     run(queries_kind)           dq: a sum for each block and head
 *     run(keys_kind)              dk, dv: a sum for each block
 *
 * If keys 1 and 2 arrive before keys 0, run is called twice. The first run of block 2 starts a sum
 * and adds keys 2 and 1; the sum waits in memory; the second run adds keys 0 and finishes. */
#include "ops/attention/attention_pass.h"

#include <omp.h>
#include <string.h>

#include "kernels/attention_block.h"

typedef struct item item;

/* A kind of sum. */
typedef struct {
    bool of_keys;                         /* sums of rows of keys over queries; else of queries
                                             over keys */
    size_t (*reals)(int rows, int width); /* of a sum */
    void (*start)(const item *it);
    void (*add)(const item *it, long other);
    void (*finish)(const item *it);
} sum_kind;

/* A sum: a block of rows of a head of queries, or of keys. */
struct item {
    const rw_attention_work *work;
    const sum_kind *kind;
    const rw_attention_target *target;
    long sequence, block; /* the sequence, counted in the matrices */
    int slab, head;       /* head: in the group */
    int rows;
    real *sum, *packed, *scratch;
    long *first; /* (block) of the mask */
};

static const real *read_at(const rw_attention_rows *m, const item *it, long row, int column)
{
    return m->at + (size_t)it->sequence * m->sequence + (size_t)it->slab * m->slab +
           (size_t)(row - m->begin) * m->ld + column;
}

static real *write_at(const rw_attention_target *m, const item *it, long row, int column)
{
    return m->at + (size_t)it->sequence * m->sequence + (size_t)it->slab * m->slab +
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

/* ---- Kinds of sums -------------------------------------------------------------- */

static void start_forward(const item *it)
{
    rw_attention_pair pair = pair_of(it, it->head, it->block, it->block);
    rw_attention_start(&pair, it->sum);
}

static void add_keys(const item *it, long keys)
{
    rw_attention_pair pair = pair_of(it, it->head, it->block, keys);
    rw_attention_add(&pair, it->sum, it->scratch);
}

static void finish_forward(const item *it)
{
    const int width = it->work->width;
    const long row = it->block * it->work->mask->block;
    rw_attention_finish(it->rows, width, it->sum,
                        write_at(&it->target[0], it, row, it->head * width), (int)it->target[0].ld,
                        write_at(&it->target[1], it, row, it->head), (int)it->target[1].ld);
}

static const sum_kind forward_kind = {false, rw_attention_gathered_reals, start_forward, add_keys,
                                      finish_forward};

static void start_gradients(const item *it)
{
    memset(it->sum, 0, it->kind->reals(it->work->mask->block, it->work->width) * sizeof(real));
}

/* Adds the terms of a pair of blocks to dq, dk and dv; keys are packed. */
static void add_pair(const item *it, int head, long queries, long keys, real *dq, real *dk,
                     real *dv)
{
    rw_attention_pair pair = pair_of(it, head, queries, keys);
    rw_attention_rows_grad grad = grad_of(it, head, queries);
    rw_attention_gradients(&pair, it->packed, &grad, dq, dk, dv, it->scratch);
}

/* queries: any present block. */
static void pack_keys(const item *it, long queries, long keys)
{
    rw_attention_pair pair = pair_of(it, 0, queries, keys);
    rw_attention_pack(&pair, it->packed);
}

static void add_to_queries(const item *it, long keys)
{
    pack_keys(it, it->block, keys);
    add_pair(it, it->head, it->block, keys, it->sum, NULL, NULL);
}

static void put_queries(const item *it, const rw_attention_target *target, int head, long queries,
                        const real *sum)
{
    const rw_attention_mask *mask = it->work->mask;
    const int width = it->work->width;
    rw_attention_put_queries(rows_of(mask, queries), width, sum, target->add,
                             write_at(target, it, queries * mask->block, head * width),
                             (int)target->ld);
}

static void finish_queries(const item *it)
{
    put_queries(it, &it->target[0], it->head, it->block, it->sum);
}

static const sum_kind queries_kind = {false, rw_attention_gradient_reals, start_gradients,
                                      add_to_queries, finish_queries};

/* dk, then dv. */
static size_t keys_reals(int rows, int width)
{
    return 2 * rw_attention_gradient_reals(rows, width);
}

static real *values_of(const item *it, real *sum)
{
    return sum + rw_attention_gradient_reals(it->work->mask->block, it->work->width);
}

static void add_to_keys(const item *it, long queries)
{
    set_first(it, queries);
    for (int head = 0; head < it->work->group; head++)
        add_pair(it, head, queries, it->block, NULL, it->sum, values_of(it, it->sum));
}

static void put_keys(const item *it, const rw_attention_target *target, long keys, const real *sum)
{
    const rw_attention_mask *mask = it->work->mask;
    if (target->at)
        rw_attention_put_keys(rows_of(mask, keys), it->work->width, sum, target->add,
                              write_at(target, it, keys * mask->block, 0), (int)target->ld);
}

static void finish_keys(const item *it)
{
    put_keys(it, &it->target[0], it->block, it->sum);
    put_keys(it, &it->target[1], it->block, values_of(it, it->sum));
}

static const sum_kind keys_kind = {true, keys_reals, start_gradients, add_to_keys, finish_keys};

/* ---- Memory ----------------------------------------------------------------------
 *
 *   of each thread: scratch | packed keys | first rows | (not resumed) a sum, dq of a slab
 *   of each item, resumed: a sum */

static size_t reals_of(size_t bytes)
{
    return (bytes + 63) / 64 * 64 / sizeof(real);
}

static size_t rounded(size_t reals)
{
    return reals_of(reals * sizeof(real));
}

/* The size of the largest kind of sum. */
static size_t sum_reals(const rw_attention_work *w)
{
    const int block = w->mask->block;
    const size_t keys = keys_reals(block, w->width);
    const size_t gathered = rw_attention_gathered_reals(block, w->width);
    return rounded(keys > gathered ? keys : gathered);
}

static size_t slab_reals(const rw_attention_work *w)
{
    return (size_t)(w->group * rw_attention_blocks(w->mask)) *
           rw_attention_gradient_reals(w->mask->block, w->width);
}

static size_t thread_reals(const rw_attention_work *w, bool resumed)
{
    const int block = w->mask->block;
    return rounded(rw_attention_scratch_reals(block, w->width)) +
           rounded(rw_attention_packed_reals(block, w->width)) +
           reals_of((size_t)block * sizeof(long)) +
           (resumed ? 0 : sum_reals(w) + rounded(slab_reals(w)));
}

size_t rw_attention_pass_reals(const rw_attention_work *w, long slabs, long rows)
{
    const long blocks = (rows + w->mask->block - 1) / w->mask->block;
    return (size_t)w->threads * thread_reals(w, rows > 0) +
           (size_t)(slabs * w->group * blocks) * sum_reals(w);
}

/* Gives the item the memory of its thread; returns the memory after the sum. */
static real *use_thread(item *it)
{
    const rw_attention_work *w = it->work;
    const int block = w->mask->block;
    real *at = w->memory + (size_t)omp_get_thread_num() * thread_reals(w, w->resumed);
    it->scratch = at;
    it->packed = at += rounded(rw_attention_scratch_reals(block, w->width));
    at += rounded(rw_attention_packed_reals(block, w->width));
    it->first = (long *)(void *)at;
    it->sum = at += reals_of((size_t)block * sizeof(long));
    return at + sum_reals(w);
}

/* ---- One sum at a time ------------------------------------------------------------ */

/* Adds the blocks of `now`, all seen and the next in order, to a sum over `seen`. */
static void extend(const item *it, rw_range seen, rw_range now)
{
    const bool upward = it->kind->of_keys;
    if (upward ? now.begin == seen.begin : now.end == seen.end) it->kind->start(it);
    if (upward) pack_keys(it, now.begin, it->block);
    for (long n = 0; n < now.end - now.begin; n++)
        it->kind->add(it, upward ? now.begin + n : now.end - 1 - n);
    if (upward ? now.end == seen.end : now.begin == seen.begin) it->kind->finish(it);
}

static void run_item(item *it)
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
    extend(it, seen, now);
}

/* Item n of the work. The last blocks come first: the last blocks of queries see the most keys. */
static item item_at(const rw_attention_work *w, const sum_kind *kind,
                    const rw_attention_target *target, long n)
{
    const long first = w->rows.begin / w->mask->block;
    const long blocks = (w->rows.end + w->mask->block - 1) / w->mask->block - first;
    const long heads = kind->of_keys ? 1 : w->group, each = w->slabs * heads;
    const long sequences = w->sequences.end - w->sequences.begin;
    const long block = n / (each * sequences), rest = n % (each * sequences);
    return (item){.work = w,
                  .kind = kind,
                  .target = target,
                  .sequence = rest / each,
                  .block = first + (kind->of_keys ? block : blocks - 1 - block),
                  .slab = (int)(rest % each / heads),
                  .head = (int)(rest % heads)};
}

static long item_count(const rw_attention_work *w, const sum_kind *kind)
{
    const long first = w->rows.begin / w->mask->block;
    const long blocks = (w->rows.end + w->mask->block - 1) / w->mask->block - first;
    return blocks * (w->sequences.end - w->sequences.begin) * w->slabs *
           (kind->of_keys ? 1 : w->group);
}

static void run(const rw_attention_work *w, const sum_kind *kind, const rw_attention_target *target)
{
    const long items = item_count(w, kind);
    real *kept = w->memory + (size_t)w->threads * thread_reals(w, w->resumed);
#pragma omp parallel for schedule(dynamic) num_threads(w->threads)
    for (long n = 0; n < items; n++) {
        item it = item_at(w, kind, target, n);
        use_thread(&it);
        if (w->resumed) it.sum = kept + (size_t)n * sum_reals(w);
        run_item(&it);
    }
}

/* ---- All gradients of a slab in one go --------------------------------------------
 *
 * Keys from the last to the first, queries from the first to the last: the order in
 * which the sums above are taken, so they have the same bits. */

enum { TARGET_DQ, TARGET_DK, TARGET_DV, TARGETS };

/* `at` of the sums of a slab. */
static real *dq_of(const item *it, real *sums, int head, long queries)
{
    const rw_attention_mask *mask = it->work->mask;
    return sums + (size_t)(head * rw_attention_blocks(mask) + queries) *
                      rw_attention_gradient_reals(mask->block, it->work->width);
}

static void add_keys_of_slab(const item *it, long keys, real *sums)
{
    const rw_attention_work *w = it->work;
    const rw_range seen = rw_attention_queries_of(w->mask, w->sequences.begin + it->sequence, keys);
    start_gradients(it);
    pack_keys(it, keys, keys);
    for (long queries = seen.begin; queries < seen.end; queries++) {
        set_first(it, queries);
        for (int head = 0; head < w->group; head++)
            add_pair(it, head, queries, keys, dq_of(it, sums, head, queries), it->sum,
                     values_of(it, it->sum));
    }
    put_keys(it, &it->target[TARGET_DK], keys, it->sum);
    put_keys(it, &it->target[TARGET_DV], keys, values_of(it, it->sum));
}

static void run_slab(item *it)
{
    const rw_attention_work *w = it->work;
    const long blocks = rw_attention_blocks(w->mask);
    real *sums = use_thread(it);
    memset(sums, 0, slab_reals(w) * sizeof(real));
    for (long keys = blocks - 1; keys >= 0; keys--) add_keys_of_slab(it, keys, sums);
    for (int head = 0; it->target[TARGET_DQ].at && head < w->group; head++)
        for (long queries = 0; queries < blocks; queries++)
            put_queries(it, &it->target[TARGET_DQ], head, queries, dq_of(it, sums, head, queries));
}

static void run_slabs(const rw_attention_work *w, const rw_attention_target *target)
{
    const long slabs = w->slabs * (w->sequences.end - w->sequences.begin);
#pragma omp parallel for schedule(dynamic) num_threads(w->threads)
    for (long n = 0; n < slabs; n++) {
        item it = {.work = w,
                   .kind = &keys_kind,
                   .target = target,
                   .sequence = n / w->slabs,
                   .slab = (int)(n % w->slabs)};
        run_slab(&it);
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

void rw_attention_backward(const rw_attention_work *work, rw_attention_target dq,
                           rw_attention_target dk, rw_attention_target dv)
{
    if (work->slabs * (work->sequences.end - work->sequences.begin) >= work->threads) {
        run_slabs(work, (rw_attention_target[TARGETS]){dq, dk, dv});
    } else {
        rw_attention_backward_queries(work, dq);
        rw_attention_backward_keys(work, dk, dv);
    }
}
