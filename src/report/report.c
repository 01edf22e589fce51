#include "report/report.h"

#include <string.h>
#include <sys/stat.h>

#include "base/memory.h"
#include "report/report_page.h"
#include "report/run_config.h"
#include "report/run_metrics.h"
#include "storage/durable_file.h"

typedef struct {
    char *metrics, *config, *page;
} run_paths;

static rw_status name_paths(const char *run_dir, run_paths *out)
{
    RW_TRY(rw_path_join(run_dir, "metrics.jsonl", &out->metrics));
    RW_TRY(rw_path_join(run_dir, "config.yaml", &out->config));
    return rw_path_join(run_dir, "report.html", &out->page);
}

static rw_status check_run_dir(const char *run_dir, const run_paths *paths)
{
    if (!rw_folder_exists(run_dir))
        return rw_fail(RW_ERROR, "no run folder %s; give the --run-dir of ropewalk train", run_dir);
    if (!rw_file_exists(paths->metrics) && !rw_file_exists(paths->config))
        return rw_fail(RW_ERROR,
                       "%s is not a run folder: it has neither metrics.jsonl nor config.yaml; "
                       "give the --run-dir of ropewalk train",
                       run_dir);
    return RW_OK;
}

rw_status rw_report_is_ours(const char *path, bool *ours)
{
    char *head;
    size_t size;
    RW_TRY(rw_file_head(path, 4096, &head, &size));
    /* Pages of earlier versions have the program in their title only. */
    *ours = head && (!size || strstr(head, RW_REPORT_MARK) || strstr(head, " ropewalk</title>"));
    rw_free(&head);
    return RW_OK;
}

static rw_status check_page(const char *path, bool force)
{
    struct stat about;
    bool ours = true;
    if (!force && lstat(path, &about) == 0) RW_TRY(rw_report_is_ours(path, &ours));
    if (ours) return RW_OK;
    return rw_fail(
        RW_ERROR, "%s was not written by ropewalk; move it away, or replace it with --force", path);
}

static rw_status write_page(const char *path, const rw_report *report)
{
    rw_draft draft;
    RW_TRY(rw_draft_begin(path, &draft));
    return rw_draft_end(rw_report_page(report, draft.stream), &draft);
}

rw_status rw_report_write(const char *run_dir, bool force)
{
    run_paths paths = {0};
    rw_run_metrics metrics = {0};
    rw_run_config config = {0};
    const rw_report report = {run_dir, &metrics, &config};
    rw_status status;
    RW_TRY_DONE(name_paths(run_dir, &paths));
    RW_TRY_DONE(check_run_dir(run_dir, &paths));
    RW_TRY_DONE(check_page(paths.page, force));
    RW_TRY_DONE(rw_run_metrics_read(paths.metrics, &metrics));
    RW_TRY_DONE(rw_run_config_read(paths.config, &config));
    RW_TRY_DONE(write_page(paths.page, &report));
done:
    rw_run_metrics_free(&metrics);
    rw_run_config_free(&config);
    rw_free(&paths.metrics);
    rw_free(&paths.config);
    rw_free(&paths.page);
    return status;
}
