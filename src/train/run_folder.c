#include "train/run_folder.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory.h"

static rw_status path_of(const char *folder, const char *name, char **out)
{
    size_t n = strlen(folder) + strlen(name) + 2;
    RW_TRY(rw_alloc(n, 1, "a path", out));
    snprintf(*out, n, "%s/%s", folder, name);
    return RW_OK;
}

rw_status rw_run_folder_name(const char *path, const char *config_path, rw_run_folder *out)
{
    memset(out, 0, sizeof *out);
    if (path) {
        RW_TRY(rw_strdup(path, &out->path));
    } else {
        const char *slash = strrchr(config_path, '/');
        const char *name = slash ? slash + 1 : config_path;
        RW_TRY(path_of("runs", name, &out->path));
        char *dot = strrchr(out->path, '.');
        if (dot && dot > strrchr(out->path, '/')) *dot = '\0';
    }
    return path_of(out->path, "checkpoints", &out->checkpoints);
}

/* mkdir -p */
static rw_status make_folder(const char *path)
{
    rw_status status = RW_OK;
    char *copy;
    RW_TRY(rw_strdup(path, &copy));
    for (char *at = copy + 1; status == RW_OK; at++) {
        if (*at != '/' && *at != '\0') continue;
        char kept = *at;
        *at = '\0';
        if (mkdir(copy, 0777) != 0 && errno != EEXIST)
            status = rw_fail(RW_ERROR,
                             "cannot create the run folder %s: %s; choose another with "
                             "--run-dir",
                             copy, strerror(errno));
        *at = kept;
        if (!kept) break;
    }
    rw_free(&copy);
    return status;
}

static rw_status write_text(const char *folder, const char *name, const char *text)
{
    char *path;
    RW_TRY(path_of(folder, name, &path));
    FILE *file = fopen(path, "w");
    bool failed = !file || fputs(text, file) < 0;
    if (file && fclose(file) != 0) failed = true;
    rw_status status = RW_OK;
    if (failed) status = rw_fail(RW_ERROR, "cannot write %s: %s", path, strerror(errno));
    rw_free(&path);
    return status;
}

/* The step a metrics line belongs to; UINT64_MAX if it says none. */
static uint64_t step_of_line(const char *line)
{
    const char *at = strstr(line, "\"step\":");
    return at ? strtoull(at + 7, NULL, 10) : UINT64_MAX;
}

/* Copies whole lines of steps up to `step` to `to`. */
static bool copy_lines(FILE *from, FILE *to, uint64_t step)
{
    char *line = NULL;
    size_t capacity = 0;
    ssize_t length;
    bool good = true;
    while (good && (length = getline(&line, &capacity, from)) > 0)
        if (line[length - 1] == '\n' && step_of_line(line) <= step) good = fputs(line, to) >= 0;
    free(line);
    return good;
}

static rw_status trim_metrics(const char *path, uint64_t step)
{
    rw_status status = RW_OK;
    FILE *from = fopen(path, "r");
    if (!from) return RW_OK;
    char *kept = NULL;
    FILE *to = NULL;
    size_t n = strlen(path) + 5;
    RW_TRY_DONE(rw_alloc(n, 1, "a path", &kept));
    snprintf(kept, n, "%s.new", path);
    to = fopen(kept, "w");
    bool good = to && copy_lines(from, to, step);
    if (to && fclose(to) != 0) good = false;
    if (!good || rename(kept, path) != 0)
        status = rw_fail(RW_ERROR, "cannot rewrite %s: %s", path, strerror(errno));
done:
    fclose(from);
    rw_free(&kept);
    return status;
}

rw_status rw_run_folder_open(rw_run_folder *folder, const rw_config *config, uint64_t step)
{
    rw_status status = RW_OK;
    char *path = NULL, *text = NULL;
    RW_TRY_DONE(make_folder(folder->checkpoints));
    RW_TRY_DONE(rw_config_write(config, &text));
    RW_TRY_DONE(write_text(folder->path, "config.yaml", text));
    RW_TRY_DONE(path_of(folder->path, "log.txt", &path));
    RW_TRY_DONE(rw_log_open(path));
    rw_free(&path);
    RW_TRY_DONE(path_of(folder->path, "metrics.jsonl", &path));
    RW_TRY_DONE(trim_metrics(path, step));
    folder->metrics = fopen(path, "a");
    if (!folder->metrics) status = rw_fail(RW_ERROR, "cannot write %s: %s", path, strerror(errno));
done:
    rw_free(&path);
    rw_free(&text);
    return status;
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
    fprintf(folder->metrics, ",\"%s\":\"", name);
    for (; *value; value++) {
        if (*value == '"' || *value == '\\') fputc('\\', folder->metrics);
        if ((unsigned char)*value >= ' ') fputc(*value, folder->metrics);
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
