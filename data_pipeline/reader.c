#include "data_pipeline/reader.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/config.h"
#include "base/log.h"
#include "data_pipeline/dataset_header.h"
#include "data_pipeline/signature.h"

const rw_reader *const rw_readers[] = {&rw_reader_jsonl, &rw_reader_fasta, &rw_reader_bytes,
                                       &rw_reader_text, NULL};

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
    static const char *const compressed[] = {".gz", ".bgz", ".zst", ".bz2", ".xz"};
    for (size_t i = 0; i < sizeof compressed / sizeof *compressed; i++) {
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

static const rw_reader *reader_of_name(const char *name)
{
    char extension[64];
    extension_of(name, extension, sizeof extension);
    for (const rw_reader *const *r = rw_readers; *r; r++)
        if (extension[0] && strstr((*r)->extensions, extension)) return *r;
    return NULL;
}

static const rw_reader *reader_of_content(const uint8_t *head, size_t bytes)
{
    const rw_reader *const *r = rw_readers;
    while (!(*r)->recognise(head, bytes)) r++;
    return *r;
}

static rw_status refuse(const rw_input *input, const rw_signature *signature)
{
    const char *name = rw_input_name(input), *inside = rw_input_compression(input);
    return rw_fail(RW_ERROR, "%s is %s%s%s, which ropewalk does not read: %s%s", name,
                   signature->name, inside ? " inside " : "", inside ? inside : "",
                   signature->advice,
                   signature->is_text ? "; or take its bytes as they are: --format text" : "");
}

/* Refuses files that no reader can read. `asked`: the user named the format. */
static rw_status check_content(const rw_input *input, bool asked)
{
    size_t bytes;
    const uint8_t *head = rw_input_head(input, &bytes);
    const rw_signature *signature = rw_signature_find(head, bytes);
    if (rw_dataset_header_recognise(head, bytes))
        return rw_fail(RW_ERROR,
                       "%s is a dataset that ropewalk built: train on it as it is "
                       "(data.dataset), or name the files that it was built from",
                       rw_input_name(input));
    if (signature && !(asked && signature->is_text)) return refuse(input, signature);
    size_t place = asked ? bytes : rw_signature_binary_place(head, bytes);
    if (place == bytes) return RW_OK;
    return rw_fail(RW_ERROR,
                   "%s is no text (byte 0x%02x at %zu) and of no format that ropewalk knows; to "
                   "take its bytes as they are: --format bytes",
                   rw_input_name(input), head[place], place);
}

static rw_status choose_named(const char *format, const rw_input *input, const rw_reader **out)
{
    const rw_reader *const *r = rw_readers;
    while (*r && strcmp((*r)->name, format) != 0) r++;
    if (!*r) return unknown_format(format);
    *out = *r;
    return *r == &rw_reader_bytes ? RW_OK : check_content(input, true);
}

rw_status rw_reader_choose(const char *format, const rw_input *input, const rw_reader **out)
{
    size_t bytes;
    const uint8_t *head = rw_input_head(input, &bytes);
    if (strcmp(format, "auto") != 0) return choose_named(format, input, out);
    RW_TRY(check_content(input, false));
    const rw_reader *named = reader_of_name(rw_input_name(input));
    const rw_reader *found = reader_of_content(head, bytes);
    *out = named ? named : found;
    if (*out == &rw_reader_text && found != *out)
        rw_warn("%s is read as text, as its name says, but looks like %s; to read it so: "
                "--format %s",
                rw_input_name(input), found->name, found->name);
    return RW_OK;
}

rw_status rw_reader_bad_line(const rw_reader_line *line, const char *what, const char *format, ...)
{
    char reason[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    if (!line->options->skip_bad)
        return rw_fail(RW_ERROR, "%s:%llu: %s; --skip-bad leaves such %s out", line->name,
                       line->number, reason, what);
    uint64_t count = line->notes->bad_lines++;
    if (count >= RW_READER_PLACES) return RW_OK;
    char *place = line->notes->places[count];
    size_t size = sizeof line->notes->places[count];
    int length = snprintf(place, size, "%s:%llu: %s", line->name, line->number, reason);
    if ((size_t)length >= size) memcpy(place + size - 4, "...", 4);
    return RW_OK;
}
