/* Checkpoints for people: list, show, verify. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/shown_text.h"
#include "checkpoints/checkpoint_reader.h"
#include "checkpoints/tensor_stream.h"
#include "storage/content_hash.h"
#include "storage/durable_file.h"

static double mebibytes(uint64_t bytes)
{
    return (double)bytes / 1048576.0;
}

/* A step of a list. A damaged checkpoint is a line, not a failure. */
static rw_status list_step(const char *dir, const rw_step_folder *step, const char *best, FILE *out)
{
    char *path;
    rw_checkpoint *checkpoint;
    bool damaged;
    RW_TRY(rw_path_join(dir, step->name, &path));
    rw_status status = rw_checkpoint_load(path, &checkpoint, &damaged);
    rw_free(&path);
    if (status != RW_OK) {
        rw_print_line(out, "%-16s %s: %s", step->name, damaged ? "damaged" : "unreadable",
                      rw_message());
        rw_clear_message();
        return RW_OK;
    }
    const rw_manifest *manifest = checkpoint->manifest;
    fprintf(out, "%-16s %10.1f MiB  %5zu tensors  digest %" RW_PRI_HASH, step->name,
            mebibytes(rw_manifest_file_bytes(manifest)), manifest->tensor_count, manifest->digest);
    if (manifest->about.evaluated)
        fprintf(out, "  held-out loss %.5f%s", manifest->about.heldout_loss,
                strcmp(step->name, best) == 0 ? " (best)" : "");
    fputs("  ok\n", out);
    rw_checkpoint_close(&checkpoint);
    return RW_OK;
}

static rw_status list_steps(const char *dir, FILE *out)
{
    rw_step_folder *steps;
    size_t count;
    RW_TRY(rw_step_folders(dir, &steps, &count));
    rw_status status = count ? RW_OK : rw_no_checkpoint("", dir);
    char best[RW_STEP_NAME_SIZE] = "";
    rw_best_name(dir, steps, count, best);
    for (size_t i = 0; status == RW_OK && i < count; i++)
        status = list_step(dir, &steps[i], best, out);
    rw_free(&steps);
    return status;
}

rw_status rw_checkpoint_list(const char *dir, FILE *out)
{
    char *folder;
    bool step;
    RW_TRY(rw_checkpoint_locate(dir, &folder, &step));
    rw_status status =
        step ? rw_fail(RW_ERROR, "%s is a checkpoint: list wants the folder above it", dir)
             : list_steps(folder, out);
    rw_free(&folder);
    return status;
}

static void show_tokens(const rw_checkpoint_tokens *tokens, FILE *out)
{
    if (!tokens->kind)
        fprintf(out, "tokens          not said: written by an older ropewalk\n");
    else if (tokens->alphabet[0])
        rw_print_line(out, "tokens          %s %s", tokens->kind, tokens->alphabet);
    else
        fprintf(out, "tokens          %s, %d %s\n", tokens->kind,
                tokens->vocab ? tokens->vocab : tokens->features,
                tokens->vocab ? "values" : "a token");
}

static void show_about(const rw_manifest *manifest, FILE *out)
{
    const rw_checkpoint_meta *about = &manifest->about;
    fprintf(out, "format          %s, version %d\n", RW_CHECKPOINT_FORMAT, RW_CHECKPOINT_VERSION);
    fprintf(out, "step            %" PRIu64 "\n", about->step);
    rw_print_line(out, "model           %s", about->model);
    show_tokens(&about->tokens, out);
    fprintf(out, "seed            %" PRIu64 "\n", about->seed);
    fprintf(out, "sequences seen  %" PRIu64 "\n", about->sequences_seen);
    if (about->counts_tokens) fprintf(out, "tokens seen     %" PRIu64 "\n", about->tokens_seen);
    fprintf(out, "skipped steps   %" PRIu64 "\n", about->skipped_steps);
    if (about->rollbacks)
        fprintf(out, "rollbacks       %" PRIu64 ", past %" PRIu64 " sequences\n", about->rollbacks,
                about->skipped_sequences);
    if (about->evaluated) fprintf(out, "held-out loss   %.9g\n", about->heldout_loss);
    fprintf(out, "data            %" RW_PRI_HASH "\n", about->data_fingerprint);
    fprintf(out, "written by      dp %d, sp %d, threads %d\n", about->dp, about->sp,
            about->threads);
    fprintf(out, "digest          %" RW_PRI_HASH "\n", manifest->digest);
}

