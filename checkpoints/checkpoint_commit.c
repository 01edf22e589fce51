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

#define VERIFIED_MIN  2   /* undamaged checkpoints that stay with any `keep` */
#define RW_OTHER_NAME 256 /* room for the name of a file */

/* A failure that does not endanger the checkpoint becomes a warning. */
static void forgive(rw_status status, const char *what)
{
    if (status == RW_OK) return;
    rw_warn("%s: %s", what, rw_message());
    rw_clear_message();
}

/* data-0.h5, data-1.h5 ... */
static bool is_data_file(const char *name)
{
    size_t digits = strncmp(name, "data-", 5) == 0 ? strspn(name + 5, "0123456789") : 0;
    return digits > 0 && strcmp(name + 5 + digits, ".h5") == 0;
}

/* Does the folder hold only files of a checkpoint? A link does not count. *name: the first other
 * file. */
static bool is_ours(const char *path, char *name, size_t size)
{
    DIR *folder = opendir(path);
    bool ours = true;
    for (struct dirent *entry; folder && ours && (entry = readdir(folder));) {
        const char *e = entry->d_name;
        ours = strcmp(e, ".") == 0 || strcmp(e, "..") == 0 || strcmp(e, RW_MANIFEST_FILE) == 0 ||
               strcmp(e, RW_INDEX_FILE) == 0 || is_data_file(e);
        if (!ours) snprintf(name, size, "%s", e);
    }
    if (folder) closedir(folder);
    return ours;
}

/* Removes a remainder: a folder, or the temporary file of `latest`. Foreign files, and the folder
 * at the end of a link, stay. */
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

/* The target of the link belongs to its owner. */
static rw_status retire_link(const char *path)
{
    char to[4096];
    ssize_t length = readlink(path, to, sizeof to - 1);
    to[length > 0 ? length : 0] = '\0';
    if (rw_file_call.unlink(path) < 0) return rw_fail(RW_ERROR, "cannot remove the link %s", path);
    rw_info("%s was a link: it is removed, the checkpoint stays in %s", path, to);
    return RW_OK;
}

/* Removes a committed checkpoint. Its name goes first: a half-removed folder must not look like a
 * checkpoint. */
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

/* A folder with foreign files is reported once, and stays. */
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

/* A checkpoint moved aside: removed if its successor exists, else restored. */
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

/* Writes the name of a checkpoint into the file `hint`. */
static rw_status point_to(const char *dir, const char *hint, const char *name)
{
    char line[RW_STEP_NAME_SIZE + 1], *path;
    int length = snprintf(line, sizeof line, "%s\n", name);
    RW_TRY(rw_path_join(dir, hint, &path));
    rw_status status = rw_file_replace(path, line, (size_t)length);
    rw_free(&path);
    return status;
}

