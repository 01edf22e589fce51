/* JSON lines: each line is an object, whose field `field` is a document. Lines end with LF, CRLF or
 * CR. */
#include <string.h>

#include "base/memory.h"
#include "data_pipeline/json_text.h"
#include "data_pipeline/reader.h"
#include "data_pipeline/signature.h"

#define BUFFER_BYTES (128 * 1024)
/* A longer line is no line of JSON but another format: do not fill the memory. */
#define LINE_BYTES_MOST ((size_t)1 << 30)
#define LINES_TRIED     16 /* of the head */

typedef struct {
    rw_reader_line place;
    const rw_token_sink *sink;
    uint8_t *text; /* the part of the line read so far */
    size_t used, capacity;
    bool too_long; /* the rest of the line is passed over */
    bool after_cr; /* a line feed belongs to the line before */
} line_state;

static bool is_blank(uint8_t byte)
{
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

/* The line without mark and white space. Each line may begin with a mark: files with marks may be
 * concatenated. */
static rw_json_value trimmed(const uint8_t *text, size_t bytes)
{
    size_t begin = rw_signature_mark_bytes(text, bytes);
    while (begin < bytes && is_blank(text[begin])) begin++;
    while (bytes > begin && is_blank(text[bytes - 1])) bytes--;
    return (rw_json_value){text + begin, bytes - begin};
}

/* An object, or a bad line meant as an object: it has a key. */
static bool is_object(rw_json_value line)
{
    if (line.count == 0 || line.text[0] != '{') return false;
    rw_json_scan scan = rw_json_check(line.text, line.count);
    return scan.members > 0 || (scan.state == RW_JSON_WHOLE && scan.used == line.count);
}

/* More than half of the first lines are objects. */
static bool recognise(const uint8_t *head, size_t bytes)
{
    int lines = 0, objects = 0;
    for (size_t at = 0; at < bytes && lines < LINES_TRIED; at++) {
        size_t begin = at;
        while (at < bytes && head[at] != '\n' && head[at] != '\r') at++;
        rw_json_value line = trimmed(head + begin, at - begin);
        if (line.count == 0) continue;
        lines++;
        objects += is_object(line);
    }
    return 2 * objects > lines;
}

/* The field `path` of the object. "a.b" may be a key with a dot, or a key in an inner object; the
 * key with the dot comes first. */
static bool find_field(rw_json_value object, const char *path, rw_json_value *out)
{
    size_t length = strlen(path);
    if (rw_json_find(object, path, length, out)) return true;
    for (size_t dot = length; dot-- > 0;) {
        rw_json_value inner;
        if (path[dot] == '.' && rw_json_find(object, path, dot, &inner) &&
            find_field(inner, path + dot + 1, out))
            return true;
    }
    return false;
}

static rw_status take_object(line_state *line, rw_json_value object)
{
    const char *field = line->place.options->field;
    rw_json_value value;
    if (object.text[0] != '{')
        return rw_reader_bad_line(&line->place, "lines",
                                  "not a JSON object; each line must be one");
    if (!find_field(object, field, &value))
        return rw_reader_bad_line(&line->place, "lines",
                                  "no field '%s'; name the field with --field", field);
    if (value.text[0] != '"')
        return rw_reader_bad_line(&line->place, "lines", "field '%s' is not a string", field);
    size_t lone = 0;
    size_t bytes = rw_json_decode(value, line->text, &lone); /* before where it is */
    line->place.notes->surrogates += lone;
    RW_TRY(line->sink->begin_document(line->sink->context));
    return line->sink->append(line->sink->context, line->text, bytes);
}

static rw_status end_line(line_state *line)
{
    if (line->too_long || line->used == 0) return RW_OK;
    rw_json_value object = trimmed(line->text, line->used);
    if (object.count == 0) return RW_OK;
    rw_json_scan scan = rw_json_check(object.text, object.count);
    if (scan.state == RW_JSON_WHOLE && scan.used < object.count)
        scan.fault = "more follows after the value";
    if (scan.fault)
        return rw_reader_bad_line(&line->place, "lines", "not JSON: %s (column %zu)", scan.fault,
                                  (size_t)(object.text - line->text) + scan.used + 1);
    return take_object(line, object);
}

static rw_status next_line(line_state *line)
{
    RW_TRY(end_line(line));
    line->used = 0;
    line->too_long = false;
    line->place.number++;
    return RW_OK;
}

static rw_status extend_line(line_state *line, const uint8_t *bytes, size_t count)
{
    if (count == 0 || line->too_long) return RW_OK;
    if (line->used + count > LINE_BYTES_MOST) {
        line->too_long = true;
        return rw_reader_bad_line(&line->place, "lines",
                                  "a line of more than 1 GiB; is this JSON lines?");
    }
    RW_TRY(rw_grow(&line->text, &line->capacity, line->used + count, 1));
    memcpy(line->text + line->used, bytes, count);
    line->used += count;
    return RW_OK;
}

static const uint8_t *find(const uint8_t *bytes, size_t count, char byte)
{
    const uint8_t *found = count ? memchr(bytes, byte, count) : NULL;
    return found ? found : bytes + count;
}

static rw_status take_bytes(line_state *line, const uint8_t *bytes, size_t count)
{
    const uint8_t *end = bytes + count;
    const uint8_t *feed = find(bytes, count, '\n'), *carriage = find(bytes, count, '\r');
    while (bytes < end) {
        if (line->after_cr && *bytes == '\n') bytes++;
        line->after_cr = false;
        if (feed < bytes) feed = find(bytes, (size_t)(end - bytes), '\n');
        if (carriage < bytes) carriage = find(bytes, (size_t)(end - bytes), '\r');
        const uint8_t *stop = feed < carriage ? feed : carriage;
        RW_TRY(extend_line(line, bytes, (size_t)(stop - bytes)));
        if (stop == end) return RW_OK;
        line->after_cr = *stop == '\r';
        RW_TRY(next_line(line));
        bytes = stop + 1;
    }
    return RW_OK;
}

static rw_status read_jsonl(rw_input *input, const rw_reader_options *options,
                            const rw_token_sink *sink, rw_reader_notes *notes)
{
    rw_status status;
    uint8_t *buffer;
    size_t got;
    line_state line = {.place = {rw_input_name(input), 1, options, notes}, .sink = sink};
    RW_TRY(rw_alloc(BUFFER_BYTES, 1, "a buffer of JSON lines", &buffer));
    do {
        RW_TRY_DONE(rw_input_read(input, buffer, BUFFER_BYTES, &got));
        RW_TRY_DONE(take_bytes(&line, buffer, got));
    } while (got > 0);
    status = end_line(&line); /* the last line may lack its end */
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
