#include "checkpoints/hdf5_error.h"

#include <stdio.h>
#include <string.h>

#include <hdf5.h>

void rw_hdf5_start(void)
{
    H5dont_atexit();
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

/* Keeps the innermost error, which is the cause, and comes first. */
static herr_t keep_cause(unsigned n, const H5E_error2_t *error, void *cause)
{
    if (n == 0 && error->desc) snprintf(cause, 256, "%s", error->desc);
    return 0;
}

/* Of "file write failed: time = ..., errno = 28, error message = 'No space left
 * on device', buf = ..." the user wants what is quoted after "error message". */
static void keep_reason(char *cause)
{
    char *reason = strstr(cause, "error message = '");
    char *end = reason ? strchr(reason += strlen("error message = '"), '\'') : NULL;
    if (!end) return;
    *end = '\0';
    memmove(cause, reason, strlen(reason) + 1);
}

rw_status rw_hdf5_fail(const char *what, const char *object)
{
    char cause[256] = "unknown cause";
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep_cause, cause);
    keep_reason(cause);
    return rw_fail(RW_ERROR, "HDF5 cannot %s %s: %s; check path, space and memory", what, object,
                   cause);
}
