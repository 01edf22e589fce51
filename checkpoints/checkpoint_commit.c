#include "checkpoints/checkpoint_commit.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory.h"
#include "checkpoints/checkpoint_reader.h"
#include "storage/durable_file.h"
#include "storage/writer_lock.h"

#define VERIFIED_MIN  2   /* undamaged checkpoints that stay, whatever `keep` is */
#define RW_OTHER_NAME 256 /* room for the name of a file */

/* A failure that does not endanger the checkpoint becomes a warning. */
static void forgive(rw_status status, const char *what)
{
    if (status == RW_OK) return;
    rw_warn("%s: %s", what, rw_message());
    rw_clear_message();
}

/* Does the checkpoint hold only what a checkpoint holds? A link does not. *name: what else. */
static bool is_ours(const char *path, char *name, size_t size)
{
    DIR *folder = opendir(path);
    bool ours = true;
    for (struct dirent *entry; folder && ours && (entry = readdir(folder));) {
        const char *e = entry->d_name;
        ours = strcmp(e, ".") == 0 || strcmp(e, "..") == 0 || strcmp(e, RW_MANIFEST_FILE) == 0 ||
               strcmp(e, RW_INDEX_FILE) == 0 || rw_data_file_valid(e);
        if (!ours) snprintf(name, size, "%s", e);
    }
    if (folder) closedir(folder);
    return ours;
}

/* Removes a leftover: a folder, or the temporary file of `latest`. What is in a folder that a
 * link leads to, or what ropewalk did not write, stays. */
static rw_status remove_leftover(const char *dir, const char *name)
{
    char *path, other[RW_OTHER_NAME];
    RW_TRY(rw_path_join(dir, name, &path));
    rw_status status = RW_OK;
    if (rw_is_link(path) || !rw_folder_exists(path))
        rw_file_call.unlink(path);
    else if (is_ours(path, other, sizeof other))
        status = rw_folder_remove(path);
    rw_free(&path);
    return status;
}

static rw_status remove_leftovers(const char *dir)
{
    DIR *folder = opendir(dir);
    if (!folder) return RW_OK;
    rw_status status = RW_OK;
    for (struct dirent *entry; status == RW_OK && (entry = readdir(folder));)
        if (rw_is_leftover(entry->d_name)) status = remove_leftover(dir, entry->d_name);
    closedir(folder);
    return status;
}

/* Where the link leads to is its owner's. */
static rw_status retire_link(const char *path)
{
    char to[4096];
    ssize_t length = readlink(path, to, sizeof to - 1);
    to[length > 0 ? length : 0] = '\0';
    if (rw_file_call.unlink(path) < 0) return rw_fail(RW_ERROR, "cannot remove the link %s", path);
    rw_info("%s was a link: it is removed, the checkpoint stays in %s", path, to);
    return RW_OK;
}

/* Takes a committed checkpoint away. Its name goes first: a half-removed one
 * must not look like a checkpoint. */
static rw_status retire_folder(const char *dir, const char *from)
{
    char *to = NULL;
    rw_status status = RW_OK;
    RW_TRY_DONE(rw_path_temporary(from, &to));
    RW_TRY_DONE(rw_file_rename(from, to));
    RW_TRY_DONE(rw_folder_sync(dir));
    RW_TRY_DONE(rw_folder_remove(to));
done:
    rw_free(&to);
    return status;
}

/* One that holds something else too is told about once, and stays. */
static rw_status retire(const char *dir, const char *name)
{
    static char told[RW_STEP_NAME_SIZE];
    char *from, other[RW_OTHER_NAME];
    rw_status status = RW_OK;
    RW_TRY(rw_path_join(dir, name, &from));
    if (rw_is_link(from)) {
        status = retire_link(from);
    } else if (is_ours(from, other, sizeof other)) {
        status = retire_folder(dir, from);
    } else if (strcmp(told, name) != 0) {
        rw_warn("the old checkpoint %s stays: ropewalk did not write %s in it", from, other);
        snprintf(told, sizeof told, "%s", name);
    }
    rw_free(&from);
    return status;
}

/* A checkpoint moved aside: retired if its successor came, else restored. */
static rw_status settle_aside(const char *dir, const rw_step_folder *aside)
{
    char name[RW_STEP_NAME_SIZE];
    char *from = NULL, *to = NULL;
    rw_status status = RW_OK;
    rw_step_name(aside->step, name);
    RW_TRY_DONE(rw_path_join(dir, aside->name, &from));
    RW_TRY_DONE(rw_path_join(dir, name, &to));
    if (rw_folder_exists(to))
        status = retire(dir, aside->name);
    else
        status = rw_file_rename(from, to);
done:
    rw_free(&to);
    rw_free(&from);
    return status;
}

void rw_commit_clean(const char *dir)
{
    rw_step_folder *steps;
    size_t count;
    rw_status status = remove_leftovers(dir);
    forgive(status, "what an interrupted save left stays");
    status = rw_step_folders(dir, &steps, &count);
    for (size_t i = 0; status == RW_OK && i < count; i++)
        if (steps[i].aside) status = settle_aside(dir, &steps[i]);
    forgive(status, "a replaced checkpoint stays");
    rw_free(&steps);
}

static rw_status point_latest(const char *dir, const char *name)
{
    char line[RW_STEP_NAME_SIZE + 1], *path;
    int length = snprintf(line, sizeof line, "%s\n", name);
    RW_TRY(rw_path_join(dir, RW_LATEST_FILE, &path));
    rw_status status = rw_file_replace(path, line, (size_t)length);
    rw_free(&path);
    return status;
}

rw_status rw_commit_promote(const char *dir, const char *fresh, uint64_t step)
{
    char name[RW_STEP_NAME_SIZE];
    char *path = NULL, *old = NULL;
    rw_status status = RW_OK;
    rw_step_name(step, name);
    RW_TRY_DONE(rw_path_join(dir, name, &path));
    RW_TRY_DONE(rw_folder_sync(fresh));
    RW_TRY_DONE(rw_writer_locks_check());
    RW_TRY_DONE(rw_folder_promote(fresh, path, &old));
    RW_TRY_DONE(rw_folder_sync(dir));
    /* From here on the checkpoint is safe; what follows is convenience. */
    if (old) forgive(rw_folder_remove(old), "the replaced checkpoint stays");
    forgive(point_latest(dir, name), "`latest` stays as it was");
done:
    rw_free(&old);
    rw_free(&path);
    return status;
}

static bool undamaged(const char *dir, const char *name)
{
    char *path;
    rw_checkpoint *checkpoint = NULL;
    bool damaged;
    rw_status status = rw_path_join(dir, name, &path);
    if (status == RW_OK) status = rw_checkpoint_load(path, &checkpoint, &damaged);
    if (status != RW_OK) rw_clear_message();
    rw_checkpoint_close(&checkpoint);
    rw_free(&path);
    return status == RW_OK;
}

void rw_commit_prune(const char *dir, uint64_t step, int keep)
{
    rw_step_folder *steps;
    size_t count;
    int kept = 0, verified = 0;
    rw_status status = rw_step_folders(dir, &steps, &count);
    for (size_t i = 0; status == RW_OK && i < count; i++) {
        bool saved = steps[i].step == step;
        if (!saved && kept >= keep && verified >= VERIFIED_MIN) {
            status = retire(dir, steps[i].name);
            continue;
        }
        kept++;
        /* The saved one was read back a moment ago. */
        if (saved || (verified < VERIFIED_MIN && undamaged(dir, steps[i].name))) verified++;
    }
    forgive(status, "older checkpoints stay");
    rw_free(&steps);
}
