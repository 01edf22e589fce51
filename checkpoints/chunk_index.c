#include "checkpoints/chunk_index.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

#define SIGNATURE  "TREE\1\0" /* of a leaf of a tree of chunks */
#define SIGNED     6          /* its bytes */
#define HEAD_BYTES 24
#define NOWHERE    UINT64_MAX
/* The program writes at most 16; HDF5's own default is 64. */
#define ENTRIES_MOST 64

/* The chunks of a dataset with this many axes: the entries of a chain of leaves. */
typedef struct {
    uint64_t begin, end; /* bytes of the file between its first and last chunk */
    size_t first;        /* its leftmost leaf */
    size_t count;        /* chunks */
} chain;

struct rw_chunk_index {
    const unsigned char *bytes;
    size_t size;
    size_t *leaves; /* addresses, ascending */
    size_t leaf_count, leaf_capacity;
    chain *chains[RW_MAX_DIMS]; /* taken as datasets of 1, 2 ... axes, by begin */
    size_t chain_count[RW_MAX_DIMS];
};

/* ---- Fields of the file --------------------------------------------------------- */

static uint64_t number_at(const rw_chunk_index *index, size_t at, int bytes)
{
    uint64_t value = 0;
    for (int i = bytes; i > 0; i--) value = value << 8 | index->bytes[at + (size_t)i - 1];
    return value;
}

static size_t entries_of(const rw_chunk_index *index, size_t leaf)
{
    return (size_t)number_at(index, leaf + 6, 2);
}

static uint64_t right_of(const rw_chunk_index *index, size_t leaf)
{
    return number_at(index, leaf + 16, 8);
}

static size_t entry_bytes(int dims)
{
    return 8 + 8 * ((size_t)dims + 1) + 8;
}

/* The place of the i-th entry of a leaf, for a dataset with this many axes. */
static size_t entry_at(size_t leaf, int dims, size_t i)
{
    return leaf + HEAD_BYTES + i * entry_bytes(dims);
}

static rw_chunk_place place_at(const rw_chunk_index *index, size_t entry, int dims)
{
    return (rw_chunk_place){.bytes = (size_t)number_at(index, entry, 4),
                            .address = (size_t)number_at(index, entry + entry_bytes(dims) - 8, 8)};
}

/* Is this the entry of a chunk within the file, with all filters? */
static bool entry_fits(const rw_chunk_index *index, size_t entry, int dims)
{
    rw_chunk_place place = place_at(index, entry, dims);
    return place.bytes > 0 && number_at(index, entry + 4, 4) == 0 &&
           number_at(index, entry + 8 + 8 * (size_t)dims, 8) == 0 && place.address < index->size &&
           place.bytes <= index->size - place.address;
}

/* ---- Leaves and chains ---------------------------------------------------------- */

static bool is_leaf(const rw_chunk_index *index, size_t at)
{
    if (index->size - at < HEAD_BYTES + entry_bytes(1)) return false;
    size_t entries = entries_of(index, at);
    return entries > 0 && entries <= ENTRIES_MOST;
}

static rw_status find_leaves(rw_chunk_index *index)
{
    const unsigned char *at = index->bytes, *end = at + index->size;
    while ((at = memmem(at, (size_t)(end - at), SIGNATURE, SIGNED))) {
        size_t place = (size_t)(at - index->bytes);
        bool leaf = is_leaf(index, place);
        at += leaf ? HEAD_BYTES + entry_bytes(1) : SIGNED; /* leaves do not overlap */
        if (!leaf) continue;
        RW_TRY(rw_grow(&index->leaves, &index->leaf_capacity, index->leaf_count + 1,
                       sizeof *index->leaves));
        index->leaves[index->leaf_count++] = place;
    }
    return RW_OK;
}

static int by_place(const void *a, const void *b)
{
    size_t x = *(const size_t *)a, y = *(const size_t *)b;
    return (x > y) - (x < y);
}

/* The leaf at `address`; false without a leaf. */
static bool leaf_at(const rw_chunk_index *index, uint64_t address, size_t *leaf)
{
    size_t key = (size_t)address;
    const size_t *found =
        index->leaf_count ? bsearch(&key, index->leaves, index->leaf_count, sizeof key, by_place)
                          : NULL;
    if (found) *leaf = *found;
    return found != NULL;
}

/* Adds the entries of a leaf to its chain; false if the leaf does not belong to a dataset with this
 * many axes. */
static bool add_leaf(const rw_chunk_index *index, size_t leaf, int dims, chain *out)
{
    size_t entries = entries_of(index, leaf);
    if (entry_at(leaf, dims, entries) > index->size) return false;
    for (size_t i = 0; i < entries; i++) {
        size_t entry = entry_at(leaf, dims, i);
        if (!entry_fits(index, entry, dims)) return false;
        rw_chunk_place place = place_at(index, entry, dims);
        if (place.address < out->begin) out->begin = place.address;
        if (place.address + place.bytes > out->end) out->end = place.address + place.bytes;
    }
    out->count += entries;
    return true;
}

