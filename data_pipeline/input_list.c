#include "data_pipeline/input_list.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/memory.h"
#include "storage/durable_file.h"

/* Takes over the name. */
static rw_status append(rw_input_list *list, char *name)
{
    rw_status status = rw_grow(&list->names, &list->capacity, list->count + 1, sizeof(char *));
    if (status == RW_OK)
        list->names[list->count++] = name;
    else
        rw_free(&name);
    return status;
}

void rw_input_list_free(rw_input_list *list)
{
    for (size_t i = 0; i < list->count; i++) rw_free(&list->names[i]);
    rw_free(&list->names);
    *list = (rw_input_list){0};
}

/* ---- Folders ----------------------------------------------------------------- */

typedef struct {
    dev_t device;
    ino_t inode;
} folder_id;

typedef struct {
    rw_input_list *files;
    folder_id *seen; /* folders already read */
    size_t seen_count, seen_capacity;
} walk;

static rw_status cannot_read(const char *folder)
{
    return rw_fail(RW_ERROR, "cannot read the folder %s: %s; check its permissions", folder,
                   strerror(errno));
}

/* Notes that the folder is read; *before: it was read already. */
static rw_status note_folder(walk *w, const struct stat *about, bool *before)
{
    for (size_t i = 0; i < w->seen_count; i++) {
        *before = w->seen[i].device == about->st_dev && w->seen[i].inode == about->st_ino;
        if (*before) return RW_OK;
    }
    *before = false;
    RW_TRY(rw_grow(&w->seen, &w->seen_capacity, w->seen_count + 1, sizeof *w->seen));
    w->seen[w->seen_count++] = (folder_id){about->st_dev, about->st_ino};
    return RW_OK;
}

static rw_status walk_folder(walk *w, const char *folder, const struct stat *about);

/* Takes ownership of `path`. A dangling link is a missing input. */
static rw_status walk_entry(walk *w, char *path)
{
    struct stat about;
    bool exists = stat(path, &about) == 0;
    if (!exists || S_ISREG(about.st_mode)) return append(w->files, path);
    rw_status status = S_ISDIR(about.st_mode) ? walk_folder(w, path, &about) : RW_OK;
    rw_free(&path);
    return status;
}

/* A chain of folders with links and ever new names ends with the longest possible path, and so does
 * this recursion. */
static rw_status walk_folder(walk *w, const char *folder, const struct stat *about)
{
    bool before;
    RW_TRY(note_folder(w, about, &before));
    if (before) return RW_OK;
    DIR *entries = opendir(folder);
    if (!entries) return cannot_read(folder);
    rw_status status = RW_OK;
    struct dirent *entry;
    size_t length = strlen(folder);
    const char *base = length > 0 && folder[length - 1] == '/' ? "" : "/";
    while (status == RW_OK && (errno = 0, entry = readdir(entries))) {
        char *start, *path;
        if (entry->d_name[0] == '.') continue;
        status = rw_path_extend(folder, base, &start);
        if (status != RW_OK) break;
        status = rw_path_extend(start, entry->d_name, &path);
        rw_free(&start);
        if (status == RW_OK) status = walk_entry(w, path);
    }
    if (status == RW_OK && errno) status = cannot_read(folder);
    closedir(entries);
    return status;
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static rw_status add_folder(rw_input_list *list, const char *folder, const struct stat *about)
{
    rw_input_list files = {0};
    walk w = {.files = &files};
    rw_status status = walk_folder(&w, folder, about);
    if (status == RW_OK && files.count == 0)
        status =
            rw_fail(RW_ERROR,
                    "the input %s is a folder without files; hidden ones, pipes and devices do "
                    "not count",
                    folder);
    if (files.count > 0) qsort(files.names, files.count, sizeof(char *), by_bytes);
    for (size_t i = 0; i < files.count && status == RW_OK; i++) {
        status = append(list, files.names[i]);
        files.names[i] = NULL;
    }
    rw_input_list_free(&files);
    rw_free(&w.seen);
    return status;
}

rw_status rw_input_list_add(rw_input_list *list, const char *path)
{
    struct stat about;
    char *name;
    if (stat(path, &about) == 0 && S_ISDIR(about.st_mode)) return add_folder(list, path, &about);
    RW_TRY(rw_strdup(path, &name));
    return append(list, name);
}

/* ---- Lists in files ------------------------------------------------------------ */

static rw_status read_all(FILE *file, const char *path, char **text, size_t *bytes)
{
    size_t capacity = 0, got;
    *bytes = 0;
    do {
        RW_TRY(rw_grow(text, &capacity, *bytes + 4096, 1));
        got = fread(*text + *bytes, 1, capacity - *bytes - 1, file);
        *bytes += got;
    } while (got > 0);
    if (ferror(file))
        return rw_fail(RW_ERROR, "cannot read the list of inputs %s: %s", path, strerror(errno));
    return RW_OK;
}

/* Cuts the text, with a zero byte after it, into names. Lines may end as on Windows. */
static rw_status add_names(rw_input_list *list, char *text, size_t bytes, bool zeros)
{
    for (char *name = text; name < text + bytes;) {
        size_t left = (size_t)(text + bytes - name);
        char *end = memchr(name, zeros ? '\0' : '\n', left), *next;
        if (!end) end = name + left;
        next = end + 1;
        if (!zeros && end > name && end[-1] == '\r') end--;
        *end = '\0';
        if (end > name && memchr(name, '\0', (size_t)(end - name)))
            return rw_fail(RW_USAGE, "the names in the list of inputs end with zero bytes; add "
                                     "--null");
        if (end > name) RW_TRY(rw_input_list_add(list, name));
        name = next;
    }
    return RW_OK;
}

rw_status rw_input_list_read(rw_input_list *list, const char *path, bool zeros)
{
    rw_status status;
    char *text = NULL;
    size_t bytes = 0, before = list->count;
    bool standard = strcmp(path, "-") == 0;
    FILE *file = standard ? stdin : fopen(path, "rb");
    if (!file)
        return rw_fail(RW_ERROR, "cannot read the list of inputs %s: %s; check its path", path,
                       strerror(errno));
    RW_TRY_DONE(read_all(file, path, &text, &bytes));
    RW_TRY_DONE(add_names(list, text, bytes, zeros));
    if (list->count == before)
        status = rw_fail(RW_USAGE, "the list of inputs %s holds no names", path);
done:
    if (!standard) fclose(file);
    rw_free(&text);
    return status;
}