static void show_contents(const rw_manifest *manifest, FILE *out)
{
    char shape[RW_SHAPE_TEXT];
    fprintf(out, "files           %zu, %.1f MiB\n", manifest->file_count,
            mebibytes(rw_manifest_file_bytes(manifest)));
    for (size_t i = 0; i < manifest->file_count; i++)
        fprintf(out, "  %-14s %12" PRIu64 " bytes\n", manifest->files[i].name,
                manifest->files[i].bytes);
    fprintf(out, "tensors         %zu, %s\n", manifest->tensor_count, manifest->dtype);
    for (size_t i = 0; i < manifest->tensor_count; i++) {
        const rw_manifest_tensor *tensor = &manifest->tensors[i];
        fprintf(out, "  %-40s %s\n", tensor->name,
                rw_shape_text(tensor->dims, tensor->shape, shape));
    }
    fprintf(out, "config\n");
    rw_print_lines(out, manifest->config);
}

rw_status rw_checkpoint_show(const char *path, FILE *out)
{
    char *folder;
    rw_manifest *manifest;
    bool damaged;
    RW_TRY(rw_checkpoint_folder(path, &folder));
    rw_status status = rw_manifest_load(folder, &manifest, &damaged);
    if (status == RW_OK) {
        rw_print_line(out, "checkpoint      %s", folder);
        show_about(manifest, out);
        show_contents(manifest, out);
    }
    rw_manifest_destroy(&manifest);
    rw_free(&folder);
    return status;
}

static rw_status verify_folder(const char *folder, FILE *out)
{
    rw_manifest *manifest;
    bool damaged;
    RW_TRY(rw_manifest_load(folder, &manifest, &damaged));
    rw_status status = rw_checkpoint_check(folder, manifest);
    if (status == RW_OK)
        rw_print_line(out, "%s: ok, %zu tensors in %zu files, %.1f MiB", folder,
                      manifest->tensor_count, manifest->file_count,
                      mebibytes(rw_manifest_file_bytes(manifest)));
    rw_manifest_destroy(&manifest);
    return status;
}

/* Verifies all checkpoints of a folder, also after damage, and fails with the first damage. */
static rw_status verify_steps(const char *dir, FILE *out)
{
    char first[RW_MESSAGE_SIZE] = "", *path;
    rw_step_folder *steps;
    size_t count, bad = 0;
    RW_TRY(rw_step_folders(dir, &steps, &count));
    rw_status status = RW_OK;
    for (size_t i = 0; status == RW_OK && i < count; i++) {
        status = rw_path_join(dir, steps[i].name, &path);
        if (status != RW_OK) break;
        if (verify_folder(path, out) != RW_OK) {
            rw_print_line(out, "%s", rw_message());
            if (bad++ == 0) snprintf(first, sizeof first, "%s", rw_message());
            rw_clear_message();
        }
        rw_free(&path);
    }
    rw_free(&steps);
    if (status == RW_OK && count == 0) return rw_no_checkpoint("", dir);
    if (status == RW_OK && bad)
        return rw_fail(RW_ERROR, "%zu of %zu checkpoints cannot be used; first: %s", bad, count,
                       first);
    return status;
}

rw_status rw_checkpoint_verify(const char *path, FILE *out)
{
    char *folder;
    bool step;
    RW_TRY(rw_checkpoint_locate(path, &folder, &step));
    rw_status status = step ? verify_folder(folder, out) : verify_steps(folder, out);
    rw_free(&folder);
    return status;
}
