#include "train/dataset_place.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory.h"
#include "data_pipeline/dataset_file.h"
#include "storage/durable_file.h"

/* A YAML scalar in single quotes: only the quote itself needs care. */
static rw_status quote(const char *path, char **out)
{
    size_t used = 0;
    RW_TRY(rw_alloc(2 * strlen(path) + 3, 1, "a path", out));
    (*out)[used++] = '\'';
    for (; *path; path++) {
        if (*path == '\'') (*out)[used++] = '\'';
        (*out)[used++] = *path;
    }
    (*out)[used] = '\'';
    return RW_OK;
}

rw_status rw_dataset_set(rw_config *data, const char *path)
{
    char *text;
    RW_TRY(quote(path, &text));
    rw_status status = rw_config_set(data, "dataset", text);
    rw_free(&text);
    return status;
}

static rw_status take(rw_config *data, const char *path)
{
    rw_info("data.dataset: %s is at %s", rw_config_string(data, "dataset"), path);
    return rw_dataset_set(data, path);
}

/* Cuts `path` to its folder, in place; false at the root. */
static bool cut_name(char *path)
{
    char *slash = strrchr(path, '/');
    if (!slash || !slash[1]) return false;
    slash[slash == path] = '\0';
    return true;
}

rw_status rw_dataset_beside(rw_config *data, const char *config_path)
{
    rw_status status;
    char *folder = NULL, *beside = NULL;
    if (!rw_config_has(data, "dataset")) return RW_OK;
    const char *path = rw_config_string(data, "dataset");
    if (path[0] == '/' || !strchr(config_path, '/') || access(path, F_OK) == 0) return RW_OK;
    RW_TRY_DONE(rw_strdup(config_path, &folder));
    cut_name(folder);
    RW_TRY_DONE(rw_path_join(folder, path, &beside));
    if (access(beside, F_OK) == 0)
        status = take(data, beside);
    else
        status = rw_fail(RW_ERROR,
                         "the dataset %s is neither in the working directory nor in %s, the "
                         "folder of the configuration; check data.dataset, or make the file with "
                         "ropewalk data build",
                         path, folder);
done:
    rw_free(&beside);
    rw_free(&folder);
    return status;
}

bool rw_dataset_is(const char *path, uint64_t fingerprint)
{
    rw_dataset *dataset;
    if (rw_dataset_open(path, &dataset) != RW_OK) {
        rw_clear_message();
        return false;
    }
    bool same = rw_dataset_describe(dataset)->content_hash == fingerprint;
    rw_dataset_close(&dataset);
    return same;
}

/* Tries a path. *found is the first existing file, until a file has the fingerprint; *done: a file
 * has the fingerprint. */
static rw_status look_at(const char *path, uint64_t fingerprint, char **found, bool *done)
{
    if (!rw_file_exists(path)) return RW_OK;
    *done = rw_dataset_is(path, fingerprint);
    if (*found && !*done) return RW_OK;
    rw_free(found);
    return rw_strdup(path, found);
}

static rw_status look_above(const char *run, const char *path, uint64_t fingerprint, char **found,
                            bool *done)
{
    rw_status status = RW_OK;
    char *folder = realpath(run, NULL), *place = NULL;
    for (bool more = folder; more && !*done; more = cut_name(folder)) {
        RW_TRY_DONE(rw_path_join(folder, path, &place));
        RW_TRY_DONE(look_at(place, fingerprint, found, done));
        rw_free(&place);
    }
done:
    rw_free(&place);
    free(folder);
    return status;
}

static rw_status not_found(const char *path, const char *run, bool for_tokens)
{
    const char *needed =
        for_tokens ? ", which tells what the tokens of this older checkpoint are," : "";
    if (path[0] == '/')
        return rw_fail(
            RW_ERROR, "the dataset %s of the run%s does not exist; give its place with --data FILE",
            path, needed);
    return rw_fail(RW_ERROR,
                   "the dataset %s of the run%s is neither in the working directory nor in %s or a "
                   "folder above it; give its place with --data FILE",
                   path, needed, run);
}

rw_status rw_dataset_of_run(rw_config *data, const char *run, uint64_t fingerprint, bool for_tokens)
{
    rw_status status;
    char *found = NULL;
    bool done = false;
    if (!rw_config_has(data, "dataset")) return RW_OK;
    const char *path = rw_config_string(data, "dataset");
    RW_TRY_DONE(look_at(path, fingerprint, &found, &done));
    if (!done && path[0] != '/') RW_TRY_DONE(look_above(run, path, fingerprint, &found, &done));
    if (!found)
        status = not_found(path, run, for_tokens);
    else if (strcmp(found, path) != 0)
        status = take(data, found);
done:
    rw_free(&found);
    return status;
}
