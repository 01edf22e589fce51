/* What is in a dataset file, and whether it is whole. */
#include <inttypes.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "data_pipeline/dataset.h"
#include "data_pipeline/dataset_file.h"
#include "storage/content_hash.h"

rw_status rw_dataset_info(const char *path, FILE *out)
{
    rw_status status;
    rw_dataset *dataset = NULL;
    rw_dataset_index index = {0};
    RW_TRY_DONE(rw_dataset_open(path, &dataset));
    RW_TRY_DONE(rw_dataset_read_index(dataset, &index));
    const rw_dataset_facts *f = rw_dataset_describe(dataset);
    fprintf(out, "%s: ropewalk dataset, version %d\n", path, RW_DATASET_VERSION);
    if (f->alphabet[0])
        fprintf(out, "kind       alphabet %s\n", f->alphabet);
    else
        fprintf(out, "kind       bytes\n");
    fprintf(out, "vocab      %d\n", f->vocab);
    fprintf(out, "tokens     %" PRIu64 " (training %" PRIu64 ", held out %" PRIu64 ")\n", f->tokens,
            f->heldout_begin, f->tokens - f->heldout_begin);
    fprintf(out, "documents  %zu\n", index.document_count);
    fprintf(out, "chunks     %" PRIu64 " of %d tokens\n", f->chunks, RW_DATASET_CHUNK);
    fprintf(out, "content    %" RW_PRI_HASH "\n", f->content_hash);
    for (size_t i = 0; i < index.source_count; i++)
        fprintf(out, "source     %s (%" PRIu64 " bytes, XXH3-64 %" RW_PRI_HASH ")\n",
                index.source_names + i * index.name_bytes, index.source_sizes[i],
                index.source_hashes[i]);
done:
    rw_dataset_index_free(&index);
    rw_dataset_close(&dataset);
    return status;
}

/* Takes the message of a failure that does not end the verification. */
static void report_damage(FILE *out, int *faults)
{
    fprintf(out, "damaged: %s\n", rw_message());
    rw_clear_message();
    ++*faults;
}

static void verify_chunks(rw_dataset *dataset, uint8_t *buffer, FILE *out, int *faults)
{
    const rw_dataset_facts *f = rw_dataset_describe(dataset);
    rw_hasher hash;
    int before = *faults;
    rw_hasher_reset(&hash);
    for (uint64_t chunk = 0; chunk < f->chunks; chunk++) {
        uint64_t first = chunk * RW_DATASET_CHUNK, left = f->tokens - first;
        uint64_t count = left < RW_DATASET_CHUNK ? left : RW_DATASET_CHUNK;
        if (rw_dataset_read(dataset, first, count, buffer) != RW_OK)
            report_damage(out, faults);
        else
            rw_hasher_add(&hash, buffer, count);
        if (rw_on_terminal() && chunk % 64 == 63)
            rw_progress(false, "verified %" PRIu64 " of %" PRIu64 " chunks", chunk + 1, f->chunks);
    }
    if (*faults > before) return; /* the hash of a part says nothing new */
    uint64_t content =
        rw_dataset_content_hash(rw_hasher_value(&hash), f->alphabet, f->heldout_begin);
    if (content == f->content_hash) return;
    fprintf(out,
            "damaged: the hash of all tokens, the alphabet and the held-out begin is %" RW_PRI_HASH
            ", not %" RW_PRI_HASH "\n",
            content, f->content_hash);
    ++*faults;
}

static rw_status verify_index(rw_dataset *dataset, FILE *out, int *faults)
{
    rw_dataset_index index;
    const rw_dataset_facts *f = rw_dataset_describe(dataset);
    RW_TRY(rw_dataset_read_index(dataset, &index));
    if (rw_dataset_index_hash(&index) != f->index_hash) {
        fprintf(out, "damaged: the hash of documents, chunk_hashes and sources is not "
                     "index_hash\n");
        ++*faults;
    }
    uint64_t before = 0;
    for (size_t i = 0; i < index.document_count; i++) {
        if (index.documents[i] < before || index.documents[i] > f->tokens) {
            fprintf(out, "damaged: document %zu begins at %" PRIu64 "\n", i, index.documents[i]);
            ++*faults;
            break;
        }
        before = index.documents[i];
    }
    rw_dataset_index_free(&index);
    return RW_OK;
}

rw_status rw_dataset_verify(const char *path, FILE *out)
{
    rw_status status;
    rw_dataset *dataset = NULL;
    uint8_t *buffer = NULL;
    int faults = 0;
    RW_TRY_DONE(rw_alloc(RW_DATASET_CHUNK, 1, "a chunk", &buffer));
    RW_TRY_DONE(rw_dataset_open(path, &dataset));
    verify_chunks(dataset, buffer, out, &faults);
    RW_TRY_DONE(verify_index(dataset, out, &faults));
    if (faults > 0)
        status = rw_fail(RW_ERROR,
                         "%s is damaged in %d place%s (listed above); restore it from a "
                         "copy or build it again with `ropewalk data build`",
                         path, faults, faults == 1 ? "" : "s");
    else
        fprintf(out,
                "%s: whole (%" PRIu64 " tokens, %" PRIu64 " chunks, content %" RW_PRI_HASH ")\n",
                path, rw_dataset_describe(dataset)->tokens, rw_dataset_describe(dataset)->chunks,
                rw_dataset_describe(dataset)->content_hash);
done:
    rw_dataset_close(&dataset);
    rw_free(&buffer);
    return status;
}
