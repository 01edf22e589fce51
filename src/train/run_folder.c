#include "train/run_folder.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory.h"
#include "storage/durable_file.h"

rw_status rw_run_folder_name(const char *path, const char *config_path, rw_run_folder *out)
{
    memset(out, 0, sizeof *out);
    if (path) {
        RW_TRY(rw_strdup(path, &out->path));
    } else {
        const char *slash = strrchr(config_path, '/');
        const char *name = slash ? slash + 1 : config_path;
        RW_TRY(rw_path_join("runs", name, &out->path));
        char *dot = strrchr(out->path, '.');
        if (dot && dot > strrchr(out->path, '/')) *dot = '\0';
    }
    return rw_path_join(out->path, "checkpoints", &out->checkpoints);
}

static rw_status write_config(const rw_run_folder *folder, const rw_config *config)
{
    rw_status status = RW_OK;
    char *path = NULL, *text = NULL, *whole = NULL;
    RW_TRY_DONE(rw_config_write(config, &text));
    RW_TRY_DONE(rw_path_extend(RW_CONFIG_HEADER, text, &whole));
    RW_TRY_DONE(rw_path_join(folder->path, "config.yaml", &path));
    RW_TRY_DONE(rw_file_replace(path, whole, strlen(whole)));
done:
    rw_free(&path);
    rw_free(&whole);
    rw_free(&text);
    return status;
}

/* Training does not need a log: without a log it continues with a warning. */
static rw_status open_log(const rw_run_folder *folder)
{
    char *path;
    RW_TRY(rw_path_join(folder->path, "log.txt", &path));
    if (rw_log_open(path, RW_LOG_HEADER) != RW_OK) {
        rw_warn("%s", rw_message());
        rw_clear_message();
    }
    rw_free(&path);
    return RW_OK;
}

/* The files of a run in its folder. The checkpoints come last: the folder with the checkpoints is
 * the run. */
static const char *const run_files[] = {"metrics.jsonl", "log.txt", "report.html", "config.yaml",
                                        "checkpoints"};
enum { RUN_FILES = sizeof run_files / sizeof *run_files };

/* Moves PATH/NAME, if it exists, into the folder `to`. */
static rw_status move_into(const char *path, const char *name, const char *to)
{
    char *from = NULL, *target = NULL;
    rw_status status = RW_OK;
    RW_TRY_DONE(rw_path_join(path, name, &from));
    if (access(from, F_OK) != 0) goto done;
    RW_TRY_DONE(rw_path_join(to, name, &target));
    status = rw_file_rename(from, target);
done:
    rw_free(&from);
    rw_free(&target);
    return status;
}

/* A run was here if there are checkpoints or metrics. */
static rw_status is_used(const rw_run_folder *folder, bool *used)
{
    char *metrics;
    RW_TRY(rw_path_join(folder->path, "metrics.jsonl", &metrics));
    *used = access(folder->checkpoints, F_OK) == 0 || access(metrics, F_OK) == 0;
    rw_free(&metrics);
    return RW_OK;
}

static rw_status make_earlier(const rw_run_folder *folder, char **out)
{
    char name[32];
    for (int number = 1; number < 100000; number++) {
        snprintf(name, sizeof name, "earlier.%d", number);
        RW_TRY(rw_path_join(folder->path, name, out));
        if (access(*out, F_OK) != 0) return rw_folder_make(*out);
        rw_free(out);
    }
    return rw_fail(RW_ERROR, "%s is full of earlier runs; choose another --run-dir", folder->path);
}

rw_status rw_run_folder_set_aside(const rw_run_folder *folder)
{
    char *to = NULL;
    bool used;
    rw_status status = RW_OK;
    RW_TRY_DONE(is_used(folder, &used));
    if (!used) goto done;
    RW_TRY_DONE(make_earlier(folder, &to));
    for (int i = 0; i < RUN_FILES; i++) RW_TRY_DONE(move_into(folder->path, run_files[i], to));
    RW_TRY_DONE(rw_folder_sync(to));
    RW_TRY_DONE(rw_folder_sync(folder->path));
    rw_info("the earlier run in %s is now in %s", folder->path, to);
done:
    rw_free(&to);
    return status;
}

rw_status rw_run_folder_open(rw_run_folder *folder, const rw_config *config, uint64_t step)
{
    RW_TRY(rw_folder_make(folder->checkpoints));
    RW_TRY(write_config(folder, config));
    RW_TRY(open_log(folder));
    return rw_metrics_open(folder, step);
}

rw_status rw_run_folder_rewind(rw_run_folder *folder, uint64_t step)
{
    rw_metrics_close(folder);
    return rw_metrics_open(folder, step);
}

void rw_run_folder_close(rw_run_folder *folder)
{
    rw_metrics_close(folder);
    rw_log_close();
    rw_writer_lock_release(&folder->lock);
    if (folder->made) rmdir(folder->path); /* only an empty folder */
    folder->made = false;
    rw_free(&folder->path);
    rw_free(&folder->checkpoints);
}
