#include "data_pipeline/dataset_output.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "data_pipeline/dataset_header.h"

static rw_status refuse_inputs(const char *path, const struct stat *about,
                               const rw_input_list *inputs)
{
    struct stat input;
    for (size_t i = 0; i < inputs->count; i++)
        if (stat(inputs->names[i], &input) == 0 && input.st_dev == about->st_dev &&
            input.st_ino == about->st_ino)
            return rw_fail(
                RW_USAGE,
                "%s is an input too (%s), and would be lost; name the dataset that is to "
                "be written first: `ropewalk data build OUT.h5 INPUT...`",
                path, inputs->names[i]);
    return RW_OK;
}

static rw_status refuse_kind(const char *path, mode_t mode)
{
    const char *kind = S_ISDIR(mode)    ? "a folder"
                       : S_ISLNK(mode)  ? "a symbolic link"
                       : S_ISFIFO(mode) ? "a pipe"
                       : S_ISSOCK(mode) ? "a socket"
                                        : "a device";
    const char *advice = S_ISDIR(mode)   ? "name a file in it, such as data.h5"
                         : S_ISLNK(mode) ? "name the file that it leads to, or remove the link"
                                         : "name a file";
    return rw_fail(RW_ERROR, "%s is %s; only a file can be replaced by a dataset: %s", path, kind,
                   advice);
}

/* Is the file a dataset of ropewalk, by its content? */
static rw_status recognise(const char *path, bool *ours)
{
    uint8_t begin[RW_DATASET_HEADER];
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t got = file < 0 ? -1 : pread(file, begin, sizeof begin, 0);
    int error = errno;
    if (file >= 0) close(file);
    *ours = got > 0 && rw_dataset_header_recognise(begin, (size_t)got);
    if (got >= 0) return RW_OK;
    return rw_fail(RW_ERROR,
                   "%s exists and cannot be read: %s; unreadable contents are not replaced, name "
                   "another file",
                   path, strerror(error));
}

static rw_status refuse_existing(const char *path, bool ours, rw_output_mode mode)
{
    if (mode == RW_OUTPUT_REPLACE || (ours && mode == RW_OUTPUT_APPEND)) return RW_OK;
    if (ours)
        return rw_fail(RW_ERROR,
                       "%s is a dataset already; --append adds the inputs to it, --force replaces "
                       "it (to build from more names than a command line holds: --files-from)",
                       path);
    if (mode == RW_OUTPUT_APPEND)
        return rw_fail(RW_ERROR,
                       "%s is not a dataset of this version of ropewalk, so that nothing can be "
                       "appended to it; build it anew (--force replaces it)",
                       path);
    return rw_fail(RW_ERROR,
                   "%s exists and was not written by this version of ropewalk; the dataset that is "
                   "to be written comes first: `ropewalk data build OUT.h5 INPUT...` (--force "
                   "replaces the file)",
                   path);
}

rw_status rw_dataset_output_check(const char *path, const rw_input_list *inputs,
                                  rw_output_mode mode, bool *exists)
{
    struct stat about;
    bool ours;
    *exists = lstat(path, &about) == 0;
    if (!*exists && errno == ENOENT) return RW_OK;
    if (!*exists)
        return rw_fail(RW_ERROR,
                       "cannot write %s: %s; check that the folder exists and that you "
                       "may write to it",
                       path, strerror(errno));
    struct stat target;
    if (stat(path, &target) == 0) RW_TRY(refuse_inputs(path, &target, inputs));
    if (!S_ISREG(about.st_mode)) return refuse_kind(path, about.st_mode);
    if (mode == RW_OUTPUT_REPLACE) return RW_OK;
    RW_TRY(recognise(path, &ours));
    return refuse_existing(path, ours, mode);
}
