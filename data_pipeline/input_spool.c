#include "data_pipeline/input_spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "storage/durable_file.h"

struct rw_spool {
    char *folder;
    int descriptor;
};

/* Where the file system has no files without names, the name is removed at once. */
static rw_status create_named(rw_spool *spool)
{
    char *name;
    RW_TRY(rw_path_extend(spool->folder, "/.ropewalk-XXXXXX", &name));
    spool->descriptor = mkostemp(name, O_CLOEXEC);
    if (spool->descriptor >= 0) unlink(name);
    rw_free(&name);
    return RW_OK;
}

static rw_status create(rw_spool *spool)
{
    spool->descriptor = open(spool->folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (spool->descriptor < 0) RW_TRY(create_named(spool));
    if (spool->descriptor >= 0) return RW_OK;
    return rw_fail(RW_ERROR,
                   "cannot create a temporary file in %s: %s; check that the folder exists and "
                   "that you may write to it",
                   spool->folder, strerror(errno));
}

/* Cuts the path to its folder. */
static void cut_to_folder(char *path)
{
    char *slash = strrchr(path, '/');
    if (!slash)
        strcpy(path, path[0] ? "." : "");
    else
        slash[slash == path] = '\0'; /* the root keeps its slash */
}

rw_status rw_spool_new(const char *beside, rw_spool **out)
{
    rw_status status;
    rw_spool *spool;
    *out = NULL;
    RW_TRY(rw_alloc(1, sizeof *spool, "a temporary file", &spool));
    spool->descriptor = -1;
    RW_TRY_DONE(rw_strdup(beside, &spool->folder));
    cut_to_folder(spool->folder);
    RW_TRY_DONE(create(spool));
done:
    if (status != RW_OK)
        rw_spool_destroy(&spool);
    else
        *out = spool;
    return status;
}

void rw_spool_destroy(rw_spool **pointer)
{
    rw_spool *spool = *pointer;
    if (!spool) return;
    if (spool->descriptor >= 0) close(spool->descriptor);
    rw_free(&spool->folder);
    rw_free(pointer);
}

rw_status rw_spool_write(rw_spool *spool, const uint8_t *bytes, size_t count)
{
    while (count > 0) {
        ssize_t put = write(spool->descriptor, bytes, count);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0)
            return rw_fail(RW_ERROR,
                           "cannot keep the input in a temporary file in %s: %s; check the space "
                           "there, or name a file instead of a pipe",
                           spool->folder, strerror(errno));
        bytes += put;
        count -= (size_t)put;
    }
    return RW_OK;
}

rw_status rw_spool_read(rw_spool *spool, uint64_t offset, uint8_t *buffer, size_t size, size_t *got)
{
    ssize_t result;
    do result = pread(spool->descriptor, buffer, size, (off_t)offset);
    while (result < 0 && errno == EINTR);
    *got = result > 0 ? (size_t)result : 0;
    if (result < 0)
        return rw_fail(RW_ERROR, "cannot read the temporary file in %s: %s", spool->folder,
                       strerror(errno));
    return RW_OK;
}
