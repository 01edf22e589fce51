#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* renameat2 */
#endif
#include "storage/durable_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "storage/content_hash.h"

static int open_path(const char *path, int flags, mode_t mode)
{
    return open(path, flags, mode);
}

/* Also drops the cached pages: the verification shall read from the device. */
static int sync_and_drop(int file)
{
    int result = fsync(file);
    if (result == 0) posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
    return result;
}

static int exchange_paths(const char *one, const char *other)
{
    return renameat2(AT_FDCWD, one, AT_FDCWD, other, RENAME_EXCHANGE);
}

static int unlink_in(int folder, const char *name)
{
    return unlinkat(folder, name, 0);
}

rw_file_calls rw_file_call = {
    .open = open_path,
    .read = read,
    .write = write,
    .fsync = sync_and_drop,
    .close = close,
    .rename = rename,
    .exchange = exchange_paths,
    .unlink = unlink,
    .rmdir = rmdir,
    .mkdir = mkdir,
    .unlink_in = unlink_in,
};

static const char *advice(int error)
{
    switch (error) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return "free some space or raise the quota";
    case EACCES:
    case EPERM:
    case EROFS:
        return "check the permissions, or choose another folder";
    case EIO:
        return "the device fails: go on on another one";
    case ENOENT:
    case ENOTDIR:
        return "check the path";
    default:
        return "check the file system";
    }
}

static rw_status fail(const char *what, const char *path)
{
    int error = errno;
    return rw_fail(RW_ERROR, "cannot %s %s: %s; %s", what, path, strerror(error), advice(error));
}

rw_status rw_path_join(const char *folder, const char *name, char **out)
{
    size_t bytes = strlen(folder) + strlen(name) + 2;
    RW_TRY(rw_alloc(bytes, 1, "a path", out));
    snprintf(*out, bytes, "%s/%s", folder, name);
    return RW_OK;
}

rw_status rw_path_extend(const char *path, const char *suffix, char **out)
{
    size_t bytes = strlen(path) + strlen(suffix) + 1;
    RW_TRY(rw_alloc(bytes, 1, "a path", out));
    snprintf(*out, bytes, "%s%s", path, suffix);
    return RW_OK;
}

rw_status rw_path_temporary(const char *path, char **out)
{
    char suffix[32];
    snprintf(suffix, sizeof suffix, ".tmp.%ld", (long)getpid());
    return rw_path_extend(path, suffix, out);
}

static int open_again(const char *path, int flags, mode_t mode)
{
    int file;
    do file = rw_file_call.open(path, flags | O_CLOEXEC, mode);
    while (file < 0 && errno == EINTR);
    return file;
}

static int sync_again(int file)
{
    int result;
    do result = rw_file_call.fsync(file);
    while (result < 0 && errno == EINTR);
    return result;
}

/* After EINTR the descriptor is gone all the same (Linux): never close twice. */
static int close_once(int file)
{
    int result = rw_file_call.close(file);
    return result < 0 && errno == EINTR ? 0 : result;
}

static rw_status write_all(int file, const char *path, const unsigned char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t written = rw_file_call.write(file, bytes, size);
        if (written < 0 && errno == EINTR) continue;
        if (written == 0) errno = ENOSPC;
        if (written <= 0) return fail("write", path);
        bytes += written;
        size -= (size_t)written;
    }
    if (sync_again(file) < 0) return fail("flush to the device the file", path);
    return RW_OK;
}

/* Never through a link that has the name already. */
static int create_new(const char *path)
{
    return open_again(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0666);
}

/* A temporary file: removes the file of an earlier process with the same number. */
static int create_temporary(const char *path)
{
    rw_file_call.unlink(path);
    return create_new(path);
}

static rw_status write_file(int file, const char *path, const void *bytes, size_t size)
{
    if (file < 0) return fail("create", path);
    rw_status status = write_all(file, path, bytes, size);
    if (close_once(file) < 0 && status == RW_OK) status = fail("close", path);
    return status;
}

rw_status rw_file_write(const char *path, const void *bytes, size_t size)
{
    return write_file(create_new(path), path, bytes, size);
}

static rw_status sync_file(const char *path)
{
    int file = open_again(path, O_RDONLY, 0);
    if (file < 0) return fail("open", path);
    rw_status status = sync_again(file) < 0 ? fail("flush to the device the file", path) : RW_OK;
    if (close_once(file) < 0 && status == RW_OK) status = fail("close", path);
    return status;
}

