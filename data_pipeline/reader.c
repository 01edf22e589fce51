#include "data_pipeline/reader.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/config.h"

const rw_reader *const rw_readers[] = {&rw_reader_jsonl, &rw_reader_fasta, &rw_reader_text, NULL};

static rw_status unknown_format(const char *format)
{
    const char *names[8] = {"auto"};
    char advice[RW_NAME_ADVICE];
    int count = 1;
    for (const rw_reader *const *r = rw_readers; *r; r++) names[count++] = (*r)->name;
    return rw_fail(RW_USAGE, "unknown format '%.60s'%s", format,
                   rw_name_advice(format, "formats", names, count, advice));
}

/* Writes the extension of `path`, compression aside, as " .ext " in lower case. */
static void extension_of(const char *path, char *out, size_t size)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    size_t length = strlen(name);
    static const char *const compressed[] = {".gz", ".zst"};
    for (int i = 0; i < 2; i++) {
        size_t tail = strlen(compressed[i]);
        if (length > tail && strncasecmp(name + length - tail, compressed[i], tail) == 0) {
            length -= tail;
            break;
        }
    }
    size_t dot = length;
    while (dot > 0 && name[dot - 1] != '.') dot--;
    snprintf(out, size, " .%.*s ", (int)(length - dot), name + dot);
    if (dot == 0) out[0] = '\0'; /* a name without a dot has no extension */
    for (char *c = out; *c; c++) *c = (char)tolower((unsigned char)*c);
}

rw_status rw_reader_choose(const char *format, const rw_input *input, const rw_reader **out)
{
    if (strcmp(format, "auto") != 0) {
        for (const rw_reader *const *r = rw_readers; *r; r++) {
            *out = *r;
            if (strcmp((*r)->name, format) == 0) return RW_OK;
        }
        return unknown_format(format);
    }
    char extension[64];
    extension_of(rw_input_path(input), extension, sizeof extension);
    for (const rw_reader *const *r = rw_readers; *r; r++) {
        *out = *r;
        if (extension[0] && strstr((*r)->extensions, extension)) return RW_OK;
    }
    size_t bytes;
    const uint8_t *head = rw_input_head(input, &bytes);
    for (const rw_reader *const *r = rw_readers; *r; r++) {
        *out = *r;
        if ((*r)->recognise(head, bytes)) return RW_OK;
    }
    return RW_OK;
}
