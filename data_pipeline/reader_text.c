/* Text: the bytes of the file, one document. */
#include "base/memory.h"
#include "data_pipeline/reader.h"

#define BUFFER_BYTES (128 * 1024)

static bool recognise(const uint8_t *head, size_t bytes)
{
    (void)head;
    (void)bytes;
    return true;
}

static rw_status read_text(rw_input *input, const char *field, const rw_token_sink *sink)
{
    (void)field;
    rw_status status;
    uint8_t *buffer;
    size_t got;
    RW_TRY(rw_alloc(BUFFER_BYTES, 1, "a text buffer", &buffer));
    RW_TRY_DONE(sink->begin_document(sink->context));
    do {
        RW_TRY_DONE(rw_input_read(input, buffer, BUFFER_BYTES, &got));
        RW_TRY_DONE(sink->append(sink->context, buffer, got));
    } while (got > 0);
done:
    rw_free(&buffer);
    return status;
}

const rw_reader rw_reader_text = {
    .name = "text",
    .extensions = " .txt .text .md ",
    .recognise = recognise,
    .read = read_text,
};
