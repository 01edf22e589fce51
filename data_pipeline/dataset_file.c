#include "data_pipeline/dataset_file.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "data_pipeline/dataset_fields.h"
#include "storage/content_hash.h"
#include "storage/hdf5_access.h"
#include "storage/zstd_frame.h"

#define CACHED_CHUNKS 16 /* 4 MiB */

static const char *const rebuild = "build the dataset again with `ropewalk data build`";

typedef struct {
    uint64_t chunk; /* plus one; 0: empty */
    uint64_t last_use;
    uint8_t *tokens;
} cached_chunk;

struct rw_dataset {
    char *path;
    hid_t file, tokens;
    rw_dataset_facts facts;
    uint64_t *chunk_hashes;
    pthread_mutex_t lock; /* guards all that follows */
    cached_chunk cache[CACHED_CHUNKS];
    int cached;
    uint64_t uses;
    uint8_t *cache_memory;
    rw_framer *framer;
};

uint64_t rw_dataset_content_hash(uint64_t token_hash, const char *alphabet, uint64_t heldout_begin)
{
    uint64_t parts[3] = {token_hash, heldout_begin, rw_hash(alphabet, strlen(alphabet))};
    return rw_hash(parts, sizeof parts);
}

static rw_status open_file(rw_dataset *d)
{
    /* The system's own reason is clearer than HDF5's. */
    int descriptor = open(d->path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        return rw_fail(RW_ERROR,
                       "cannot open the dataset %s: %s; make it with `ropewalk data "
                       "build %s INPUT...`",
                       d->path, strerror(errno), d->path);
    close(descriptor);
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    /* A finished file never changes; many parallel file systems have no locks. */
    H5Pset_file_locking(access, false, true);
    d->file = H5Fopen(d->path, H5F_ACC_RDONLY, access);
    rw_status status = RW_OK;
    if (d->file < 0) status = rw_hdf5_fail("open the dataset", d->path, rebuild);
    H5Pclose(access);
    return status;
}

static rw_status read_facts(rw_dataset *d)
{
    char format[32], kind[16];
    uint64_t version, vocab;
    rw_dataset_facts *f = &d->facts;
    RW_TRY(rw_field_get_string(d->file, d->path, "format", format, sizeof format));
    RW_TRY(rw_field_get_number(d->file, d->path, "version", &version));
    if (strcmp(format, "ropewalk-dataset") != 0 || version != RW_DATASET_VERSION)
        return rw_fail(RW_ERROR,
                       "%s: format '%s' version %llu; this program reads "
                       "'ropewalk-dataset' version %d; %s",
                       d->path, format, (unsigned long long)version, RW_DATASET_VERSION, rebuild);
    RW_TRY(rw_field_get_string(d->file, d->path, "kind", kind, sizeof kind));
    RW_TRY(rw_field_get_string(d->file, d->path, "alphabet", f->alphabet, sizeof f->alphabet));
    RW_TRY(rw_field_get_number(d->file, d->path, "vocab", &vocab));
    RW_TRY(rw_field_get_number(d->file, d->path, "tokens", &f->tokens));
    RW_TRY(rw_field_get_number(d->file, d->path, "heldout_begin", &f->heldout_begin));
    RW_TRY(rw_field_get_number(d->file, d->path, "content_hash", &f->content_hash));
    RW_TRY(rw_field_get_number(d->file, d->path, "index_hash", &f->index_hash));
    bool bytes = strcmp(kind, "bytes") == 0;
    uint64_t expected = bytes ? 256 : strlen(f->alphabet);
    if ((!bytes && strcmp(kind, "alphabet") != 0) || vocab != expected || vocab == 0 ||
        bytes != (f->alphabet[0] == '\0') || f->tokens == 0 || f->heldout_begin == 0 ||
        f->heldout_begin > f->tokens)
        return rw_fail(RW_ERROR,
                       "%s: kind, alphabet, vocab, tokens and heldout_begin do not fit "
                       "together; %s",
                       d->path, rebuild);
    f->vocab = (int)vocab;
    f->chunks = (f->tokens - 1) / RW_DATASET_CHUNK + 1;
    return RW_OK;
}

static bool tokens_have_shape(hid_t tokens, uint64_t count)
{
    hsize_t extent = 0, chunk = 0;
    hid_t space = H5Dget_space(tokens), creation = H5Dget_create_plist(tokens);
    hid_t type = H5Dget_type(tokens);
    bool fits = H5Sget_simple_extent_ndims(space) == 1 &&
                H5Sget_simple_extent_dims(space, &extent, NULL) == 1 && extent == count &&
                H5Pget_layout(creation) == H5D_CHUNKED && H5Pget_chunk(creation, 1, &chunk) == 1 &&
                chunk == RW_DATASET_CHUNK && H5Tget_class(type) == H5T_INTEGER &&
                H5Tget_size(type) == 1;
    H5Tclose(type);
    H5Pclose(creation);
    H5Sclose(space);
    return fits;
}

static rw_status open_tokens(rw_dataset *d)
{
    size_t count;
    d->tokens = H5Dopen2(d->file, "tokens", H5P_DEFAULT);
    if (d->tokens < 0) return rw_hdf5_fail_at("open", "tokens", d->path, rebuild);
    RW_TRY(rw_field_get_numbers(d->file, d->path, "chunk_hashes", &d->chunk_hashes, &count));
    if (!tokens_have_shape(d->tokens, d->facts.tokens) || count != d->facts.chunks)
        return rw_fail(RW_ERROR,
                       "%s: 'tokens' or 'chunk_hashes' does not have the shape of %llu "
                       "tokens in chunks of %d bytes; %s",
                       d->path, (unsigned long long)d->facts.tokens, RW_DATASET_CHUNK, rebuild);
    return RW_OK;
}

static rw_status allocate_cache(rw_dataset *d)
{
    d->cached = d->facts.chunks < CACHED_CHUNKS ? (int)d->facts.chunks : CACHED_CHUNKS;
    RW_TRY(rw_alloc((size_t)d->cached, RW_DATASET_CHUNK, "chunks of a dataset", &d->cache_memory));
    for (int i = 0; i < d->cached; i++)
        d->cache[i].tokens = d->cache_memory + (size_t)i * RW_DATASET_CHUNK;
    return rw_framer_new(RW_DATASET_CHUNK, 0, &d->framer);
}

rw_status rw_dataset_open(const char *path, rw_dataset **out)
{
    rw_status status;
    rw_dataset *d;
    *out = NULL;
    RW_TRY(rw_alloc(1, sizeof *d, "a dataset", &d));
    d->file = d->tokens = -1;
    pthread_mutex_init(&d->lock, NULL);
    rw_hdf5_lock();
    RW_TRY_DONE(rw_strdup(path, &d->path));
    RW_TRY_DONE(open_file(d));
    RW_TRY_DONE(read_facts(d));
    RW_TRY_DONE(open_tokens(d));
    RW_TRY_DONE(allocate_cache(d));
done:
    rw_hdf5_unlock();
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
    rw_hdf5_lock();
    rw_hdf5_close(d->tokens, H5Dclose);
    rw_hdf5_close(d->file, H5Fclose);
    rw_hdf5_unlock();
    rw_framer_destroy(&d->framer);
    pthread_mutex_destroy(&d->lock);
    rw_free(&d->cache_memory);
    rw_free(&d->chunk_hashes);
    rw_free(&d->path);
    rw_free(pointer);
}

const rw_dataset_facts *rw_dataset_describe(const rw_dataset *d)
{
    return &d->facts;
}

rw_status rw_dataset_read_index(rw_dataset *d, rw_dataset_index *out)
{
    rw_hdf5_lock();
    rw_status status = rw_dataset_index_read(d->file, d->path, out);
    rw_hdf5_unlock();
    return status;
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
    if (rw_hash(tokens, RW_DATASET_CHUNK) != d->chunk_hashes[chunk])
        return bad_chunk(d, chunk, "its hash differs from the one in 'chunk_hashes'");
    uint8_t largest = 0;
    for (int i = 0; i < RW_DATASET_CHUNK; i++) largest = tokens[i] > largest ? tokens[i] : largest;
    if (largest >= d->facts.vocab) return bad_chunk(d, chunk, "a token is outside the vocabulary");
    return RW_OK;
}

static rw_status load_chunk(rw_dataset *d, uint64_t chunk, uint8_t *tokens)
{
    hsize_t offset = chunk * RW_DATASET_CHUNK;
    const char *wrong = rw_framer_read(d->framer, d->tokens, &offset, tokens, RW_DATASET_CHUNK);
    if (wrong) return bad_chunk(d, chunk, wrong);
    return check_tokens(d, chunk, tokens);
}

/* The chunk from the cache, or in place of the one that was used longest ago. */
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
