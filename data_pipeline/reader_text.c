/* Text: the bytes of the file, a single document, without a byte order mark. Bytes: all bytes of
 * any file. */
#include "base/memory.h"
#include "data_pipeline/reader.h"
#include "data_pipeline/signature.h"

#define BUFFER_BYTES (128 * 1024)

static bool recognise_all(const uint8_t *head, size_t bytes)
{
    (void)head, (void)bytes;
    return true;
}

static bool recognise_none(const uint8_t *head, size_t bytes)
{
    (void)head, (void)bytes;
    return false;
}

static rw_status copy(rw_input *input, const rw_token_sink *sink, bool keep_mark)
{
    rw_status status;
    uint8_t *buffer;
    size_t got;
    _Static_assert(BUFFER_BYTES >= RW_INPUT_HEAD_BYTES, "the first reading holds all of a mark");
    RW_TRY(rw_alloc(BUFFER_BYTES, 1, "a text buffer", &buffer));
    RW_TRY_DONE(sink->begin_document(sink->context));
    for (bool first = true;; first = false) {
        RW_TRY_DONE(rw_input_read(input, buffer, BUFFER_BYTES, &got));
        if (got == 0) break;
        size_t skip = first && !keep_mark ? rw_signature_mark_bytes(buffer, got) : 0;
        RW_TRY_DONE(sink->append(sink->context, buffer + skip, got - skip));
    }
done:
    rw_free(&buffer);
    return status;
}

static rw_status read_text(rw_input *input, const rw_reader_options *options,
                           const rw_token_sink *sink, rw_reader_notes *notes)
{
    (void)options, (void)notes;
    return copy(input, sink, false);
}

static rw_status read_bytes(rw_input *input, const rw_reader_options *options,
                            const rw_token_sink *sink, rw_reader_notes *notes)
{
    (void)options, (void)notes;
    return copy(input, sink, true);
}

const rw_reader rw_reader_text = {
    .name = "text",
    .extensions = " .txt .text .md ",
    .recognise = recognise_all,
    .read = read_text,
};

const rw_reader rw_reader_bytes = {
    .name = "bytes",
    .extensions = "",
    .recognise = recognise_none,
    .read = read_bytes,
};
