/* The only place where checkpoints touch the file system. Interrupted and
 * short calls are continued, every error is checked and says path, cause and
 * what to do. Nothing here is collective.
 *
 * A file that is written is on the device (fsync) when the function returns;
 * for its name to be there too, its folder is synced by rw_folder_sync. */
#ifndef RW_DURABLE_FILE_H
#define RW_DURABLE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/status.h"

/* The system calls in use. Tests put faults in their places: no space, short
 * writes, interruptions, the end of the process. */
typedef struct {
    int (*open)(const char *path, int flags, mode_t mode);
    ssize_t (*read)(int file, void *buffer, size_t bytes);
    ssize_t (*write)(int file, const void *buffer, size_t bytes);
    int (*fsync)(int file);
    int (*close)(int file);
    int (*rename)(const char *from, const char *to);
    int (*exchange)(const char *one, const char *other); /* swaps two names at once */
    int (*unlink)(const char *path);
    int (*rmdir)(const char *path);
    int (*mkdir)(const char *path, mode_t mode);
} rw_file_calls;
extern rw_file_calls rw_file_call;

/* "FOLDER/NAME"; the caller frees *out. */
rw_status rw_path_join(const char *folder, const char *name, char **out);

/* Creates the file, which must not exist, with these bytes. */
rw_status rw_file_write(const char *path, const void *bytes, size_t size);
/* Replaces the file at `path`, or creates it, by way of a temporary one whose
 * name is `path` and ".tmp." and the process. */
rw_status rw_file_replace(const char *path, const void *bytes, size_t size);
/* Reads a whole file; the caller frees *bytes. Fails if it is longer than
 * `limit`. *damaged tells a file that is missing, unreadable by the device or
 * too long from one that could not be read for another cause. */
rw_status rw_file_read(const char *path, size_t limit, unsigned char **bytes, size_t *size,
                       bool *damaged);

/* Creates the folder, and the folders above it; it may exist. */
rw_status rw_folder_make(const char *path);
/* Creates the folder, which must not exist. */
rw_status rw_folder_make_new(const char *path);
/* Puts the folder's names on the device. */
rw_status rw_folder_sync(const char *path);
/* Removes the folder with the files in it. Missing is fine. */
rw_status rw_folder_remove(const char *path);
bool rw_folder_exists(const char *path);
bool rw_file_exists(const char *path);

rw_status rw_file_rename(const char *from, const char *to);
/* Gives the folder `fresh` the name of the folder `path`, which may exist; its
 * contents are then in the folder *old (NULL if there were none; rw_free it).
 * At no time is there neither `path` nor `path`.old with whole contents. */
rw_status rw_folder_promote(const char *fresh, const char *path, char **old);

#endif