/* Gives a file its name, on the device too; its bytes are on the device. */
static rw_status rename_durably(const char *temporary, const char *path)
{
    char *folder;
    RW_TRY(rw_strdup(path, &folder));
    char *slash = strrchr(folder, '/');
    if (slash) slash[slash == folder] = '\0';
    rw_status status = rw_file_rename(temporary, path);
    if (status == RW_OK) status = rw_folder_sync(slash ? folder : ".");
    rw_free(&folder);
    return status;
}

rw_status rw_file_publish(rw_status written, const char *temporary, const char *path)
{
    rw_status status = written;
    if (status == RW_OK) status = sync_file(temporary);
    if (status == RW_OK) status = rename_durably(temporary, path);
    if (status != RW_OK) rw_file_call.unlink(temporary);
    return status;
}

rw_status rw_file_replace(const char *path, const void *bytes, size_t size)
{
    char *temporary;
    RW_TRY(rw_path_temporary(path, &temporary));
    rw_status status = write_file(create_temporary(temporary), temporary, bytes, size);
    if (status == RW_OK) status = rename_durably(temporary, path);
    if (status != RW_OK) rw_file_call.unlink(temporary);
    rw_free(&temporary);
    return status;
}

rw_status rw_draft_begin(const char *path, rw_draft *out)
{
    rw_status status = RW_OK;
    *out = (rw_draft){0};
    RW_TRY_DONE(rw_strdup(path, &out->path));
    RW_TRY_DONE(rw_path_temporary(path, &out->temporary));
    int file = create_temporary(out->temporary);
    out->stream = file < 0 ? NULL : fdopen(file, "w");
    if (out->stream) return RW_OK;
    status = fail("create", out->temporary);
    if (file >= 0) close_once(file);
done:
    rw_free(&out->path);
    rw_free(&out->temporary);
    return status;
}

rw_status rw_draft_end(rw_status written, rw_draft *draft)
{
    bool failed = ferror(draft->stream) || fflush(draft->stream) != 0;
    rw_status status = written;
    if (status == RW_OK && failed) status = fail("write", draft->temporary);
    if (fclose(draft->stream) != 0 && status == RW_OK) status = fail("close", draft->temporary);
    status = rw_file_publish(status, draft->temporary, draft->path);
    rw_free(&draft->path);
    rw_free(&draft->temporary);
    return status;
}

/* Reads until the end or until `size` bytes are there; -1 on error. */
static ssize_t read_all(int file, unsigned char *bytes, size_t size)
{
    size_t got = 0;
    while (got < size) {
        ssize_t part = rw_file_call.read(file, bytes + got, size - got);
        if (part < 0 && errno == EINTR) continue;
        if (part < 0) return -1;
        if (part == 0) break;
        got += (size_t)part;
    }
    return (ssize_t)got;
}

static rw_status read_open(int file, const char *path, size_t limit, unsigned char **bytes,
                           size_t *size, bool *damaged)
{
    struct stat about;
    if (fstat(file, &about) < 0) return fail("inspect", path);
    if (!S_ISREG(about.st_mode) || (uintmax_t)about.st_size > limit) {
        *damaged = true;
        return rw_fail(RW_ERROR,
                       "%s is damaged: not a file of at most %zu bytes (found: %jd); restore it "
                       "from a copy",
                       path, limit, (intmax_t)about.st_size);
    }
    RW_TRY(rw_alloc((size_t)about.st_size, 1, path, bytes));
    ssize_t got = read_all(file, *bytes, (size_t)about.st_size);
    if (got < 0) {
        *damaged = errno == EIO;
        return fail("read", path);
    }
    *size = (size_t)got;
    return RW_OK;
}

