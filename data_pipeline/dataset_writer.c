#include "data_pipeline/dataset_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory.h"
#include "data_pipeline/dataset_file.h"
#include "storage/content_hash.h"
#include "storage/durable_file.h"
#include "storage/hdf5_access.h"
#include "storage/zstd_frame.h"

#define ZSTD_LEVEL 6
#define NO_TOKEN   (-1)

struct rw_dataset_writer {
    char *path, *temporary;
    hid_t file, tokens;
    bool created;          /* the temporary file is ours to remove */
    char alphabet[257];    /* "": bytes */
    int16_t token_of[256]; /* of a byte; NO_TOKEN if it is no letter of the alphabet */
    uint8_t *chunk;
    size_t used;
    uint64_t count; /* tokens so far */
    rw_framer *framer;
    rw_hasher token_hash;
    rw_dataset_index index;
};

static void set_alphabet(rw_dataset_writer *w, const char *alphabet)
{
    for (int b = 0; b < 256; b++) w->token_of[b] = alphabet ? NO_TOKEN : (int16_t)b;
    if (!alphabet) return;
    snprintf(w->alphabet, sizeof w->alphabet, "%s", alphabet);
    for (int i = 0; w->alphabet[i]; i++) w->token_of[(uint8_t)w->alphabet[i]] = (int16_t)i;
}

static rw_status set_sources(rw_dataset_writer *w, const char *const *names, int count)
{
    rw_dataset_index *index = &w->index;
    for (int i = 0; i < count; i++)
        if (strlen(names[i]) >= index->name_bytes) index->name_bytes = strlen(names[i]) + 1;
    size_t n = index->source_count = (size_t)count;
    RW_TRY(rw_alloc(n, index->name_bytes, "names of inputs", &index->source_names));
    RW_TRY(rw_alloc(n, sizeof(uint64_t), "sizes of inputs", &index->source_sizes));
    RW_TRY(rw_alloc(n, sizeof(uint64_t), "hashes of inputs", &index->source_hashes));
    for (size_t i = 0; i < n; i++) strcpy(index->source_names + i * index->name_bytes, names[i]);
    return RW_OK;
}

/* Recent object formats carry checksums; without times, equal inputs give
 * equal files. HDF5 lock held. */
