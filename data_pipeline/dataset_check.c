#include "data_pipeline/dataset_check.h"

#include <inttypes.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/shown_text.h"
#include "storage/content_hash.h"

typedef struct {
    rw_dataset *dataset;
    const char *doing;
    FILE *out;
    int faults;
    uint8_t *tokens; /* of a chunk */
} checking;

/* Reports a failure that does not end the check. */
static void found(checking *c)
{
    c->faults++;
    if (!c->out) return;
    rw_print_line(c->out, "damaged: %s", rw_message());
    rw_clear_message();
}

static void show_progress(const checking *c, uint64_t chunk, uint64_t chunks)
{
    if (rw_on_terminal() && chunk % 64 == 63)
        rw_progress(false, "%s: %" PRIu64 " of %" PRIu64 " chunks", c->doing, chunk + 1, chunks);
}

static void check_chunks(checking *c)
{
    rw_hasher hash;
    const rw_dataset_facts *f = rw_dataset_describe(c->dataset);
    rw_hasher_reset(&hash);
    for (uint64_t chunk = 0; chunk < f->chunks; chunk++) {
        uint64_t first = chunk * RW_DATASET_CHUNK, left = f->tokens - first;
        uint64_t count = left < RW_DATASET_CHUNK ? left : RW_DATASET_CHUNK;
        if (rw_dataset_read(c->dataset, first, count, c->tokens) != RW_OK)
            found(c);
        else
            rw_hasher_add(&hash, c->tokens, count);
        show_progress(c, chunk, f->chunks);
    }
    if (c->faults > 0) return; /* the hash of a part says nothing new */
    if (rw_hasher_value(&hash) == rw_dataset_begin(c->dataset)->token_hash) return;
    rw_fail(RW_ERROR, "the hash of all tokens is %" RW_PRI_HASH ", not %" RW_PRI_HASH,
            rw_hasher_value(&hash), rw_dataset_begin(c->dataset)->token_hash);
    found(c);
}

static void check_bytes(checking *c)
{
    uint64_t hash;
    int before = c->faults;
    if (rw_dataset_hash_rest(c->dataset, &hash) != RW_OK) {
        found(c);
        return;
    }
    if (hash == rw_dataset_begin(c->dataset)->rest_hash || before > 0) return;
    rw_fail(RW_ERROR,
            "what ropewalk reads is whole, but bytes that other programs read by way of HDF5 have "
            "changed");
    found(c);
}

rw_status rw_dataset_check(rw_dataset *dataset, const char *doing, FILE *out, int *faults)
{
    checking c = {.dataset = dataset, .doing = doing, .out = out};
    RW_TRY(rw_alloc(RW_DATASET_CHUNK, 1, "a chunk", &c.tokens));
    check_chunks(&c);
    check_bytes(&c);
    rw_free(&c.tokens);
    *faults = c.faults;
    return RW_OK;
}