/* Follows a chain from its leftmost leaf. A chain longer than the number of leaves is a circle. */
static bool follow(const rw_chunk_index *index, size_t first, int dims, size_t *steps, chain *out)
{
    size_t leaf = first;
    *out = (chain){.begin = UINT64_MAX, .first = first};
    for (;; ++*steps) {
        if (*steps > index->leaf_count || !add_leaf(index, leaf, dims, out)) return false;
        uint64_t right = right_of(index, leaf);
        if (right == NOWHERE) return true;
        if (!leaf_at(index, right, &leaf)) return false;
    }
}

static int by_begin(const void *a, const void *b)
{
    uint64_t x = ((const chain *)a)->begin, y = ((const chain *)b)->begin;
    return (x > y) - (x < y);
}

/* The number of all steps is bounded, like in files of this program: each leaf is in one chain. */
static rw_status find_chains(rw_chunk_index *index, int dims)
{
    chain *chains;
    size_t count = 0, steps = 0;
    RW_TRY(rw_alloc(index->leaf_count, sizeof *chains, "the chunks of a data file", &chains));
    for (size_t i = 0; i < index->leaf_count; i++) {
        size_t leaf = index->leaves[i];
        if (number_at(index, leaf + 8, 8) != NOWHERE) continue;
        count += follow(index, leaf, dims, &steps, &chains[count]);
    }
    qsort(chains, count, sizeof *chains, by_begin);
    index->chains[dims - 1] = chains;
    index->chain_count[dims - 1] = count;
    return RW_OK;
}

rw_status rw_chunk_index_new(const unsigned char *bytes, size_t size, rw_chunk_index **out)
{
    rw_status status = RW_OK;
    rw_chunk_index *index = NULL;
    RW_TRY_DONE(rw_alloc(1, sizeof *index, "the chunks of a data file", &index));
    index->bytes = bytes;
    index->size = size;
    RW_TRY_DONE(find_leaves(index));
    for (int dims = 1; dims <= RW_MAX_DIMS; dims++) RW_TRY_DONE(find_chains(index, dims));
done:
    if (status != RW_OK) rw_chunk_index_destroy(&index);
    *out = index;
    return status;
}

void rw_chunk_index_destroy(rw_chunk_index **index)
{
    if (*index) {
        rw_free(&(*index)->leaves);
        for (int d = 0; d < RW_MAX_DIMS; d++) rw_free(&(*index)->chains[d]);
    }
    rw_free(index);
}

/* ---- The chunks of a block ------------------------------------------------------- */

static const chain *find_chain(const rw_chunk_index *index, int dims, uint64_t begin, uint64_t end)
{
    const chain key = {.begin = begin};
    const chain *list = index->chains[dims - 1];
    size_t count = index->chain_count[dims - 1];
    const chain *found = count ? bsearch(&key, list, count, sizeof key, by_begin) : NULL;
    return found && found->end == end ? found : NULL;
}

/* The chunk of the block that begins at these indices; false: none. */
static bool chunk_of(const rw_chunk_index *index, size_t entry, const rw_block *block,
                     const rw_chunks *chunks, size_t *out)
{
    size_t outer = 0;
    for (int d = 0; d < block->dims; d++) {
        uint64_t at = number_at(index, entry + 8 + 8 * (size_t)d, 8);
        if (at >= block->shape[d]) return false;
        if (d < chunks->axis) outer = outer * block->shape[d] + (size_t)at;
        if (d == chunks->axis) {
            if (at % chunks->run != 0) return false;
            outer = outer * chunks->per_run + (size_t)at / chunks->run;
        }
        if (d > chunks->axis && at != 0) return false;
    }
    *out = outer;
    return true;
}

static int by_chunk(const void *a, const void *b)
{
    size_t x = ((const rw_chunk_place *)a)->chunk, y = ((const rw_chunk_place *)b)->chunk;
    return (x > y) - (x < y);
}

/* Lists the chunks of a chain; false if they are not all chunks of the block, each once. */
static bool list_chunks(const rw_chunk_index *index, const chain *found, const rw_block *block,
                        const rw_chunks *chunks, rw_chunk_place *places)
{
    size_t leaf = found->first, filled = 0;
    while (filled < found->count) {
        for (size_t i = 0; i < entries_of(index, leaf); i++) {
            size_t entry = entry_at(leaf, block->dims, i);
            places[filled] = place_at(index, entry, block->dims);
            if (!chunk_of(index, entry, block, chunks, &places[filled++].chunk)) return false;
        }
        if (filled < found->count && !leaf_at(index, right_of(index, leaf), &leaf)) return false;
    }
    qsort(places, filled, sizeof *places, by_chunk);
    for (size_t i = 0; i < filled; i++)
        if (places[i].chunk != i) return false;
    return true;
}

rw_status rw_chunk_index_find(const rw_chunk_index *index, const rw_block *block,
                              const rw_chunks *chunks, uint64_t begin, uint64_t end,
                              rw_chunk_place **out)
{
    const chain *found = find_chain(index, block->dims, begin, end);
    *out = NULL;
    if (!found || found->count != chunks->count) return RW_OK;
    RW_TRY(rw_alloc(found->count, sizeof **out, "the chunks of a tensor", out));
    if (!list_chunks(index, found, block, chunks, *out)) rw_free(out);
    return RW_OK;
}
