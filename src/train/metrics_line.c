/* metrics.jsonl: lines of a run, with a single write for each line. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/plain_file.h"
#include "base/shown_text.h"
#include "storage/durable_file.h"
#include "train/run_folder.h"

/* ---- The file ---------------------------------------------------------------------- */

/* The step of a metrics line; UINT64_MAX if the line has no step. */
static uint64_t step_of_line(const char *line)
{
    const char *at = strstr(line, "\"step\":");
    return at ? strtoull(at + 7, NULL, 10) : UINT64_MAX;
}

/* Copies whole lines of steps up to `step` to `to`; a new run keeps none. */
static void copy_lines(FILE *from, FILE *to, uint64_t step)
{
    char *line = NULL;
    size_t capacity = 0;
    ssize_t length;
    while ((length = getline(&line, &capacity, from)) > 0)
        if (step > 0 && line[length - 1] == '\n' && step_of_line(line) <= step) fputs(line, to);
    free(line);
}

/* A link or a pipe in place of the file; --force allows to replace it. */
static rw_status replace_other(const char *path, const char *why)
{
    struct stat about;
    if (lstat(path, &about) < 0) return RW_OK;
    if (S_ISREG(about.st_mode)) return rw_fail(RW_ERROR, "cannot read %s: %s", path, why);
    return rw_file_replace(path, "", 0);
}

static rw_status trim(const char *path, uint64_t step)
{
    rw_draft draft;
    const char *why;
    FILE *from = rw_plain_open(path, &why);
    if (!from) return replace_other(path, why);
    rw_status status = rw_draft_begin(path, &draft);
    if (status == RW_OK) {
        copy_lines(from, draft.stream, step);
        if (ferror(from)) status = rw_fail(RW_ERROR, "cannot read %s: %s", path, strerror(errno));
        status = rw_draft_end(status, &draft);
    }
    fclose(from);
    return status;
}

rw_status rw_metrics_open(rw_run_folder *folder, uint64_t step)
{
    char *path;
    RW_TRY(rw_path_join(folder->path, "metrics.jsonl", &path));
    rw_status status = trim(path, step);
    if (status == RW_OK) {
        int file =
            open(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0666);
        if (file < 0)
            status = rw_fail(RW_ERROR, "cannot write %s: %s; check the run folder", path,
                             errno == ELOOP ? "it is a link" : strerror(errno));
        folder->metrics = (rw_metrics){.file = file + 1, .ask_for = 1};
    }
    rw_free(&path);
    return status;
}

void rw_metrics_close(rw_run_folder *folder)
{
    rw_metrics *m = &folder->metrics;
    if (!m->file) return;
    if (close(m->file - 1) < 0) m->lost++;
    m->file = 0;
    if (m->lost)
        rw_warn("%s/metrics.jsonl lacks %" PRIu64 " line%s, which could not be written",
                folder->path, m->lost, m->lost == 1 ? "" : "s");
}

/* ---- Lines ------------------------------------------------------------------------------ */

/* Adds to the line; a field that does not fit before the end of the line is left out whole. */
static void add(rw_metrics *m, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add(rw_metrics *m, const char *format, ...)
{
    const size_t room = sizeof m->line - sizeof "}\n" - m->used;
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(m->line + m->used, room, format, arguments);
    va_end(arguments);
    if (length > 0 && (size_t)length < room) m->used += (size_t)length;
}

void rw_metrics_begin(rw_run_folder *folder, uint64_t step)
{
    folder->metrics.used = 0;
    add(&folder->metrics, "{\"step\":%" PRIu64, step);
}

void rw_metrics_number(rw_run_folder *folder, const char *name, double value)
{
    if (isfinite(value))
        add(&folder->metrics, ",\"%s\":%.9g", name, value);
    else
        add(&folder->metrics, ",\"%s\":null", name);
}

void rw_metrics_text(rw_run_folder *folder, const char *name, const char *value)
{
    /* UTF-8, as JSON demands, without control characters. */
    char shown[RW_METRICS_LINE], text[2 * RW_METRICS_LINE];
    size_t used = 0;
    rw_show_text(value, shown, sizeof shown);
    for (const char *c = shown; *c; c++) {
        if (*c == '"' || *c == '\\') text[used++] = '\\';
        text[used++] = *c;
    }
    text[used] = '\0';
    add(&folder->metrics, ",\"%s\":\"%s\"", name, text);
}

/* Writes the whole line or nothing, if the file can be cut to its old length. */
static bool write_line(rw_metrics *m)
{
    const int file = m->file - 1;
    struct stat before;
    bool known = fstat(file, &before) == 0;
    if (m->torn && write(file, "\n", 1) != 1) return false;
    m->torn = false;
    ssize_t written = write(file, m->line, m->used);
    if (written == (ssize_t)m->used) return true;
    /* Why the rest was not written, the next write tells. */
    if (written > 0 &&
        write(file, m->line + written, m->used - (size_t)written) == (ssize_t)m->used - written)
        return true;
    int error = errno;
    if (written > 0) m->torn = !known || ftruncate(file, before.st_size) < 0;
    errno = error;
    return false;
}

void rw_metrics_end(rw_run_folder *folder)
{
    rw_metrics *m = &folder->metrics;
    if (!m->file) return;
    memcpy(m->line + m->used, "}\n", 3);
    m->used += 2;
    m->well = write_line(m);
    if (m->well) return;
    m->unsaved = true;
    if (m->lost++ > 0) return;
    rw_warn("cannot write %s/metrics.jsonl: %s; training goes on, lines of metrics are lost until "
            "there is room; a checkpoint is tried",
            folder->path, strerror(errno));
}

bool rw_metrics_ask_for_checkpoint(rw_run_folder *folder)
{
    rw_metrics *m = &folder->metrics;
    if (!m->unsaved) return false;
    m->unsaved = !m->well;
    if (m->well) return true;
    if (m->lost < m->ask_for) return false;
    m->ask_for = 2 * m->lost;
    return true;
}
