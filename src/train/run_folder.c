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

/* Training does not need a log: without one it goes on with a warning. */
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

rw_status rw_run_folder_set_aside(const rw_run_folder *folder)
{
    char *to = NULL, suffix[16];
    int number = 1;
    if (access(folder->checkpoints, F_OK) != 0) return RW_OK;
    do {
        rw_free(&to);
        snprintf(suffix, sizeof suffix, ".%d", number++);
        RW_TRY(rw_path_extend(folder->checkpoints, suffix, &to));
    } while (access(to, F_OK) == 0 && number < 100000);
    rw_status status = RW_OK;
    if (rename(folder->checkpoints, to) != 0)
        status = rw_fail(RW_ERROR, "cannot move %s out of the way: %s; choose another --run-dir",
                         folder->checkpoints, strerror(errno));
    else
        rw_info("checkpoints of the earlier run are now in %s", to);
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

void rw_run_folder_close(rw_run_folder *folder)
{
    rw_metrics_close(folder);
    rw_log_close();
    rw_writer_lock_release(&folder->lock);
    if (folder->made) rmdir(folder->path); /* only if it is empty */
    folder->made = false;
    rw_free(&folder->path);
    rw_free(&folder->checkpoints);
}
