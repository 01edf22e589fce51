/* Two batches: the caller has one, the thread reads the other. Step s uses slot s % 2. */
#include "data_pipeline/loader.h"

#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "base/memory.h"

struct rw_loader {
    rw_source *source;
    rw_split_name split;
    uint64_t batch;
    rw_range sequences, rows;
    rw_batch slots[2];
    uint64_t seen; /* sequences before the first batch */
    uint64_t next; /* the batch the caller gets next */
    pthread_t thread;
    bool started;
    pthread_mutex_t lock; /* guards all members below */
    pthread_cond_t changed;
    bool full[2]; /* the thread may not touch the slot */
    bool lent;    /* the caller has batch next - 1 */
    bool stop;
    rw_status status; /* of the thread */
};

static rw_status allocate_batch(const rw_loader *l, rw_batch *batch)
{
    const rw_format *f = rw_source_format(l->source);
    batch->sequences = l->sequences.end - l->sequences.begin;
    batch->rows = l->rows.end - l->rows.begin;
    batch->feature_width = f->features;
    batch->target_width = f->target_features;
    size_t rows = (size_t)batch->sequences * (size_t)batch->rows;
    if (f->vocab > 0)
        RW_TRY(rw_alloc(rows, sizeof(int32_t), "tokens of a batch", &batch->tokens));
    else
        RW_TRY(rw_alloc(rows * (size_t)f->features, sizeof(real), "features of a batch",
                        &batch->features));
    if (rw_source_has_documents(l->source))
        RW_TRY(rw_alloc(rows, 1, "documents of a batch", &batch->starts));
    if (f->target_vocab > 0)
        RW_TRY(rw_alloc(rows, sizeof(int32_t), "targets of a batch", &batch->targets));
    else
        RW_TRY(rw_alloc(rows * (size_t)f->target_features, sizeof(real),
                        "target features of a batch", &batch->target_features));
    return RW_OK;
}

static void free_batch(rw_batch *batch)
{
    rw_free(&batch->tokens);
    rw_free(&batch->targets);
    rw_free(&batch->features);
    rw_free(&batch->target_features);
    rw_free(&batch->starts);
}

static rw_sequence sequence_of(const rw_format *f, const rw_batch *batch, long sequence)
{
    size_t first = (size_t)sequence * (size_t)batch->rows;
    return (rw_sequence){
        .tokens = batch->tokens ? batch->tokens + first : NULL,
        .targets = batch->targets ? batch->targets + first : NULL,
        .starts = batch->starts ? batch->starts + first : NULL,
        .features = batch->features ? batch->features + first * (size_t)f->features : NULL,
        .target_features = batch->target_features
                               ? batch->target_features + first * (size_t)f->target_features
                               : NULL,
    };
}

static long count_targets(const rw_format *f, const rw_batch *batch)
{
    long counted = 0;
    for (long row = 0; row < batch->sequences * batch->rows; row++) {
        if (batch->targets)
            counted += batch->targets[row] != RW_IGNORE;
        else
            counted += !isnan(batch->target_features[row * f->target_features]);
    }
    return counted;
}

static rw_status fill(rw_loader *l, rw_batch *batch, uint64_t number)
{
    const rw_format *f = rw_source_format(l->source);
    for (long i = 0; i < batch->sequences && batch->rows > 0; i++) {
        rw_sequence out = sequence_of(f, batch, i);
        uint64_t index = l->seen + number * l->batch + (uint64_t)(l->sequences.begin + i);
        RW_TRY(rw_source_read(l->source, l->split, index, l->rows.begin, batch->rows, &out));
    }
    uint64_t first = l->seen + number * l->batch;
    batch->position = (long)rw_source_position(l->source, l->split, first);
    batch->counted = count_targets(f, batch);
    return RW_OK;
}

/* Waits until the slot is free; false: to stop. */
static bool await_free(rw_loader *l, int slot)
{
    pthread_mutex_lock(&l->lock);
    while (l->full[slot] && !l->stop) pthread_cond_wait(&l->changed, &l->lock);
    bool go_on = !l->stop;
    pthread_mutex_unlock(&l->lock);
    return go_on;
}

static void *read_ahead(void *context)
{
    rw_loader *l = context;
    rw_status status = RW_OK;
    for (uint64_t number = 0; status == RW_OK && await_free(l, (int)(number % 2)); number++) {
        status = fill(l, &l->slots[number % 2], number);
        pthread_mutex_lock(&l->lock);
        l->status = status;
        l->full[number % 2] = status == RW_OK;
        pthread_cond_broadcast(&l->changed);
        pthread_mutex_unlock(&l->lock);
    }
    return NULL;
}

/* Signals (time limit, requeue) are for the main thread. */
static rw_status start_thread(rw_loader *l)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&l->thread, NULL, read_ahead, l);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error)
        return rw_fail(RW_ERROR,
                       "cannot start the thread that reads data: %s; check the limit on "
                       "processes (ulimit -u)",
                       strerror(error));
    l->started = true;
    return RW_OK;
}

rw_status rw_loader_new(rw_source *source, rw_split_name split, long batch, rw_range sequences,
                        rw_range rows, uint64_t seen, rw_loader **out)
{
    rw_status status;
    rw_loader *l;
    *out = NULL;
    RW_TRY(rw_alloc(1, sizeof *l, "a data loader", &l));
    l->source = source;
    l->split = split;
    l->batch = (uint64_t)batch;
    l->sequences = sequences;
    l->rows = rows;
    l->seen = seen;
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->changed, NULL);
    for (int i = 0; i < 2; i++) RW_TRY_DONE(allocate_batch(l, &l->slots[i]));
    RW_TRY_DONE(start_thread(l));
done:
    if (status != RW_OK)
        rw_loader_destroy(&l);
    else
        *out = l;
    return status;
}

void rw_loader_destroy(rw_loader **pointer)
{
    rw_loader *l = *pointer;
    if (!l) return;
    if (l->started) {
        pthread_mutex_lock(&l->lock);
        l->stop = true;
        pthread_cond_broadcast(&l->changed);
        pthread_mutex_unlock(&l->lock);
        pthread_join(l->thread, NULL);
    }
    for (int i = 0; i < 2; i++) free_batch(&l->slots[i]);
    pthread_cond_destroy(&l->changed);
    pthread_mutex_destroy(&l->lock);
    rw_free(pointer);
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

rw_status rw_loader_next(rw_loader *l, const rw_batch **out)
{
    int slot = (int)(l->next % 2);
    *out = NULL;
    pthread_mutex_lock(&l->lock);
    if (l->lent) l->full[1 - slot] = false;
    l->lent = false;
    pthread_cond_broadcast(&l->changed);
    double begin = seconds();
    while (!l->full[slot] && l->status == RW_OK) pthread_cond_wait(&l->changed, &l->lock);
    rw_status status = l->full[slot] ? RW_OK : l->status;
    if (status == RW_OK) {
        l->slots[slot].wait_s = seconds() - begin;
        l->lent = true;
        l->next++;
        *out = &l->slots[slot];
    }
    pthread_mutex_unlock(&l->lock);
    return status;
}
