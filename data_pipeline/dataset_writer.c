#include "data_pipeline/dataset_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory.h"
#include "data_pipeline/dataset_check.h"
#include "data_pipeline/dataset_draft.h"
#include "storage/content_hash.h"
#include "storage/draft_guard.h"
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
    int16_t token_of[256]; /* token of a byte; NO_TOKEN: not a letter of the alphabet */
    uint8_t *chunk;
    size_t used;
    uint64_t count; /* tokens so far */
    rw_framer *framer;
    rw_hasher token_hash;
    rw_dataset_index index;
    rw_dataset_header header;
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
    RW_TRY(rw_alloc(n, sizeof(uint64_t), "documents of inputs", &index->source_documents));
    RW_TRY(rw_alloc(n, sizeof(uint64_t), "kinds of inputs", &index->source_heldout));
    for (size_t i = 0; i < n; i++) strcpy(index->source_names + i * index->name_bytes, names[i]);
    return RW_OK;
}

/* Creates the file, which must not exist. */
static rw_status create_draft(rw_dataset_writer *w)
{
    int descriptor = rw_file_call.open(w->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (descriptor < 0)
        return rw_fail(RW_ERROR,
                       "cannot write %s: %s; check that the folder exists and that you "
                       "may write to it",
                       w->temporary, strerror(errno));
    w->created = true;
    rw_draft_guard(w->temporary);
    if (rw_file_call.close(descriptor) == 0) return RW_OK;
    return rw_fail(RW_ERROR, "cannot close %s: %s; check the file system", w->temporary,
                   strerror(errno));
}

/* Recent object formats carry checksums; without times, equal inputs give
 * equal files. HDF5 leaves room for the header. HDF5 lock held. */
static rw_status create_file(rw_dataset_writer *w)
{
    RW_TRY(create_draft(w));
    hid_t access = H5Pcreate(H5P_FILE_ACCESS), creation = H5Pcreate(H5P_FILE_CREATE);
    H5Pset_libver_bounds(access, H5F_LIBVER_V110, H5F_LIBVER_V110);
    H5Pset_file_locking(access, true, true); /* where the file system has locks */
    H5Pset_obj_track_times(creation, false);
    H5Pset_userblock(creation, RW_DATASET_HEADER);
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
    RW_TRY_DONE(rw_dataset_draft_name(path, &w->temporary));
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

/* HDF5 (1.10) does not survive a failing H5Fclose, and closing writes. After a full disk the space
 * of the file is freed first. */
static void abandon_file(rw_dataset_writer *w)
{
    if (w->file >= 0 && truncate(w->temporary, 0) < 0)
        rw_warn("cannot empty %s: %s", w->temporary, strerror(errno));
    rw_hdf5_close(w->tokens, H5Dclose);
    rw_hdf5_close(w->file, H5Fclose);
    if (w->created) unlink(w->temporary);
    rw_draft_unguard();
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

void rw_dataset_writer_begin_source(rw_dataset_writer *w, int source, bool heldout)
{
    w->index.source_documents[source] = w->index.document_count;
    w->index.source_heldout[source] = heldout;
}

rw_status rw_dataset_writer_begin_document(rw_dataset_writer *w)
{
    rw_dataset_index *index = &w->index;
    RW_TRY(rw_grow(&index->documents, &index->document_capacity, index->document_count + 1,
                   sizeof(uint64_t)));
    index->documents[index->document_count++] = w->count;
    return RW_OK;
}

/* Compresses and writes the present chunk, with the tokens up to w->count; the rest of the chunk is
 * zero. */
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

/* ---- Completing the file ------------------------------------------------------ */

static bool frame_begins(int file, uint64_t address)
{
    static const uint8_t magic[] = {0x28, 0xb5, 0x2f, 0xfd};
    uint8_t begin[sizeof magic];
    return pread(file, begin, sizeof begin, (off_t)address) == (ssize_t)sizeof begin &&
           memcmp(begin, magic, sizeof magic) == 0;
}

/* Some versions of HDF5 count the addresses of chunks from the beginning of the file, others from
 * the end of the header. Finds out by the first frame. */
static rw_status find_origin(const rw_dataset_writer *w, haddr_t first, uint64_t *origin)
{
    int file = open(w->temporary, O_RDONLY | O_CLOEXEC);
    bool found = true;
    if (file >= 0 && frame_begins(file, first + RW_DATASET_HEADER))
        *origin = RW_DATASET_HEADER;
    else if (file >= 0 && frame_begins(file, first))
        *origin = 0;
    else
        found = false;
    if (file >= 0) close(file);
    if (found) return RW_OK;
    return rw_fail(RW_ERROR, "the first chunk of %s cannot be read back; check the device",
                   w->temporary);
}

/* Asks HDF5 for the places of the frames. HDF5 lock held. */
static rw_status find_frames(rw_dataset_writer *w)
{
    rw_dataset_index *index = &w->index;
    size_t n = index->chunk_count;
    uint64_t origin = 0;
    RW_TRY(rw_alloc(n, sizeof(uint64_t), "places of chunks", &index->chunk_offsets));
    RW_TRY(rw_alloc(n, sizeof(uint64_t), "sizes of chunks", &index->chunk_sizes));
    if (H5Fflush(w->file, H5F_SCOPE_GLOBAL) < 0)
        return rw_hdf5_fail("write", w->temporary, RW_HDF5_SPACE);
    for (size_t i = 0; i < n; i++) {
        hsize_t first = i * RW_DATASET_CHUNK, bytes = 0;
        haddr_t address = HADDR_UNDEF;
        unsigned skipped;
        if (H5Dget_chunk_info_by_coord(w->tokens, &first, &skipped, &address, &bytes) < 0 ||
            address == HADDR_UNDEF)
            return rw_hdf5_fail_at("find the chunks of", "tokens", w->temporary, RW_HDF5_SPACE);
        if (i == 0) RW_TRY(find_origin(w, address, &origin));
        index->chunk_offsets[i] = address + origin;
        index->chunk_sizes[i] = bytes;
    }
    return RW_OK;
}

static rw_status write_attributes(rw_dataset_writer *w)
{
    const char *path = w->temporary;
    const rw_dataset_header *h = &w->header;
    uint64_t vocab = w->alphabet[0] ? strlen(w->alphabet) : 256;
    RW_TRY(rw_hdf5_put_text(w->file, path, "format", "ropewalk-dataset"));
    RW_TRY(rw_hdf5_put_number(w->file, path, "version", RW_DATASET_VERSION));
    RW_TRY(rw_hdf5_put_text(w->file, path, "kind", w->alphabet[0] ? "alphabet" : "bytes"));
    RW_TRY(rw_hdf5_put_text(w->file, path, "alphabet", w->alphabet));
    RW_TRY(rw_hdf5_put_number(w->file, path, "vocab", vocab));
    RW_TRY(rw_hdf5_put_number(w->file, path, "tokens", w->count));
    RW_TRY(rw_hdf5_put_text(w->file, path, "heldout_by", rw_heldout_names[h->heldout_by]));
    return rw_hdf5_put_number(w->file, path, "content_hash", h->content_hash);
}

/* HDF5 lock held. */
static rw_status write_index(rw_dataset_writer *w, const rw_heldout_rule *rule)
{
    rw_dataset_header *h = &w->header;
    h->tokens = w->count;
    h->token_hash = rw_hasher_value(&w->token_hash);
    h->heldout_by = rule->by;
    h->heldout_share = rule->by == RW_HELDOUT_FILES ? 0 : rule->share;
    h->seed = rule->by == RW_HELDOUT_SHUFFLED ? rule->seed : 0;
    memcpy(h->alphabet, w->alphabet, sizeof h->alphabet);
    RW_TRY(find_frames(w));
    RW_TRY(rw_dataset_index_write(&w->index, w->file, w->temporary, h));
    h->content_hash = rw_dataset_content_hash(h);
    return write_attributes(w);
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

/* The size of the file and the hash of HDF5's part. */
static rw_status inspect(rw_dataset_writer *w)
{
    struct stat about;
    int file = open(w->temporary, O_RDONLY | O_CLOEXEC);
    if (file < 0 || fstat(file, &about) < 0) {
        if (file >= 0) close(file);
        return rw_fail(RW_ERROR, "cannot read %s back: %s; check the file system", w->temporary,
                       strerror(errno));
    }
    w->header.file_bytes = (uint64_t)about.st_size;
    rw_status status = rw_file_hash_rest(file, w->temporary, RW_DATASET_HEADER,
                                         w->header.file_bytes, &w->header.rest_hash);
    close(file);
    return status;
}

static rw_status write_header(rw_dataset_writer *w)
{
    uint8_t begin[RW_DATASET_HEADER];
    RW_TRY(inspect(w));
    rw_dataset_header_write(&w->header, begin);
    return rw_file_overwrite(w->temporary, begin, sizeof begin);
}

/* Reads the whole file, from the device if possible, and compares it with the intended bytes. */
static rw_status read_back(rw_dataset_writer *w)
{
    char reason[RW_MESSAGE_SIZE / 2];
    rw_dataset *dataset = NULL;
    int faults = 0;
    rw_status status = rw_dataset_open(w->temporary, &dataset);
    if (status == RW_OK) status = rw_dataset_check(dataset, "reading back", NULL, &faults);
    if (faults > 0) status = RW_ERROR;
    if (status == RW_OK && rw_dataset_describe(dataset)->content_hash != w->header.content_hash)
        status = rw_fail(RW_ERROR, "it has another content");
    rw_dataset_close(&dataset);
    if (status == RW_OK) return RW_OK;
    snprintf(reason, sizeof reason, "%s", rw_message());
    rw_clear_message();
    return rw_fail(RW_ERROR,
                   "%s was not written: what was read back is not what was written (%s); check the "
                   "device and the memory of this machine",
                   w->path, reason);
}

static rw_status write_hdf5(rw_dataset_writer *w, const rw_heldout_rule *rule)
{
    rw_hdf5_lock();
    rw_status status = write_index(w, rule);
    if (status == RW_OK) status = close_file(w);
    rw_hdf5_unlock();
    return status;
}

rw_status rw_dataset_writer_finish(rw_dataset_writer *w, const rw_heldout_rule *rule)
{
    if (w->count == 0)
        return rw_fail(RW_ERROR,
                       "no tokens in the %zu inputs of %s (the first is %s); nothing "
                       "was written",
                       w->index.source_count, w->path, w->index.source_names);
    if (w->used > 0) RW_TRY(write_chunk(w));
    RW_TRY(rw_heldout_choose(rule, w->count, w->path, &w->index));
    RW_TRY(write_hdf5(w, rule));
    RW_TRY(write_header(w));
    return read_back(w);
}

rw_status rw_dataset_writer_publish(rw_dataset_writer *w)
{
    w->created = false; /* from here on the draft is removed if it cannot be published */
    rw_status status = rw_file_publish(RW_OK, w->temporary, w->path);
    rw_draft_unguard();
    return status;
}
