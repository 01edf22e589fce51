#include "base/shown_text.h"

#include <stdarg.h>
#include <stdint.h>
#include <string.h>

/* The code point of `length` bytes of UTF-8. */
static uint32_t code_point(const unsigned char *text, size_t length)
{
    static const unsigned char mask[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    uint32_t value = text[0] & mask[length];
    for (size_t i = 1; i < length; i++) value = value << 6 | (text[i] & 0x3f);
    return value;
}

size_t rw_utf8_length(const char *text, size_t size)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000}; /* of so many bytes */
    const unsigned char *at = (const unsigned char *)text;
    if (size == 0) return 0;
    size_t length = at[0] < 0x80 ? 1 : at[0] >> 5 == 6 ? 2 : at[0] >> 4 == 14 ? 3 : 4;
    if (length == 4 && at[0] >> 3 != 30) return 0;
    if (length > size) return 0;
    for (size_t i = 1; i < length; i++)
        if (at[i] >> 6 != 2) return 0;
    uint32_t point = code_point(at, length);
    bool surrogate = point >= 0xd800 && point < 0xe000;
    return point < least[length] || surrogate || point > 0x10ffff ? 0 : length;
}

bool rw_is_utf8(const char *text, size_t size)
{
    for (size_t at = 0, length; at < size; at += length) {
        length = rw_utf8_length(text + at, size - at);
        if (length == 0) return false;
    }
    return true;
}

/* Would the character act on the text around it instead of being visible? */
static bool is_hidden(uint32_t point)
{
    static const struct {
        uint32_t first, last;
    } ranges[] = {{0, 0x1f},        {0x7f, 0x9f},      {0x61c, 0x61c},   {0x200b, 0x200b},
                  {0x200e, 0x200f}, {0x2028, 0x202e},  {0x2060, 0x206f}, {0xfeff, 0xfeff},
                  {0xfff9, 0xfffb}, {0xe0000, 0xe007f}};
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
        if (point >= ranges[i].first && point <= ranges[i].last) return true;
    return false;
}

/* Writes the shown form of a character, or of a byte that is no character. Returns the bytes taken
 * from `text`; *used: bytes put into out. */
static size_t show_one(const char *text, size_t size, bool lines, char out[20], size_t *used)
{
    size_t length = rw_utf8_length(text, size);
    bool layout = lines && (*text == '\n' || *text == '\t');
    if (length > 0 && (layout || !is_hidden(code_point((const unsigned char *)text, length)))) {
        memcpy(out, text, length);
        *used = length;
        return length;
    }
    if (length == 0) length = 1;
    *used = 0;
    for (size_t i = 0; i < length; i++)
        *used += (size_t)snprintf(out + *used, 20 - *used, "\\x%02x", (unsigned char)text[i]);
    return length;
}

bool rw_is_shown(const char *text, size_t size)
{
    for (size_t at = 0, length; at < size; at += length) {
        length = rw_utf8_length(text + at, size - at);
        if (length == 0 || is_hidden(code_point((const unsigned char *)text + at, length)))
            return false;
    }
    return true;
}

char *rw_show_text(const char *text, char *out, size_t room)
{
    size_t size = strlen(text), filled = 0;
    while (size > 0) {
        char shown[20];
        size_t used, taken = show_one(text, size, false, shown, &used);
        if (filled + used >= room) break;
        memcpy(out + filled, shown, used);
        filled += used;
        text += taken;
        size -= taken;
    }
    out[filled] = '\0';
    return out;
}

static void print(FILE *out, const char *text, bool lines)
{
    for (size_t size = strlen(text), taken; size > 0; size -= taken, text += taken) {
        char shown[20];
        size_t used;
        taken = show_one(text, size, lines, shown, &used);
        fwrite(shown, 1, used, out);
    }
}

void rw_print_line(FILE *out, const char *format, ...)
{
    enum { ROOM = 1 << 16 };
    static _Thread_local char line[ROOM];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    print(out, line, false);
    fputc('\n', out);
}

void rw_print_lines(FILE *out, const char *text)
{
    size_t length = strlen(text);
    print(out, text, true);
    if (length && text[length - 1] != '\n') fputc('\n', out);
}
