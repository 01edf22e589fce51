#include "data_pipeline/dataset_draft.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory.h"
#include "storage/durable_file.h"

/* Has the process with the number `text` ended? An earlier process may have had the number of this
 * process. */
static bool has_ended(const char *text)
{
    char *end;
    if (!isdigit((unsigned char)text[0])) return false;
    long process = strtol(text, &end, 10);
    if (*end || process <= 0) return false;
    return process == (long)getpid() || (kill((pid_t)process, 0) < 0 && errno == ESRCH);
}

static rw_status remove_draft(const char *folder, const char *name)
{
    char *path;
    RW_TRY(rw_path_join(folder, name, &path));
    if (unlink(path) == 0) rw_warn("removed %s, which an earlier build left behind", path);
    rw_free(&path);
    return RW_OK;
}

/* Removes files in the folder named `prefix` and the number of an ended process. An unreadable
 * folder is left alone: creating the draft will report the error. */
static rw_status sweep(const char *folder, const char *prefix)
{
    rw_status status = RW_OK;
    DIR *entries = opendir(folder);
    if (!entries) return RW_OK;
    size_t length = strlen(prefix);
    for (struct dirent *e; status == RW_OK && (e = readdir(entries));)
        if (strncmp(e->d_name, prefix, length) == 0 && has_ended(e->d_name + length))
            status = remove_draft(folder, e->d_name);
    closedir(entries);
    return status;
}

static rw_status sweep_drafts(const char *draft, size_t number)
{
    char *copy;
    RW_TRY(rw_strdup(draft, &copy));
    copy[number] = '\0'; /* up to the number of the process */
    char *slash = strrchr(copy, '/');
    const char *folder = slash ? copy : ".", *prefix = slash ? slash + 1 : copy;
    if (slash == copy)
        folder = "/";
    else if (slash)
        *slash = '\0';
    rw_status status = sweep(folder, prefix);
    rw_free(&copy);
    return status;
}

rw_status rw_dataset_draft_name(const char *path, char **out)
{
    char host[65] = "", suffix[128];
    gethostname(host, sizeof host - 1);
    int number = snprintf(suffix, sizeof suffix, ".partial.%s.", host);
    snprintf(suffix + number, sizeof suffix - (size_t)number, "%ld", (long)getpid());
    RW_TRY(rw_path_extend(path, suffix, out));
    rw_status status = sweep_drafts(*out, strlen(path) + (size_t)number);
    if (status != RW_OK) rw_free(out);
    return status;
}
