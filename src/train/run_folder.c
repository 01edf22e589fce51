#include "train/run_folder.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/shown_text.h"
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
    char *path = NULL, *text = NULL;
    RW_TRY_DONE(rw_config_write(config, &text));
    RW_TRY_DONE(rw_path_join(folder->path, "config.yaml", &path));
    RW_TRY_DONE(rw_file_replace(path, text, strlen(text)));
done:
    rw_free(&path);
    rw_free(&text);
    return status;
}

static rw_status open_log(const rw_run_folder *folder)
{
    char *path;
    RW_TRY(rw_path_join(folder->path, "log.txt", &path));
    rw_status status = rw_log_open(path);
    rw_free(&path);
    return status;
}

/* The step a metrics line belongs to; UINT64_MAX if it says none. */
static uint64_t step_of_line(const char *line)
{
    const char *at = strstr(line, "\"step\":");
    return at ? strtoull(at + 7, NULL, 10) : UINT64_MAX;
}

/* Copies whole lines of steps up to `step` to `to`; a run that begins keeps none. */
static void copy_lines(FILE *from, FILE *to, uint64_t step)
{
    char *line = NULL;
    size_t capacity = 0;
    ssize_t length;
    while ((length = getline(&line, &capacity, from)) > 0)
        if (step > 0 && line[length - 1] == '\n' && step_of_line(line) <= step) fputs(line, to);
    free(line);
}

static rw_status trim_metrics(const char *path, uint64_t step)
{
    rw_draft draft;
    FILE *from = fopen(path, "r");
    if (!from) return RW_OK;
    rw_status status = rw_draft_begin(path, &draft);
    if (status == RW_OK) {
        copy_lines(from, draft.stream, step);
        if (ferror(from)) status = rw_fail(RW_ERROR, "cannot read %s: %s", path, strerror(errno));
        status = rw_draft_end(status, &draft);
    }
    fclose(from);
    return status;
}

static rw_status open_metrics(rw_run_folder *folder, uint64_t step)
{
    char *path;
    RW_TRY(rw_path_join(folder->path, "metrics.jsonl", &path));
    rw_status status = trim_metrics(path, step);
    if (status == RW_OK) {
        folder->metrics = fopen(path, "a");
        if (!folder->metrics)
            status = rw_fail(RW_ERROR, "cannot write %s: %s; check the run folder", path,
                             strerror(errno));
    }
    rw_free(&path);
    return status;
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
    return open_metrics(folder, step);
}

void rw_run_folder_close(rw_run_folder *folder)
{
    if (folder->metrics) fclose(folder->metrics);
    folder->metrics = NULL;
    rw_free(&folder->path);
    rw_free(&folder->checkpoints);
    rw_log_close();
}

void rw_metrics_begin(rw_run_folder *folder, uint64_t step)
{
    if (folder->metrics) fprintf(folder->metrics, "{\"step\":%" PRIu64, step);
}

void rw_metrics_number(rw_run_folder *folder, const char *name, double value)
{
    if (!folder->metrics) return;
    if (isfinite(value))
        fprintf(folder->metrics, ",\"%s\":%.9g", name, value);
    else
        fprintf(folder->metrics, ",\"%s\":null", name);
}

void rw_metrics_text(rw_run_folder *folder, const char *name, const char *value)
{
    if (!folder->metrics) return;
    char shown[RW_SHOWN_SIZE(1024)]; /* UTF-8, which JSON must be, without control characters */
    rw_show_text(value, shown, sizeof shown);
    fprintf(folder->metrics, ",\"%s\":\"", name);
    for (const char *c = shown; *c; c++) {
        if (*c == '"' || *c == '\\') fputc('\\', folder->metrics);
        fputc(*c, folder->metrics);
    }
    fputc('"', folder->metrics);
}

rw_status rw_metrics_end(rw_run_folder *folder)
{
    if (!folder->metrics) return RW_OK;
    if (fputs("}\n", folder->metrics) < 0 || fflush(folder->metrics) != 0)
        return rw_fail(RW_ERROR, "cannot write %s/metrics.jsonl: %s; free some space and resume",
                       folder->path, strerror(errno));
    return RW_OK;
}