static rw_status create_file(rw_dataset_writer *w)
{
    struct stat facts;
    if (lstat(w->path, &facts) == 0 && !S_ISREG(facts.st_mode))
        return rw_fail(RW_ERROR,
                       "%s is a folder, a link or a device; only a file can be replaced "
                       "by a dataset",
                       w->path);
    int descriptor = open(w->temporary, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (descriptor < 0)
        return rw_fail(RW_ERROR,
                       "cannot write %s: %s; check that the folder exists and that you "
                       "may write to it",
                       w->temporary, strerror(errno));
    close(descriptor);
    w->created = true;
    hid_t access = H5Pcreate(H5P_FILE_ACCESS), creation = H5Pcreate(H5P_FILE_CREATE);
    H5Pset_libver_bounds(access, H5F_LIBVER_V110, H5F_LIBVER_V110);
    H5Pset_file_locking(access, true, true); /* where the file system has locks */
    H5Pset_obj_track_times(creation, false);
    w->file = H5Fcreate(w->temporary, H5F_ACC_TRUNC, creation, access);
    rw_status status = RW_OK;
    if (w->file < 0) status = rw_hdf5_fail("create the dataset", w->temporary, RW_HDF5_SPACE);
    H5Pclose(creation);
    H5Pclose(access);
    return status;
}

static rw_status create_tokens(rw_dataset_writer *w)
{
    hsize_t none = 0, unlimited = H5S_UNLIMITED, chunk = RW_DATASET_CHUNK;
    const unsigned level = ZSTD_LEVEL;
    hid_t extent = H5Screate_simple(1, &none, &unlimited);
    hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_chunk(creation, 1, &chunk);
    H5Pset_filter(creation, RW_ZSTD_FILTER, H5Z_FLAG_OPTIONAL, 1, &level);
    H5Pset_obj_track_times(creation, false);
    w->tokens =
        H5Dcreate2(w->file, "tokens", H5T_STD_U8LE, extent, H5P_DEFAULT, creation, H5P_DEFAULT);
    rw_status status = RW_OK;
    if (w->tokens < 0) status = rw_hdf5_fail_at("create", "tokens", w->temporary, RW_HDF5_SPACE);
    H5Pclose(creation);
    H5Sclose(extent);
    return status;
}

static rw_status create_locked(rw_dataset_writer *w)
{
    rw_hdf5_lock();
    rw_status status = create_file(w);
    if (status == RW_OK) status = create_tokens(w);
    rw_hdf5_unlock();
    return status;
}

rw_status rw_dataset_writer_new(const char *path, const char *alphabet, const char *const *sources,
                                int count, rw_dataset_writer **out)
{
    rw_status status;
    rw_dataset_writer *w;
    *out = NULL;
    RW_TRY(rw_alloc(1, sizeof *w, "a dataset writer", &w));
    w->file = w->tokens = -1;
    rw_hasher_reset(&w->token_hash);
    set_alphabet(w, alphabet);
    RW_TRY_DONE(rw_strdup(path, &w->path));
    RW_TRY_DONE(rw_path_extend(path, ".partial", &w->temporary));
    RW_TRY_DONE(set_sources(w, sources, count));
    RW_TRY_DONE(rw_alloc(RW_DATASET_CHUNK, 1, "a chunk", &w->chunk));
    RW_TRY_DONE(rw_framer_new(RW_DATASET_CHUNK, ZSTD_LEVEL, &w->framer));
    RW_TRY_DONE(create_locked(w));
done:
    if (status != RW_OK)
        rw_dataset_writer_destroy(&w);
    else
        *out = w;
    return status;
}

/* HDF5 (1.10) does not survive a failing H5Fclose, and closing writes. After
 * a full disk the space that the file took is given back first. */
static void abandon_file(rw_dataset_writer *w)
{
    if (w->file >= 0 && truncate(w->temporary, 0) < 0)
        rw_warn("cannot empty %s: %s", w->temporary, strerror(errno));
    rw_hdf5_close(w->tokens, H5Dclose);
    rw_hdf5_close(w->file, H5Fclose);
    if (w->created) unlink(w->temporary);
}

void rw_dataset_writer_destroy(rw_dataset_writer **pointer)
{
    rw_dataset_writer *w = *pointer;
    if (!w) return;
    rw_hdf5_lock();
    abandon_file(w);
    rw_hdf5_unlock();
    rw_framer_destroy(&w->framer);
    rw_dataset_index_free(&w->index);
    rw_free(&w->chunk);
    rw_free(&w->temporary);
    rw_free(&w->path);
    rw_free(pointer);
}

rw_status rw_dataset_writer_begin_document(rw_dataset_writer *w)
{
    rw_dataset_index *index = &w->index;
    RW_TRY(rw_grow(&index->documents, &index->document_capacity, index->document_count + 1,
                   sizeof(uint64_t)));
    index->documents[index->document_count++] = w->count;
    return RW_OK;
}

/* Compresses the chunk in hand, which holds the tokens up to w->count, and
 * writes it; what it lacks is zero. */
static rw_status write_chunk(rw_dataset_writer *w)
{
    rw_status status = RW_OK;
    rw_dataset_index *index = &w->index;
    memset(w->chunk + w->used, 0, RW_DATASET_CHUNK - w->used);
    RW_TRY(rw_grow(&index->chunk_hashes, &index->chunk_capacity, index->chunk_count + 1,
                   sizeof(uint64_t)));
    hsize_t extent = w->count, offset = index->chunk_count * RW_DATASET_CHUNK;
    rw_hdf5_lock();
    if (H5Dset_extent(w->tokens, &extent) < 0)
        status = rw_hdf5_fail_at("extend", "tokens", w->temporary, RW_HDF5_SPACE);
    rw_hdf5_unlock();
    RW_TRY(status);
    const char *wrong = rw_framer_write(w->framer, w->tokens, &offset, w->chunk, RW_DATASET_CHUNK);
    if (wrong)
        return rw_fail(RW_ERROR, "cannot write tokens to %s: %s; %s", w->temporary, wrong,
                       RW_HDF5_SPACE);
    index->chunk_hashes[index->chunk_count++] = rw_hash(w->chunk, RW_DATASET_CHUNK);
    w->used = 0;
    return RW_OK;
}

rw_status rw_dataset_writer_append(rw_dataset_writer *w, const uint8_t *bytes, size_t count)
{
    while (count > 0) {
        size_t room = RW_DATASET_CHUNK - w->used, part = count < room ? count : room;
        uint8_t *tokens = w->chunk + w->used;
        for (size_t i = 0; i < part; i++) {
            if (w->token_of[bytes[i]] == NO_TOKEN)
                return rw_fail(RW_ERROR,
                               "%s: the letter '%c' is not in the alphabet %s: an input "
                               "changed while it was read; build again",
                               w->path, bytes[i], w->alphabet);
            tokens[i] = (uint8_t)w->token_of[bytes[i]];
        }
        rw_hasher_add(&w->token_hash, tokens, part);
        w->used += part;
        w->count += part;
        bytes += part;
        count -= part;
        if (w->used == RW_DATASET_CHUNK) RW_TRY(write_chunk(w));
    }
    return RW_OK;
}

void rw_dataset_writer_set_source(rw_dataset_writer *w, int source, uint64_t size, uint64_t hash)
{
    w->index.source_sizes[source] = size;
    w->index.source_hashes[source] = hash;
}

uint64_t rw_dataset_writer_tokens(const rw_dataset_writer *w)
{
    return w->count;
}

static rw_status write_facts(rw_dataset_writer *w, double heldout)
{
    const char *path = w->temporary;
    uint64_t begin = w->count - (uint64_t)((double)w->count * heldout);
    uint64_t vocab = w->alphabet[0] ? strlen(w->alphabet) : 256;
    uint64_t hash = rw_dataset_content_hash(rw_hasher_value(&w->token_hash), w->alphabet, begin);
    RW_TRY(rw_hdf5_put_text(w->file, path, "format", "ropewalk-dataset"));
    RW_TRY(rw_hdf5_put_number(w->file, path, "version", RW_DATASET_VERSION));
    RW_TRY(rw_hdf5_put_text(w->file, path, "kind", w->alphabet[0] ? "alphabet" : "bytes"));
    RW_TRY(rw_hdf5_put_text(w->file, path, "alphabet", w->alphabet));
    RW_TRY(rw_hdf5_put_number(w->file, path, "vocab", vocab));
    RW_TRY(rw_hdf5_put_number(w->file, path, "tokens", w->count));
    RW_TRY(rw_hdf5_put_number(w->file, path, "heldout_begin", begin));
    RW_TRY(rw_hdf5_put_number(w->file, path, "content_hash", hash));
    RW_TRY(rw_hdf5_put_number(w->file, path, "index_hash", rw_dataset_index_hash(&w->index)));
    return rw_dataset_index_write(&w->index, w->file, path);
}

/* HDF5 lock held. */
static rw_status close_file(rw_dataset_writer *w)
{
    /* Whatever can fail for want of space fails here: see abandon_file. */
    if (H5Fflush(w->file, H5F_SCOPE_GLOBAL) < 0)
        return rw_hdf5_fail("complete", w->temporary, RW_HDF5_SPACE);
    bool closed = H5Dclose(w->tokens) >= 0;
    closed = H5Fclose(w->file) >= 0 && closed;
    w->tokens = w->file = -1;
    if (!closed) return rw_hdf5_fail("close", w->temporary, RW_HDF5_SPACE);
    return RW_OK;
}

rw_status rw_dataset_writer_finish(rw_dataset_writer *w, double heldout)
{
    if (w->count == 0)
        return rw_fail(RW_ERROR,
                       "no tokens in the %zu inputs of %s (the first is %s); nothing "
                       "was written",
                       w->index.source_count, w->path, w->index.source_names);
    if (w->used > 0) RW_TRY(write_chunk(w));
    rw_hdf5_lock();
    rw_status status = write_facts(w, heldout);
    if (status == RW_OK) status = close_file(w);
    rw_hdf5_unlock();
    RW_TRY(status);
    w->created = false; /* from here on it is removed if it cannot be published */
    return rw_file_publish(RW_OK, w->temporary, w->path);
}
