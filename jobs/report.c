#include "report.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "report_page.h"
#include "run_config.h"
#include "run_metrics.h"

static rw_status join(const char *folder, const char *name, char *path)
{
    if (snprintf(path, PATH_MAX, "%s/%s", folder, name) < PATH_MAX) return RW_OK;
    return rw_fail(RW_ERROR, "the path %.80s... is too long for a report", folder);
}

static rw_status check_run_dir(const char *run_dir, const char *metrics, const char *config)
{
    if (access(run_dir, F_OK) != 0)
        return rw_fail(RW_ERROR, "no run folder %s: %s; give the --run-dir of ropewalk train",
                       run_dir, strerror(errno));
    if (access(metrics, F_OK) != 0 && access(config, F_OK) != 0)
        return rw_fail(RW_ERROR,
                       "%s is not a run folder: it has neither metrics.jsonl nor config.yaml; "
                       "give the --run-dir of ropewalk train",
                       run_dir);
    return RW_OK;
}

static rw_status write_file(const char *path, const rw_report *report)
{
    FILE *file = fopen(path, "w");
    if (!file)
        return rw_fail(RW_ERROR, "cannot write %s: %s; check the folder's permissions", path,
                       strerror(errno));
    rw_status status = rw_report_page(report, file);
    bool written = !ferror(file) && fflush(file) == 0 && fsync(fileno(file)) == 0;
    int reason = errno;
    written = fclose(file) == 0 && written;
    if (status == RW_OK && !written)
        status =
            rw_fail(RW_ERROR, "cannot write %s: %s; is the disk full?", path, strerror(reason));
    return status;
}

static rw_status replace_file(const char *path, const rw_report *report)
{
    char temporary[PATH_MAX], name[64];
    snprintf(name, sizeof name, "report.html.tmp.%ld", (long)getpid());
    RW_TRY(join(report->run_dir, name, temporary));
    rw_status status = write_file(temporary, report);
    if (status == RW_OK && rename(temporary, path) != 0)
        status = rw_fail(RW_ERROR, "cannot write %s: %s", path, strerror(errno));
    if (status != RW_OK) unlink(temporary);
    return status;
}

rw_status rw_report_write(const char *run_dir)
{
    char metrics_path[PATH_MAX], config_path[PATH_MAX], path[PATH_MAX];
    RW_TRY(join(run_dir, "metrics.jsonl", metrics_path));
    RW_TRY(join(run_dir, "config.yaml", config_path));
    RW_TRY(join(run_dir, "report.html", path));
    RW_TRY(check_run_dir(run_dir, metrics_path, config_path));
    rw_run_metrics metrics = {0};
    rw_run_config config = {0};
    rw_report report = {run_dir, &metrics, &config};
    rw_status status;
    RW_TRY_DONE(rw_run_metrics_read(metrics_path, &metrics));
    RW_TRY_DONE(rw_run_config_read(config_path, &config));
    status = replace_file(path, &report);
done:
    rw_run_metrics_free(&metrics);
    rw_run_config_free(&config);
    return status;
}
