/* The contents of a dataset file, and its state. */
#include <inttypes.h>
#include <string.h>

#include "base/shown_text.h"
#include "data_pipeline/dataset.h"
#include "data_pipeline/dataset_check.h"
#include "data_pipeline/split_view.h"
#include "storage/content_hash.h"

static void print_kind(const rw_dataset_facts *f, FILE *out)
{
    if (f->alphabet[0])
        rw_print_line(out, "kind       alphabet %s", f->alphabet);
    else
        fprintf(out, "kind       bytes\n");
    fprintf(out, "vocab      %d\n", f->vocab);
    fprintf(out, "tokens     %" PRIu64 " (training %" PRIu64 ", held out %" PRIu64 ")\n", f->tokens,
            f->tokens - f->heldout, f->heldout);
}

static rw_status print_heldout(rw_dataset *dataset, FILE *out)
{
    rw_split_view view;
    const rw_dataset_facts *f = rw_dataset_describe(dataset);
    fprintf(out, "held out   by %s", rw_heldout_names[f->heldout_by]);
    if (f->heldout_by != RW_HELDOUT_FILES) fprintf(out, ", a share of %g", f->heldout_share);
    if (f->heldout_by == RW_HELDOUT_SHUFFLED) fprintf(out, ", seed %" PRIu64, f->seed);
    RW_TRY(rw_split_view_make(dataset, RW_PART_HELDOUT, true, &view));
    fprintf(out, "; %zu range%s, %" PRIu64 " token%s to predict\n", view.count,
            view.count == 1 ? "" : "s", rw_split_view_targets(&view),
            rw_split_view_targets(&view) == 1 ? "" : "s");
    rw_split_view_free(&view);
    return RW_OK;
}

static void print_sources(rw_dataset *dataset, FILE *out)
{
    const rw_dataset_index *index = rw_dataset_lists(dataset);
    uint64_t tokens = rw_dataset_describe(dataset)->tokens;
    for (size_t i = 0; i < index->source_count; i++) {
        rw_token_range r = rw_dataset_index_source(index, i, tokens);
        rw_print_line(
            out,
            "source     %s (%" PRIu64 " bytes, XXH3-64 %" RW_PRI_HASH ", %" PRIu64 " tokens%s)",
            rw_dataset_index_name(index, i), index->source_sizes[i], index->source_hashes[i],
            r.end - r.begin, index->source_heldout[i] ? ", held out" : "");
    }
}

rw_status rw_dataset_info(const char *path, FILE *out)
{
    rw_status status;
    rw_dataset *dataset = NULL;
    RW_TRY_DONE(rw_dataset_open(path, &dataset));
    const rw_dataset_facts *f = rw_dataset_describe(dataset);
    rw_print_line(out, "%s: ropewalk dataset, version %d", path, RW_DATASET_VERSION);
    print_kind(f, out);
    RW_TRY_DONE(print_heldout(dataset, out));
    fprintf(out, "documents  %zu\n", rw_dataset_lists(dataset)->document_count);
    fprintf(out, "chunks     %" PRIu64 " of %d tokens\n", f->chunks, RW_DATASET_CHUNK);
    fprintf(out, "content    %" RW_PRI_HASH "\n", f->content_hash);
    print_sources(dataset, out);
done:
    rw_dataset_close(&dataset);
    return status;
}

rw_status rw_dataset_verify(const char *path, FILE *out)
{
    rw_dataset *dataset;
    int faults = 0;
    RW_TRY(rw_dataset_open(path, &dataset));
    const rw_dataset_facts *f = rw_dataset_describe(dataset);
    rw_status status = rw_dataset_check(dataset, "verifying", out, &faults);
    if (faults > 0)
        status = rw_fail(RW_ERROR,
                         "%s is damaged in %d place%s (listed above); restore it from a "
                         "copy or build it again with `ropewalk data build`",
                         path, faults, faults == 1 ? "" : "s");
    else if (status == RW_OK)
        rw_print_line(
            out, "%s: whole (%" PRIu64 " tokens, %" PRIu64 " chunks, content %" RW_PRI_HASH ")",
            path, f->tokens, f->chunks, f->content_hash);
    rw_dataset_close(&dataset);
    return status;
}
