#include "data_pipeline/dataset_header.h"

#include <stdio.h>
#include <string.h>

#include "storage/content_hash.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "numbers of a dataset file are read and written as they lie in memory");

/* Where each part of the header begins. */
enum {
    AT_NUMBERS = 16,
    NUMBERS = 10,
    AT_LISTS = AT_NUMBERS + 8 * NUMBERS,
    AT_ALPHABET = 512,
    ALPHABET_BYTES = 256,
    AT_HASH = RW_DATASET_HEADER - 8,
};
_Static_assert(AT_LISTS + RW_DATASET_LISTS * sizeof(rw_list_extent) <= AT_ALPHABET,
               "the lists fit before the alphabet");

static const char magic[] = "ropewalk-dataset"; /* 16 bytes; the final zero is not stored */
static const uint8_t hdf5_magic[] = {0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n'};

static const char *const rebuild = "build the dataset again with `ropewalk data build`";

const char *const rw_heldout_names[RW_HELDOUT_CHOICES] = {"tail", "document", "shuffled", "files"};

const char *const rw_list_names[RW_DATASET_LISTS] = {
    [RW_LIST_DOCUMENTS] = "documents",
    [RW_LIST_HELDOUT] = "heldout",
    [RW_LIST_CHUNK_OFFSETS] = "chunk_offsets",
    [RW_LIST_CHUNK_SIZES] = "chunk_sizes",
    [RW_LIST_CHUNK_HASHES] = "chunk_hashes",
    [RW_LIST_SOURCE_NAMES] = "source_names",
    [RW_LIST_SOURCE_SIZES] = "source_sizes",
    [RW_LIST_SOURCE_HASHES] = "source_hashes",
    [RW_LIST_SOURCE_DOCUMENTS] = "source_documents",
    [RW_LIST_SOURCE_HELDOUT] = "source_heldout",
};

uint64_t rw_dataset_chunks(uint64_t tokens)
{
    return tokens / RW_DATASET_CHUNK + (tokens % RW_DATASET_CHUNK != 0);
}

uint64_t rw_dataset_content_hash(const rw_dataset_header *h)
{
    const uint64_t parts[] = {h->token_hash, h->lists[RW_LIST_DOCUMENTS].hash,
                              h->lists[RW_LIST_HELDOUT].hash,
                              rw_hash(h->alphabet, strlen(h->alphabet))};
    return rw_hash(parts, sizeof parts);
}

/* The numbers of the header in their order. */
typedef struct {
    uint64_t version, file_bytes, rest_hash, tokens, token_hash, content_hash;
    uint64_t heldout_by;
    double heldout_share;
    uint64_t seed, name_bytes;
} numbers;
_Static_assert(sizeof(numbers) == 8 * NUMBERS, "numbers of eight bytes without gaps");

void rw_dataset_header_write(const rw_dataset_header *h, uint8_t out[RW_DATASET_HEADER])
{
    const numbers n = {
        RW_DATASET_VERSION, h->file_bytes,           h->rest_hash,     h->tokens, h->token_hash,
        h->content_hash,    (uint64_t)h->heldout_by, h->heldout_share, h->seed,   h->name_bytes};
    memset(out, 0, RW_DATASET_HEADER);
    memcpy(out, magic, AT_NUMBERS);
    memcpy(out + AT_NUMBERS, &n, sizeof n);
    memcpy(out + AT_LISTS, h->lists, sizeof h->lists);
    memcpy(out + AT_ALPHABET, h->alphabet, strlen(h->alphabet));
    uint64_t hash = rw_hash(out, AT_HASH);
    memcpy(out + AT_HASH, &hash, sizeof hash);
}

bool rw_dataset_header_recognise(const uint8_t *bytes, size_t count)
{
    return count >= AT_NUMBERS && memcmp(bytes, magic, AT_NUMBERS) == 0;
}

static rw_status damaged(const char *path, const char *reason)
{
    return rw_fail(RW_ERROR, "%s is damaged: %s; restore it from a copy, or %s", path, reason,
                   rebuild);
}

/* Letters are printable, each occurs once, and zeros follow them. */
static bool alphabet_fits(const uint8_t *bytes)
{
    bool seen[256] = {false};
    int letters = 0;
    for (; letters < ALPHABET_BYTES && bytes[letters]; letters++) {
        uint8_t letter = bytes[letters];
        if (letter < '!' || letter > '~' || seen[letter]) return false;
        seen[letter] = true;
    }
    for (int i = letters; i < ALPHABET_BYTES; i++)
        if (bytes[i]) return false;
    return true;
}

/* The bytes of a list; 0: any number of whole elements. */
static uint64_t bytes_wanted(const rw_dataset_header *h, rw_list_name list)
{
    switch (list) {
    case RW_LIST_CHUNK_OFFSETS:
    case RW_LIST_CHUNK_SIZES:
    case RW_LIST_CHUNK_HASHES:
        return 8 * rw_dataset_chunks(h->tokens);
    case RW_LIST_SOURCE_HASHES:
    case RW_LIST_SOURCE_DOCUMENTS:
    case RW_LIST_SOURCE_HELDOUT:
        return h->lists[RW_LIST_SOURCE_SIZES].bytes;
    case RW_LIST_SOURCE_NAMES:
        return h->lists[RW_LIST_SOURCE_SIZES].bytes / 8 * h->name_bytes;
    default:
        return 0;
    }
}

static bool list_fits(const rw_dataset_header *h, rw_list_name list)
{
    const rw_list_extent *e = &h->lists[list];
    uint64_t wanted = bytes_wanted(h, list), element = list == RW_LIST_HELDOUT ? 16 : 8;
    if (e->offset < RW_DATASET_HEADER || e->offset > h->file_bytes ||
        e->bytes > h->file_bytes - e->offset)
        return false;
    if (wanted) return e->bytes == wanted;
    return e->bytes % element == 0 && (e->bytes > 0 || list == RW_LIST_HELDOUT);
}

static rw_status check(const rw_dataset_header *h, const char *path)
{
    if (h->tokens == 0 || h->tokens > (uint64_t)INT64_MAX)
        return damaged(path, "its header tells an impossible number of tokens");
    if (h->heldout_by >= RW_HELDOUT_CHOICES || !(h->heldout_share >= 0 && h->heldout_share <= 1))
        return damaged(path, "its header tells an impossible held-out part");
    if (h->name_bytes == 0 || h->name_bytes > RW_DATASET_NAME)
        return damaged(path, "its header tells an impossible length of names");
    for (int i = 0; i < RW_DATASET_LISTS; i++)
        if (!list_fits(h, (rw_list_name)i)) {
            char reason[96];
            snprintf(reason, sizeof reason, "its list '%s' does not fit", rw_list_names[i]);
            return damaged(path, reason);
        }
    if (h->content_hash != rw_dataset_content_hash(h))
        return damaged(path, "the hash of its content is not that of its parts");
    return RW_OK;
}

static rw_status refuse_file(const uint8_t *bytes, size_t count, const char *path)
{
    if (count >= sizeof hdf5_magic && memcmp(bytes, hdf5_magic, sizeof hdf5_magic) == 0)
        return rw_fail(RW_ERROR,
                       "%s is an HDF5 file, but no dataset of version %d; if it is one of "
                       "version 1, of an older ropewalk, %s",
                       path, RW_DATASET_VERSION, rebuild);
    return rw_fail(RW_ERROR,
                   "%s is not a dataset of ropewalk; make one of it with `ropewalk data "
                   "build OUT.h5 %s`",
                   path, path);
}

rw_status rw_dataset_header_read(const uint8_t *bytes, size_t count, uint64_t file_bytes,
                                 const char *path, rw_dataset_header *out)
{
    numbers n;
    uint64_t hash;
    if (!rw_dataset_header_recognise(bytes, count)) return refuse_file(bytes, count, path);
    if (count < RW_DATASET_HEADER) return damaged(path, "it ends within its header");
    memcpy(&n, bytes + AT_NUMBERS, sizeof n);
    memcpy(&hash, bytes + AT_HASH, sizeof hash);
    if (hash != rw_hash(bytes, AT_HASH)) return damaged(path, "its header has changed");
    if (n.version != RW_DATASET_VERSION)
        return rw_fail(RW_ERROR,
                       "%s is a dataset of version %llu; this ropewalk reads version %d; %s", path,
                       (unsigned long long)n.version, RW_DATASET_VERSION, rebuild);
    if (n.file_bytes != file_bytes) return damaged(path, "it does not have the size it should");
    if (!alphabet_fits(bytes + AT_ALPHABET) || n.heldout_by >= RW_HELDOUT_CHOICES)
        return damaged(path, "its header tells an impossible alphabet or held-out part");
    *out = (rw_dataset_header){
        .file_bytes = n.file_bytes,
        .rest_hash = n.rest_hash,
        .tokens = n.tokens,
        .token_hash = n.token_hash,
        .content_hash = n.content_hash,
        .heldout_by = (rw_heldout_choice)n.heldout_by,
        .heldout_share = n.heldout_share,
        .seed = n.seed,
        .name_bytes = n.name_bytes,
    };
    memcpy(out->lists, bytes + AT_LISTS, sizeof out->lists);
    memcpy(out->alphabet, bytes + AT_ALPHABET, ALPHABET_BYTES);
    return check(out, path);
}
