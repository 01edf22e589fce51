/* The checkpoints with the lowest held-out loss. */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "checkpoints/checkpoint_reader.h"
#include "storage/durable_file.h"

/* The held-out loss of a checkpoint; infinity without a loss. */
static double heldout_loss(const char *dir, const rw_step_folder *step)
{
    char *path;
    rw_manifest *manifest = NULL;
    bool damaged;
    double loss = INFINITY;
    rw_status status = step->aside ? RW_ERROR : rw_path_join(dir, step->name, &path);
    if (status != RW_OK) return loss;
    status = rw_manifest_load(path, &manifest, &damaged);
    if (status != RW_OK)
        rw_clear_message();
    else if (manifest->about.evaluated)
        loss = manifest->about.heldout_loss;
    rw_manifest_destroy(&manifest);
    rw_free(&path);
    return loss;
}

static rw_status losses_of(const char *dir, const rw_step_folder *steps, size_t count, double **out)
{
    RW_TRY(rw_alloc(count, sizeof **out, "held-out losses", out));
    for (size_t i = 0; i < count; i++) (*out)[i] = heldout_loss(dir, &steps[i]);
    return RW_OK;
}

/* The number of losses, of `count`, lower than this loss. */
static size_t lower(const double *losses, size_t count, double than)
{
    size_t n = 0;
    for (size_t i = 0; i < count; i++) n += losses[i] < than;
    return n;
}

rw_status rw_best_mark(const char *dir, const rw_step_folder *steps, size_t count, int best,
                       bool *marks)
{
    double *losses;
    size_t marked = 0;
    memset(marks, 0, count * sizeof *marks);
    if (best <= 0 || count == 0) return RW_OK;
    RW_TRY(losses_of(dir, steps, count, &losses));
    for (size_t i = 0; i < count && marked < (size_t)best; i++) {
        marks[i] = isfinite(losses[i]) && lower(losses, count, losses[i]) < (size_t)best;
        marked += marks[i];
    }
    rw_free(&losses);
    return RW_OK;
}

bool rw_best_name(const char *dir, const rw_step_folder *steps, size_t count,
                  char name[RW_STEP_NAME_SIZE])
{
    double *losses;
    bool found = false;
    if (count == 0) return false;
    if (losses_of(dir, steps, count, &losses) != RW_OK) {
        rw_clear_message();
        return false;
    }
    for (size_t i = 0; i < count && !found; i++) {
        found = isfinite(losses[i]) && lower(losses, count, losses[i]) == 0;
        if (found) strcpy(name, steps[i].name);
    }
    rw_free(&losses);
    return found;
}

static rw_status look(const char *dir, int best, double loss, bool *yes)
{
    rw_step_folder *steps;
    double *losses = NULL;
    size_t count;
    RW_TRY(rw_step_folders(dir, &steps, &count));
    rw_status status = count ? losses_of(dir, steps, count, &losses) : RW_OK;
    *yes = status == RW_OK && isfinite(loss);
    if (*yes && count) *yes = lower(losses, count, nextafter(loss, INFINITY)) < (size_t)best;
    rw_free(&losses);
    rw_free(&steps);
    return status;
}

rw_status rw_checkpoint_is_best(const rw_layout *layout, const char *dir, int best, double loss,
                                bool *yes)
{
    int found = 0;
    rw_status status = RW_OK;
    *yes = false;
    if (best <= 0) return RW_OK;
    if (layout->rank == 0) status = look(dir, best, loss, yes);
    RW_TRY(rw_agree(layout, status));
    found = *yes;
    MPI_Bcast(&found, 1, MPI_INT, 0, layout->world);
    *yes = found != 0;
    return RW_OK;
}
