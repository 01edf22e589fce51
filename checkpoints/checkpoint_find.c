#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "checkpoints/checkpoint_reader.h"
#include "checkpoints/tensor_stream.h"
#include "storage/durable_file.h"

rw_status rw_checkpoint_load(const char *path, rw_checkpoint **out, bool *damaged)
{
    rw_status status = RW_OK;
    rw_checkpoint *checkpoint = NULL;
    *damaged = false;
    RW_TRY_DONE(rw_alloc(1, sizeof *checkpoint, "a checkpoint", &checkpoint));
    RW_TRY_DONE(rw_strdup(path, &checkpoint->folder));
    RW_TRY_DONE(rw_manifest_load(path, &checkpoint->manifest, damaged));
    RW_TRY_DONE(rw_stored_files_check(path, checkpoint->manifest, damaged));
done:
    if (status != RW_OK) rw_checkpoint_close(&checkpoint);
    *out = checkpoint;
    return status;
}

bool rw_step_regular(uint64_t step, uint64_t every)
{
    return step == 0 || (every > 0 && step % every == 0);
}

rw_status rw_checkpoint_newest(const char *dir, uint64_t last, uint64_t every, rw_checkpoint **out)
{
    rw_step_folder *steps;
    size_t count;
    rw_status status = RW_OK;
    *out = NULL;
    RW_TRY(rw_step_folders(dir, &steps, &count));
    for (size_t i = 0; i < count && !*out; i++) {
        char *path;
        bool damaged;
        if (steps[i].step > last || !rw_step_regular(steps[i].step, every)) continue;
        RW_TRY_DONE(rw_path_join(dir, steps[i].name, &path));
        status = rw_checkpoint_load(path, out, &damaged);
        if (status != RW_OK && damaged) {
            rw_warn("passing over the checkpoint of step %llu: %s",
                    (unsigned long long)steps[i].step, rw_message());
            rw_clear_message();
            status = RW_OK;
        }
        rw_free(&path);
        RW_TRY_DONE(status);
    }
done:
    rw_free(&steps);
    return status;
}

/* On rank 0: the path of the newest, NULL if there is none. */
static rw_status find_here(const char *dir, uint64_t last, uint64_t every, char **path)
{
    rw_checkpoint *checkpoint;
    RW_TRY(rw_checkpoint_newest(dir, last, every, &checkpoint));
    if (checkpoint) {
        *path = checkpoint->folder;
        checkpoint->folder = NULL;
    }
    rw_checkpoint_close(&checkpoint);
    return RW_OK;
}

static rw_status find(const rw_layout *layout, const char *dir, uint64_t last, uint64_t every,
                      char **path)
{
    rw_status status = RW_OK;
    *path = NULL;
    if (layout->rank == 0) status = find_here(dir, last, every, path);
    RW_TRY(rw_agree(layout, status));
    int bytes = *path ? (int)strlen(*path) + 1 : 0;
    MPI_Bcast(&bytes, 1, MPI_INT, 0, layout->world);
    if (bytes == 0) return RW_OK;
    if (layout->rank != 0) status = rw_alloc((size_t)bytes, 1, "a path", path);
    status = rw_agree(layout, status);
    if (status == RW_OK)
        MPI_Bcast(*path, bytes, MPI_CHAR, 0, layout->world);
    else
        rw_free(path);
    return status;
}

rw_status rw_checkpoint_find(const rw_layout *layout, const char *dir, char **path)
{
    return find(layout, dir, UINT64_MAX, 1, path);
}

rw_status rw_checkpoint_find_before(const rw_layout *layout, const char *dir, uint64_t step,
                                    uint64_t every, char **path)
{
    *path = NULL;
    return step ? find(layout, dir, step - 1, every, path) : RW_OK;
}
