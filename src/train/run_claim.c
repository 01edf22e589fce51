/* Claims a run folder: only one process writes, and foreign files are not replaced. The content of
 * a file tells whether ropewalk wrote the file. */
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "checkpoints/checkpoint_format.h"
#include "report/report.h"
#include "storage/durable_file.h"
#include "train/run_folder.h"

#define HEAD_BYTES 4096

static bool starts_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

/* config.yaml with the header; or, from an earlier version, exactly in the form of a resolved
 * configuration. */
static bool is_config(const char *path, const char *head)
{
    rw_config *config = NULL;
    char *canonical = NULL, *text = NULL;
    size_t size;
    if (starts_with(head, RW_CONFIG_HEADER)) return true;
    bool ours = rw_config_load(path, NULL, 0, &config) == RW_OK &&
                rw_config_write(config, &canonical) == RW_OK &&
                rw_file_head(path, strlen(canonical) + 1, &text, &size) == RW_OK && text &&
                strcmp(text, canonical) == 0;
    rw_clear_message();
    rw_free(&text);
    rw_free(&canonical);
    rw_config_destroy(&config);
    return ours;
}

static bool is_metrics(const char *path, const char *head)
{
    (void)path;
    return !head[0] || starts_with(head, "{\"step\":");
}

/* A log begins with its header; a log of an earlier version describes the model. */
static bool is_log(const char *path, const char *head)
{
    (void)path;
    const char *model = strstr(head, "model: ");
    bool says_model =
        model && (model == head || model[-1] == '\n') && strstr(model, " parameters; data: ");
    return !head[0] || starts_with(head, RW_LOG_HEADER) || says_model;
}

static bool is_report(const char *path, const char *head)
{
    bool ours = false;
    (void)head;
    if (rw_report_is_ours(path, &ours) != RW_OK) rw_clear_message();
    return ours;
}

static rw_status refuse(const char *path, const char *what)
{
    return rw_fail(RW_ERROR,
                   "%s %s; training would replace it: choose another --run-dir, move it away, or "
                   "replace it with --force",
                   path, what);
}

static rw_status check_file(const char *path, bool (*is_ours)(const char *path, const char *head))
{
    struct stat about;
    char *head;
    size_t size;
    if (lstat(path, &about) < 0) return RW_OK;
    RW_TRY(rw_file_head(path, HEAD_BYTES, &head, &size));
    if (!head) return refuse(path, "is a link, a folder or a pipe");
    bool ours = is_ours(path, head);
    rw_free(&head);
    return ours ? RW_OK : refuse(path, "was not written by ropewalk");
}

rw_status rw_run_folder_foreign(const rw_run_folder *folder)
{
    static const struct {
        const char *name;
        bool (*is_ours)(const char *path, const char *head);
    } files[] = {{"config.yaml", is_config},
                 {"metrics.jsonl", is_metrics},
                 {"log.txt", is_log},
                 {"report.html", is_report}};
    struct stat about;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char *path;
        RW_TRY(rw_path_join(folder->path, files[i].name, &path));
        /* Without a writable log, training continues with a warning. */
        bool other_log =
            files[i].is_ours == is_log && lstat(path, &about) == 0 && !S_ISREG(about.st_mode);
        rw_status status = other_log ? RW_OK : check_file(path, files[i].is_ours);
        rw_free(&path);
        RW_TRY(status);
    }
    if (stat(folder->checkpoints, &about) == 0 && !S_ISDIR(about.st_mode))
        return rw_fail(RW_ERROR, "%s is not a folder; choose another --run-dir, or move it away",
                       folder->checkpoints);
    return RW_OK;
}

static void clean(const rw_run_folder *folder)
{
    static const char *const names[] = {"config.yaml", "metrics.jsonl", "report.html"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *path;
        if (rw_path_join(folder->path, names[i], &path) != RW_OK) return;
        rw_temporaries_clean(path);
        rw_free(&path);
    }
}

/* A checkpoint, or the folder of a run's checkpoints, is no place for a run. */
static rw_status check_place(const rw_run_folder *folder)
{
    static const char *const marks[] = {RW_MANIFEST_FILE, RW_LATEST_FILE};
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
        char *path;
        struct stat about;
        RW_TRY(rw_path_join(folder->path, marks[i], &path));
        bool there = lstat(path, &about) == 0;
        rw_free(&path);
        if (there)
            return rw_fail(RW_ERROR,
                           "%s holds checkpoints (there is a file %s in it), it is no run folder; "
                           "name the folder of the run, or choose another --run-dir",
                           folder->path, marks[i]);
    }
    return RW_OK;
}

rw_status rw_run_folder_claim(rw_run_folder *folder, bool force)
{
    char *lock;
    bool there = rw_folder_exists(folder->path);
    RW_TRY(check_place(folder));
    if (there && !force) RW_TRY(rw_run_folder_foreign(folder));
    RW_TRY(rw_folder_make(folder->path));
    folder->made = !there;
    if (!rw_folder_exists(folder->path))
        return rw_fail(RW_ERROR, "%s is not a folder; choose another --run-dir", folder->path);
    RW_TRY(rw_path_join(folder->path, "train.lock", &lock));
    rw_status status =
        rw_writer_lock_take(lock, folder->path, "choose another --run-dir", &folder->lock);
    rw_free(&lock);
    if (status == RW_OK) clean(folder);
    return status;
}