static rw_status point_latest(const char *dir, const char *name)
{
    return point_to(dir, RW_LATEST_FILE, name);
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
    /* From here on the checkpoint is safe; the rest is convenience. */
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

/* stays[i]: not to be removed, however many are newer. */
static void prune(const char *dir, uint64_t step, int keep, const rw_step_folder *steps,
                  size_t count, const bool *stays)
{
    int kept = 0, verified = 0;
    rw_status status = RW_OK;
    for (size_t i = 0; status == RW_OK && i < count; i++) {
        bool saved = steps[i].step == step;
        if (!saved && !stays[i] && kept >= keep && verified >= VERIFIED_MIN) {
            status = retire(dir, steps[i].name);
            continue;
        }
        kept++;
        /* The saved checkpoint was read back a moment ago. */
        if (saved || (verified < VERIFIED_MIN && undamaged(dir, steps[i].name))) verified++;
    }
    forgive(status, "older checkpoints stay");
}

static void mark_regular(const rw_step_folder *steps, size_t count, uint64_t every, bool *stays)
{
    int marked = 0;
    for (size_t i = 0; i < count && marked < VERIFIED_MIN; i++) {
        if (!rw_step_regular(steps[i].step, every)) continue;
        stays[i] = true;
        marked++;
    }
}

static rw_status point_best(const char *dir, const rw_step_folder *steps, size_t count, bool wanted)
{
    char name[RW_STEP_NAME_SIZE], *path;
    if (wanted && rw_best_name(dir, steps, count, name)) return point_to(dir, RW_BEST_FILE, name);
    RW_TRY(rw_path_join(dir, RW_BEST_FILE, &path));
    rw_file_call.unlink(path);
    rw_free(&path);
    return RW_OK;
}

void rw_checkpoint_prune(const char *dir, uint64_t step, int keep, uint64_t every, int best)
{
    rw_step_folder *steps;
    bool *marks = NULL;
    size_t count;
    rw_status status = rw_step_folders(dir, &steps, &count);
    if (status == RW_OK && count > 0) {
        status = rw_alloc(count, sizeof *marks, "the best checkpoints", &marks);
        if (status == RW_OK) status = rw_best_mark(dir, steps, count, best, marks);
        /* Who cannot tell the best ones removes none. */
        if (status == RW_OK) {
            mark_regular(steps, count, every, marks);
            prune(dir, step, keep, steps, count, marks);
        }
    }
    forgive(status, "older checkpoints stay");
    if (status == RW_OK) forgive(point_best(dir, steps, count, best > 0), "`best` stays as it was");
    rw_free(&marks);
    rw_free(&steps);
}

/* The digest of the state in a checkpoint folder; 0 if unknown. */
static uint64_t digest_in(const char *path)
{
    rw_manifest *manifest = NULL;
    bool damaged;
    uint64_t digest = 0;
    if (rw_manifest_load(path, &manifest, &damaged) == RW_OK)
        digest = manifest->digest;
    else
        rw_clear_message();
    rw_manifest_destroy(&manifest);
    return digest;
}

/* The first free name set-aside-step-N, set-aside-step-N.2 ...; *same: a folder with such a name
 * holds the same state. */
static rw_status aside_path(const char *dir, const char *step, uint64_t digest, char **out,
                            bool *same)
{
    char name[RW_STEP_NAME_SIZE + 32];
    for (int number = 1; number < 100000; number++) {
        if (number == 1)
            snprintf(name, sizeof name, RW_ASIDE_PREFIX "%s", step);
        else
            snprintf(name, sizeof name, RW_ASIDE_PREFIX "%s.%d", step, number);
        RW_TRY(rw_path_join(dir, name, out));
        bool taken = rw_folder_exists(*out);
        *same = taken && digest && digest_in(*out) == digest;
        if (!taken || *same) return RW_OK;
        rw_free(out);
    }
    return rw_fail(RW_ERROR, "%s is full of checkpoints that were set aside: remove some", dir);
}

static rw_status set_aside(const char *dir, const char *name)
{
    char *from = NULL, *to = NULL;
    bool same;
    rw_status status = RW_OK;
    RW_TRY_DONE(rw_path_join(dir, name, &from));
    RW_TRY_DONE(aside_path(dir, name, digest_in(from), &to, &same));
    status = same ? retire(dir, name) : rw_file_rename(from, to);
    if (status == RW_OK) status = rw_folder_sync(dir);
done:
    rw_free(&to);
    rw_free(&from);
    return status;
}

rw_status rw_checkpoint_set_aside(const char *dir, uint64_t first, uint64_t *count)
{
    rw_step_folder *steps;
    size_t found, newest;
    *count = 0;
    RW_TRY(rw_step_folders(dir, &steps, &found));
    rw_status status = RW_OK;
    for (newest = 0; status == RW_OK && newest < found && steps[newest].step >= first; newest++) {
        status = set_aside(dir, steps[newest].name);
        *count += status == RW_OK;
    }
    if (status == RW_OK && *count && newest < found)
        forgive(point_latest(dir, steps[newest].name), "`latest` stays as it was");
    if (status == RW_OK && *count)
        forgive(point_best(dir, steps + newest, found - newest, true), "`best` stays as it was");
    rw_free(&steps);
    return status;
}
