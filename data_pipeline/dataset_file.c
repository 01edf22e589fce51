#include "data_pipeline/dataset_file.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "storage/content_hash.h"
#include "storage/durable_file.h"
#include "storage/zstd_frame.h"

#define CACHED_CHUNKS 16 /* 4 MiB */

typedef struct {
    uint64_t chunk; /* plus one; 0: empty */
    uint64_t last_use;
    uint8_t *tokens;
} cached_chunk;

struct rw_dataset {
    char *path;
    int file;
    rw_dataset_header header;
    rw_dataset_facts facts;
    rw_dataset_index index;
    pthread_mutex_t lock; /* guards all members below */
    cached_chunk cache[CACHED_CHUNKS];
    int cached;
    uint64_t uses;
    uint8_t *cache_memory, *frame;
    rw_framer *framer;
};

/* Only a regular file is opened: a pipe would wait for its writer. */
static rw_status open_file(rw_dataset *d, uint64_t *bytes)
{
    struct stat about;
    d->file = open(d->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (d->file < 0)
        return rw_fail(RW_ERROR,
                       "cannot open the dataset %s: %s; make it with `ropewalk data "
                       "build %s INPUT...`",
                       d->path, strerror(errno), d->path);
    if (fstat(d->file, &about) < 0)
        return rw_fail(RW_ERROR, "cannot inspect the dataset %s: %s", d->path, strerror(errno));
    if (!S_ISREG(about.st_mode))
        return rw_fail(RW_ERROR,
                       "the dataset %s is %s, not a file; name the file that `ropewalk data "
                       "build` wrote",
                       d->path, S_ISDIR(about.st_mode) ? "a folder" : "a pipe or a device");
    *bytes = (uint64_t)about.st_size;
    return RW_OK;
}

static rw_status read_header(rw_dataset *d)
{
    uint8_t begin[RW_DATASET_HEADER];
    uint64_t bytes = 0;
    RW_TRY(open_file(d, &bytes));
    size_t count = bytes < sizeof begin ? bytes : sizeof begin;
    RW_TRY(rw_file_read_at(d->file, d->path, 0, begin, count));
    return rw_dataset_header_read(begin, count, bytes, d->path, &d->header);
}

static void set_facts(rw_dataset *d)
{
    const rw_dataset_header *h = &d->header;
    d->facts = (rw_dataset_facts){
        .tokens = h->tokens,
        .heldout = rw_dataset_index_heldout(&d->index),
        .chunks = rw_dataset_chunks(h->tokens),
        .content_hash = h->content_hash,
        .heldout_by = h->heldout_by,
        .heldout_share = h->heldout_share,
        .seed = h->seed,
        .vocab = h->alphabet[0] ? (int)strlen(h->alphabet) : 256,
    };
    memcpy(d->facts.alphabet, h->alphabet, sizeof d->facts.alphabet);
}

static rw_status allocate_cache(rw_dataset *d)
{
    d->cached = d->facts.chunks < CACHED_CHUNKS ? (int)d->facts.chunks : CACHED_CHUNKS;
    RW_TRY(rw_alloc((size_t)d->cached, RW_DATASET_CHUNK, "chunks of a dataset", &d->cache_memory));
    for (int i = 0; i < d->cached; i++)
        d->cache[i].tokens = d->cache_memory + (size_t)i * RW_DATASET_CHUNK;
    RW_TRY(rw_alloc(rw_frame_limit(RW_DATASET_CHUNK), 1, "a compressed chunk", &d->frame));
    return rw_framer_new(RW_DATASET_CHUNK, 0, &d->framer);
}

rw_status rw_dataset_open(const char *path, rw_dataset **out)
{
    rw_status status;
    rw_dataset *d;
    *out = NULL;
    RW_TRY(rw_alloc(1, sizeof *d, "a dataset", &d));
    d->file = -1;
    pthread_mutex_init(&d->lock, NULL);
    RW_TRY_DONE(rw_strdup(path, &d->path));
    RW_TRY_DONE(read_header(d));
    RW_TRY_DONE(rw_dataset_index_read(d->file, d->path, &d->header, &d->index));
    set_facts(d);
    RW_TRY_DONE(allocate_cache(d));
done:
    if (status != RW_OK)
        rw_dataset_close(&d);
    else
        *out = d;
    return status;
}

void rw_dataset_close(rw_dataset **pointer)
{
    rw_dataset *d = *pointer;
    if (!d) return;
    if (d->file >= 0) close(d->file);
    rw_dataset_index_free(&d->index);
    rw_framer_destroy(&d->framer);
    pthread_mutex_destroy(&d->lock);
    rw_free(&d->cache_memory);
    rw_free(&d->frame);
    rw_free(&d->path);
    rw_free(pointer);
}

const rw_dataset_facts *rw_dataset_describe(const rw_dataset *d)
{
    return &d->facts;
}

const rw_dataset_index *rw_dataset_lists(const rw_dataset *d)
{
    return &d->index;
}

const rw_dataset_header *rw_dataset_begin(const rw_dataset *d)
{
    return &d->header;
}

rw_status rw_dataset_hash_rest(rw_dataset *d, uint64_t *out)
{
    return rw_file_hash_rest(d->file, d->path, RW_DATASET_HEADER, d->header.file_bytes, out);
}

static rw_status bad_chunk(const rw_dataset *d, uint64_t chunk, const char *reason)
{
    return rw_fail(RW_ERROR,
                   "%s: chunk %llu of %llu is damaged: %s; check with `ropewalk data "
                   "verify`, then restore or rebuild the file",
                   d->path, (unsigned long long)chunk, (unsigned long long)d->facts.chunks, reason);
}

static rw_status check_tokens(const rw_dataset *d, uint64_t chunk, const uint8_t *tokens)
{
    if (rw_hash(tokens, RW_DATASET_CHUNK) != d->index.chunk_hashes[chunk])
        return bad_chunk(d, chunk, "its hash differs from the one in 'chunk_hashes'");
    uint8_t largest = 0;
    for (int i = 0; i < RW_DATASET_CHUNK; i++) largest = tokens[i] > largest ? tokens[i] : largest;
    if (largest >= d->facts.vocab) return bad_chunk(d, chunk, "a token is outside the vocabulary");
    return RW_OK;
}

static rw_status load_chunk(rw_dataset *d, uint64_t chunk, uint8_t *tokens)
{
    size_t stored = d->index.chunk_sizes[chunk];
    RW_TRY(rw_file_read_at(d->file, d->path, d->index.chunk_offsets[chunk], d->frame, stored));
    const char *wrong = rw_framer_unpack(d->framer, d->frame, stored, tokens, RW_DATASET_CHUNK);
    if (wrong) return bad_chunk(d, chunk, wrong);
    return check_tokens(d, chunk, tokens);
}

/* The chunk from the cache, or in place of the least recently used chunk. */
static rw_status get_chunk(rw_dataset *d, uint64_t chunk, const uint8_t **out)
{
    cached_chunk *oldest = &d->cache[0], *slot = NULL;
    for (int i = 0; i < d->cached && !slot; i++) {
        if (d->cache[i].chunk == chunk + 1) slot = &d->cache[i];
        if (d->cache[i].last_use < oldest->last_use) oldest = &d->cache[i];
    }
    if (!slot) {
        slot = oldest;
        slot->chunk = 0;
        RW_TRY(load_chunk(d, chunk, slot->tokens));
        slot->chunk = chunk + 1;
    }
    slot->last_use = ++d->uses;
    *out = slot->tokens;
    return RW_OK;
}

static rw_status read_locked(rw_dataset *d, uint64_t first, uint64_t count, uint8_t *out)
{
    while (count > 0) {
        const uint8_t *tokens;
        uint64_t from = first % RW_DATASET_CHUNK;
        uint64_t part = RW_DATASET_CHUNK - from < count ? RW_DATASET_CHUNK - from : count;
        RW_TRY(get_chunk(d, first / RW_DATASET_CHUNK, &tokens));
        memcpy(out, tokens + from, part);
        out += part;
        first += part;
        count -= part;
    }
    return RW_OK;
}

rw_status rw_dataset_read(rw_dataset *d, uint64_t first, uint64_t count, uint8_t *out)
{
    if (first > d->facts.tokens || count > d->facts.tokens - first)
        return rw_fail(RW_ERROR, "%s: tokens %llu to %llu are beyond its %llu tokens", d->path,
                       (unsigned long long)first, (unsigned long long)(first + count),
                       (unsigned long long)d->facts.tokens);
    pthread_mutex_lock(&d->lock);
    rw_status status = read_locked(d, first, count, out);
    pthread_mutex_unlock(&d->lock);
    return status;
}