rw_status rw_file_read(const char *path, size_t limit, unsigned char **bytes, size_t *size,
                       bool *damaged)
{
    *bytes = NULL;
    *damaged = false;
    /* A named pipe in place of the file must not be waited for. */
    int file = open_again(path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
    if (file < 0) {
        *damaged = errno == ENOENT || errno == EIO;
        return fail("open", path);
    }
    rw_status status = read_open(file, path, limit, bytes, size, damaged);
    if (close_once(file) < 0 && status == RW_OK) status = fail("close", path);
    if (status != RW_OK) rw_free(bytes);
    return status;
}

rw_status rw_file_read_at(int file, const char *path, uint64_t offset, void *bytes, size_t size)
{
    unsigned char *next = bytes;
    while (size > 0) {
        ssize_t part = pread(file, next, size, (off_t)offset);
        if (part < 0 && errno == EINTR) continue;
        if (part < 0) return fail("read", path);
        if (part == 0)
            return rw_fail(RW_ERROR,
                           "%s is damaged: it ends before byte %llu; restore it from a copy", path,
                           (unsigned long long)(offset + size));
        next += part;
        offset += (uint64_t)part;
        size -= (size_t)part;
    }
    return RW_OK;
}

rw_status rw_file_hash_rest(int file, const char *path, uint64_t from, uint64_t end, uint64_t *out)
{
    unsigned char piece[65536];
    rw_hasher hash;
    rw_hasher_reset(&hash);
    while (from < end) {
        size_t part = end - from < sizeof piece ? (size_t)(end - from) : sizeof piece;
        RW_TRY(rw_file_read_at(file, path, from, piece, part));
        rw_hasher_add(&hash, piece, part);
        from += part;
    }
    *out = rw_hasher_value(&hash);
    return RW_OK;
}

rw_status rw_file_overwrite(const char *path, const void *bytes, size_t size)
{
    return write_file(open_again(path, O_WRONLY | O_NOFOLLOW, 0), path, bytes, size);
}

rw_status rw_folder_make_new(const char *path)
{
    if (rw_file_call.mkdir(path, 0777) < 0) return fail("create the folder", path);
    return RW_OK;
}

bool rw_folder_exists(const char *path)
{
    struct stat about;
    return stat(path, &about) == 0 && S_ISDIR(about.st_mode);
}

bool rw_file_exists(const char *path)
{
    struct stat about;
    return stat(path, &about) == 0 && S_ISREG(about.st_mode);
}

/* Creates the folder and makes its name in the folder above durable. */
static rw_status make_level(const char *path, const char *above)
{
    if (rw_folder_exists(path)) return RW_OK;
    if (rw_file_call.mkdir(path, 0777) < 0 && errno != EEXIST)
        return fail("create the folder", path);
    return rw_folder_sync(above);
}

rw_status rw_folder_make(const char *path)
{
    rw_status status = RW_OK;
    char *upto = NULL, *above = NULL;
    RW_TRY_DONE(rw_strdup(path, &upto));
    RW_TRY_DONE(rw_strdup(path[0] == '/' ? "/" : ".", &above));
    for (size_t i = 1; i <= strlen(path); i++) {
        if ((path[i] != '/' && path[i] != '\0') || path[i - 1] == '/') continue;
        upto[i] = '\0';
        RW_TRY_DONE(make_level(upto, above));
        rw_free(&above);
        RW_TRY_DONE(rw_strdup(upto, &above));
        upto[i] = path[i];
    }
done:
    rw_free(&upto);
    rw_free(&above);
    return status;
}

rw_status rw_folder_sync(const char *path)
{
    int file = open_again(path, O_RDONLY | O_DIRECTORY, 0);
    if (file < 0) return fail("open the folder", path);
    rw_status status = RW_OK;
    /* Some network file systems keep names durable by themselves and refuse. */
    if (sync_again(file) < 0 && errno != EINVAL && errno != ENOTSUP)
        status = fail("flush to the device the folder", path);
    if (close_once(file) < 0 && status == RW_OK) status = fail("close the folder", path);
    return status;
}

static rw_status remove_entries(DIR *folder, const char *path)
{
    for (struct dirent *entry; (errno = 0, entry = readdir(folder));) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        if (rw_file_call.unlink_in(dirfd(folder), entry->d_name) == 0 || errno == ENOENT) continue;
        int error = errno;
        char *name;
        RW_TRY(rw_path_join(path, entry->d_name, &name));
        errno = error;
        rw_status status = fail("remove", name);
        rw_free(&name);
        return status;
    }
    return errno ? fail("list the folder", path) : RW_OK;
}

bool rw_is_link(const char *path)
{
    struct stat about;
    return lstat(path, &about) == 0 && S_ISLNK(about.st_mode);
}

