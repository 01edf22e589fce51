/* Files that are whole or absent after any interruption of their writing. Interrupted and short
 * calls are continued; every error is checked, with path, cause and advice. Nothing here is
 * collective. A file is written under a temporary name, brought to the device (fsync), and renamed;
 * then its folder is synced, so that the name is on the device too. */
#ifndef RW_DURABLE_FILE_H
#define RW_DURABLE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
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
    int (*unlink_in)(int folder, const char *name); /* never follows a link */
} rw_file_calls;
extern rw_file_calls rw_file_call;

/* "FOLDER/NAME"; the caller frees *out. */
rw_status rw_path_join(const char *folder, const char *name, char **out);
/* The path with a suffix; with the suffix of unfinished files and folders, ".tmp." and the process.
 * The caller frees *out. */
rw_status rw_path_extend(const char *path, const char *suffix, char **out);
rw_status rw_path_temporary(const char *path, char **out);

/* Creates the file, which must not exist, with these bytes, on the device; its name is on the
 * device after rw_folder_sync. */
rw_status rw_file_write(const char *path, const void *bytes, size_t size);
/* Replaces the file at `path`, or creates it. */
rw_status rw_file_replace(const char *path, const void *bytes, size_t size);
/* The same if others have written the file, under a temporary name; `written`: their status. On any
 * failure the file is removed. Returns the first failure. */
rw_status rw_file_publish(rw_status written, const char *temporary, const char *path);
/* The same through stdio: rw_draft_begin opens the stream; rw_draft_end closes it and reports
 * failed writes. */
typedef struct {
    char *path, *temporary;
    FILE *stream;
} rw_draft;
rw_status rw_draft_begin(const char *path, rw_draft *out);
rw_status rw_draft_end(rw_status written, rw_draft *draft);
/* Removes the temporary files of `path` (rw_path_temporary) whose processes are gone from this
 * host. For the single writer of `path`; files that cannot be removed stay. */
void rw_temporaries_clean(const char *path);
/* Reads a whole file; the caller frees *bytes. Fails if the file is longer than `limit`. Never
 * waits: a named pipe is no file. *damaged: the file is missing, unreadable by the device or too
 * long; false: it could not be read for another cause. */
rw_status rw_file_read(const char *path, size_t limit, unsigned char **bytes, size_t *size,
                       bool *damaged);
/* The first `most` bytes of a file, or all of them, with a zero after them; the caller frees *text.
 * *text is NULL if the name belongs to a link, a folder or a pipe. */
rw_status rw_file_head(const char *path, size_t most, char **text, size_t *size);
/* Do both paths lead to the same file? */
bool rw_same_file(const char *one, const char *other);

/* Reads bytes [offset, offset + size) of the open file `file`; a shorter file is an error.
 * Thread-safe. */
rw_status rw_file_read_at(int file, const char *path, uint64_t offset, void *bytes, size_t size);
/* The XXH3-64 of bytes [from, end) of the open file. */
rw_status rw_file_hash_rest(int file, const char *path, uint64_t from, uint64_t end, uint64_t *out);
/* Overwrites the beginning of an existing file, and brings the whole file to the device. */
rw_status rw_file_overwrite(const char *path, const void *bytes, size_t size);

/* Creates the folder, and the folders above it; it may exist. */
rw_status rw_folder_make(const char *path);
/* Creates the folder, which must not exist. */
rw_status rw_folder_make_new(const char *path);
/* Puts the folder's names on the device. */
rw_status rw_folder_sync(const char *path);
/* Removes the folder with its files. A missing folder is fine. Links are removed themselves:
 * nothing outside is touched. A folder in the folder is an error. */
rw_status rw_folder_remove(const char *path);
bool rw_is_link(const char *path);
bool rw_folder_exists(const char *path);
bool rw_file_exists(const char *path);

rw_status rw_file_rename(const char *from, const char *to);
/* Gives the folder `fresh` the name of the folder `path`, which may exist; the old contents are
 * then in the folder *old (NULL: there were none; free with rw_free). At any time `path` or
 * `path`.old has whole contents. */
rw_status rw_folder_promote(const char *fresh, const char *path, char **old);

#endif
