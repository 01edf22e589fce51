/* JSON lines: each line an object, whose field `field` is one document. */
#include <ctype.h>
#include <jansson.h>
#include <string.h>

#include "base/memory.h"
#include "data_pipeline/reader.h"

#define BUFFER_BYTES (128 * 1024)
/* A longer line is no line of JSON but another format: do not fill the memory. */
#define LINE_BYTES_MOST ((size_t)1 << 30)

typedef struct {
    const char *path, *field;
    const rw_token_sink *sink;
    unsigned long long number; /* of the line, from 1 */
    char *text;                /* the part of it that has been read */
    size_t used, capacity;
} line_state;

static bool recognise(const uint8_t *head, size_t bytes)
{
    if (bytes < 2 || head[0] != '{') return false;
    const uint8_t *end = memchr(head, '\n', bytes);
    if (!end) return true; /* one long line */
    while (end > head && isspace(end[-1])) end--;
    return end > head && end[-1] == '}';
}

static rw_status take_object(line_state *line, const json_t *object)
{
    const json_t *text = json_object_get(object, line->field);
    if (!json_is_object(object))
        return rw_fail(RW_ERROR, "%s:%llu: not a JSON object; each line must be one", line->path,
                       line->number);
    if (!text)
        return rw_fail(RW_ERROR, "%s:%llu: no field '%s'; name the field with --field", line->path,
                       line->number, line->field);
    if (!json_is_string(text))
        return rw_fail(RW_ERROR, "%s:%llu: field '%s' is not a string", line->path, line->number,
                       line->field);
    RW_TRY(line->sink->begin_document(line->sink->context));
    return line->sink->append(line->sink->context, (const uint8_t *)json_string_value(text),
                              json_string_length(text));
}

static rw_status end_line(line_state *line)
{
    size_t blank = 0;
    while (blank < line->used && isspace((unsigned char)line->text[blank])) blank++;
    if (blank == line->used) return RW_OK;
    json_error_t error;
    json_t *object = json_loadb(line->text, line->used, JSON_ALLOW_NUL, &error);
    if (!object)
        return rw_fail(RW_ERROR, "%s:%llu: not JSON: %s (column %d)", line->path, line->number,
                       error.text, error.column);
    rw_status status = take_object(line, object);
    json_decref(object);
    return status;
}

static rw_status extend_line(line_state *line, const uint8_t *bytes, size_t count)
{
    if (count == 0) return RW_OK;
    if (line->used + count > LINE_BYTES_MOST)
        return rw_fail(RW_ERROR, "%s:%llu: a line of more than 1 GiB; is this JSON lines?",
                       line->path, line->number);
    RW_TRY(rw_grow(&line->text, &line->capacity, line->used + count, 1));
    memcpy(line->text + line->used, bytes, count);
    line->used += count;
    return RW_OK;
}

static rw_status take_bytes(line_state *line, const uint8_t *bytes, size_t count)
{
    while (count > 0) {
        const uint8_t *end = memchr(bytes, '\n', count);
        size_t part = end ? (size_t)(end - bytes) : count;
        RW_TRY(extend_line(line, bytes, part));
        if (!end) return RW_OK;
        RW_TRY(end_line(line));
        line->used = 0;
        line->number++;
        bytes += part + 1;
        count -= part + 1;
    }
    return RW_OK;
}

static rw_status read_jsonl(rw_input *input, const char *field, const rw_token_sink *sink)
{
    rw_status status;
    uint8_t *buffer;
    size_t got;
    line_state line = {rw_input_path(input), field, sink, 1, NULL, 0, 0};
    RW_TRY(rw_alloc(BUFFER_BYTES, 1, "a buffer of JSON lines", &buffer));
    do {
        RW_TRY_DONE(rw_input_read(input, buffer, BUFFER_BYTES, &got));
        RW_TRY_DONE(take_bytes(&line, buffer, got));
    } while (got > 0);
    status = end_line(&line); /* the last line may lack its newline */
done:
    rw_free(&line.text);
    rw_free(&buffer);
    return status;
}

const rw_reader rw_reader_jsonl = {
    .name = "jsonl",
    .extensions = " .jsonl .ndjson ",
    .recognise = recognise,
    .read = read_jsonl,
};