/* Not a folder: a link is removed itself. */
static rw_status remove_link(const char *path)
{
    if (errno == ENOENT) return RW_OK;
    int error = errno;
    bool is_link = rw_is_link(path);
    errno = error;
    if (is_link && rw_file_call.unlink(path) == 0) return RW_OK;
    return fail("remove", path);
}

rw_status rw_folder_remove(const char *path)
{
    int file = open_again(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
    if (file < 0) return remove_link(path);
    DIR *folder = fdopendir(file);
    if (!folder) {
        rw_status status = fail("list the folder", path);
        close_once(file);
        return status;
    }
    rw_status status = remove_entries(folder, path);
    closedir(folder);
    RW_TRY(status);
    if (rw_file_call.rmdir(path) < 0 && errno != ENOENT) return fail("remove the folder", path);
    return RW_OK;
}

/* The process in the name of a temporary file of `name`; 0: not such a file. */
static long process_of(const char *entry, const char *name)
{
    size_t length = strlen(name);
    if (strncmp(entry, name, length) != 0 || strncmp(entry + length, ".tmp.", 5) != 0) return 0;
    const char *digits = entry + length + 5;
    size_t count = strspn(digits, "0123456789");
    return count == 0 || count > 9 || digits[count] || *digits == '0' ? 0 : atol(digits);
}

static bool is_gone(long process)
{
    return kill((pid_t)process, 0) < 0 && errno == ESRCH;
}

void rw_temporaries_clean(const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    char above[PATH_MAX];
    if (snprintf(above, sizeof above, "%s", path) >= (int)sizeof above) return;
    if (slash) above[slash == path ? 1 : slash - path] = '\0';
    DIR *folder = opendir(slash ? above : ".");
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        struct stat about;
        long process = process_of(entry->d_name, name);
        if (process && is_gone(process) &&
            fstatat(dirfd(folder), entry->d_name, &about, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(about.st_mode))
            rw_file_call.unlink_in(dirfd(folder), entry->d_name);
    }
    if (folder) closedir(folder);
}

rw_status rw_file_head(const char *path, size_t most, char **text, size_t *size)
{
    *text = NULL;
    *size = 0;
    int file = open_again(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW, 0);
    if (file < 0 && errno != ELOOP) return fail("open", path);
    struct stat about;
    bool regular = file >= 0 && fstat(file, &about) == 0 && S_ISREG(about.st_mode);
    rw_status status = rw_alloc(most + 1, 1, path, text);
    ssize_t got = 0;
    if (status == RW_OK && regular) got = read_all(file, (unsigned char *)*text, most);
    if (got < 0) status = fail("read", path);
    if (status == RW_OK && regular) *size = (size_t)got;
    if (status == RW_OK && !regular) rw_free(text);
    if (file >= 0) close_once(file);
    if (status != RW_OK) rw_free(text);
    return status;
}

bool rw_same_file(const char *one, const char *other)
{
    struct stat a, b;
    return stat(one, &a) == 0 && stat(other, &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

rw_status rw_file_rename(const char *from, const char *to)
{
    if (rw_file_call.rename(from, to) == 0) return RW_OK;
    int error = errno;
    return rw_fail(RW_ERROR, "cannot rename %s to %s: %s; %s", from, to, strerror(error),
                   advice(error));
}

/* If two names cannot be swapped at once (network file systems): the old contents move to PATH.old,
 * which readers know. */
static rw_status step_aside(const char *fresh, const char *path, const char *old)
{
    RW_TRY(rw_file_rename(path, old));
    rw_status status = rw_file_rename(fresh, path);
    if (status != RW_OK) rw_file_call.rename(old, path);
    return status;
}

rw_status rw_folder_promote(const char *fresh, const char *path, char **old)
{
    *old = NULL;
    if (!rw_folder_exists(path)) return rw_file_rename(fresh, path);
    char *aside = NULL;
    RW_TRY(rw_path_extend(path, ".old", &aside));
    rw_status status = rw_strdup(fresh, old);
    if (status == RW_OK && rw_file_call.exchange(fresh, path) < 0) {
        rw_free(old);
        if (errno == EINVAL || errno == ENOSYS || errno == ENOTSUP)
            status = step_aside(fresh, path, aside);
        else
            status = fail("replace", path);
        if (status == RW_OK) {
            *old = aside;
            return RW_OK;
        }
    }
    rw_free(&aside);
    return status;
}
