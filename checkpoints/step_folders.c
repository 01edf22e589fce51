#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "checkpoints/checkpoint_reader.h"
#include "storage/durable_file.h"

static int newest_first(const void *a, const void *b)
{
    const rw_step_folder *one = a, *other = b;
    if (one->step != other->step) return one->step < other->step ? 1 : -1;
    return (int)one->aside - (int)other->aside;
}

static rw_status read_names(DIR *folder, const char *dir, rw_step_folder **out, size_t *count)
{
    size_t capacity = 0;
    for (struct dirent *entry; (errno = 0, entry = readdir(folder));) {
        rw_step_folder found;
        if (!rw_step_parse(entry->d_name, &found.step, &found.aside)) continue;
        strcpy(found.name, entry->d_name);
        RW_TRY(rw_grow(out, &capacity, *count + 1, sizeof **out));
        (*out)[(*count)++] = found;
    }
    if (errno)
        return rw_fail(RW_ERROR, "cannot list %s: %s; check the file system", dir, strerror(errno));
    return RW_OK;
}

rw_status rw_step_folders(const char *dir, rw_step_folder **out, size_t *count)
{
    *out = NULL;
    *count = 0;
    DIR *folder = opendir(dir);
    if (!folder && errno == ENOENT) return RW_OK;
    if (!folder)
        return rw_fail(RW_ERROR, "cannot list %s: %s; check the path and its permissions", dir,
                       strerror(errno));
    rw_status status = read_names(folder, dir, out, count);
    closedir(folder);
    if (status != RW_OK) {
        rw_free(out);
        return status;
    }
    if (*count) qsort(*out, *count, sizeof **out, newest_first);
    return RW_OK;
}

/* The last component of a path, without slashes at its end. */
static void last_name(const char *path, char *name, size_t room)
{
    size_t end = strlen(path);
    while (end > 1 && path[end - 1] == '/') end--;
    size_t begin = end;
    while (begin > 0 && path[begin - 1] != '/') begin--;
    size_t length = end - begin < room ? end - begin : room - 1;
    memcpy(name, path + begin, length);
    name[length] = '\0';
}

static rw_status is_step(const char *path, bool *step)
{
    char name[RW_STEP_NAME_SIZE], *manifest;
    uint64_t number;
    bool aside;
    last_name(path, name, sizeof name);
    RW_TRY(rw_path_join(path, RW_MANIFEST_FILE, &manifest));
    *step = rw_step_parse(name, &number, &aside) || rw_file_exists(manifest);
    rw_free(&manifest);
    return RW_OK;
}

/* A small file beside the checkpoints with the name of a checkpoint: `best`, `latest`. */
static rw_status follow(const char *path, char **folder)
{
    char name[RW_STEP_NAME_SIZE], *slash, *above = NULL;
    unsigned char *text = NULL;
    size_t size;
    uint64_t number;
    bool damaged, aside;
    rw_status status;
    last_name(path, name, sizeof name);
    if (strcmp(name, RW_BEST_FILE) != 0 && strcmp(name, RW_LATEST_FILE) != 0) return RW_OK;
    RW_TRY_DONE(rw_strdup(path, &above));
    slash = strrchr(above, '/');
    if (slash) slash[slash == above] = '\0';
    RW_TRY_DONE(rw_file_read(path, sizeof name - 1, &text, &size, &damaged));
    memcpy(name, text, size);
    name[size] = '\0';
    name[strcspn(name, "\n")] = '\0';
    if (!rw_step_parse(name, &number, &aside))
        status =
            rw_fail(RW_ERROR, "%s does not name a checkpoint: give the checkpoint (step-N)", path);
    else
        status = rw_path_join(slash ? above : ".", name, folder);
done:
    rw_free(&text);
    rw_free(&above);
    return status;
}

rw_status rw_checkpoint_locate(const char *path, char **folder, bool *step)
{
    *folder = NULL;
    *step = true;
    if (rw_file_exists(path)) RW_TRY(follow(path, folder));
    if (*folder) return RW_OK;
    if (!rw_folder_exists(path))
        return rw_fail(RW_ERROR,
                       "%s is not a folder: name a checkpoint (step-N), a folder of checkpoints, "
                       "or the folder of a run",
                       path);
    RW_TRY(is_step(path, step));
    if (*step) return rw_strdup(path, folder);
    RW_TRY(rw_path_join(path, "checkpoints", folder));
    if (rw_folder_exists(*folder)) return RW_OK;
    rw_free(folder);
    return rw_strdup(path, folder);
}

rw_status rw_no_checkpoint(const char *kind, const char *dir)
{
    return rw_fail(RW_ERROR,
                   "there is no %scheckpoint in %s: give the folder of a run that has saved one",
                   kind, dir);
}

rw_status rw_checkpoint_folder(const char *path, char **folder)
{
    rw_step_folder *steps = NULL;
    size_t count;
    char *dir = NULL;
    bool step;
    rw_status status = RW_OK;
    *folder = NULL;
    RW_TRY_DONE(rw_checkpoint_locate(path, &dir, &step));
    if (step) {
        *folder = dir;
        return RW_OK;
    }
    RW_TRY_DONE(rw_step_folders(dir, &steps, &count));
    if (count)
        RW_TRY_DONE(rw_path_join(dir, steps[0].name, folder));
    else
        status = rw_no_checkpoint("", dir);
done:
    rw_free(&steps);
    rw_free(&dir);
    return status;
}
