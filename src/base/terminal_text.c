#include "base/terminal_text.h"

#include "base/shown_text.h"

void rw_terminal_text_begin(rw_terminal_text *text, FILE *out, bool escape)
{
    *text = (rw_terminal_text){.out = out, .escape = escape};
}

static void escape(const rw_terminal_text *text, unsigned char byte)
{
    fprintf(text->out, "\\x%02x", byte);
}

/* Bytes of a character with this first byte; 0: invalid (RFC 3629). */
static int length_of(unsigned char first)
{
    if (first < 0x80) return 1;
    if (first < 0xc2 || first > 0xf4) return 0;
    return first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

/* May this byte follow the held bytes? The second byte excludes overlong forms, surrogates and
 * characters above U+10FFFF. */
static bool continues(const rw_terminal_text *text, unsigned char byte)
{
    unsigned char low = 0x80, high = 0xbf;
    if (text->count == 1) {
        if (text->held[0] == 0xe0) low = 0xa0;
        if (text->held[0] == 0xed) high = 0x9f;
        if (text->held[0] == 0xf0) low = 0x90;
        if (text->held[0] == 0xf4) high = 0x8f;
    }
    return byte >= low && byte <= high;
}

/* Tabs and line ends belong to a text. */
static bool is_harmful(const rw_terminal_text *text)
{
    bool plain = text->held[0] == '\t' || text->held[0] == '\n';
    return !plain && !rw_is_shown((const char *)text->held, (size_t)text->count);
}

static void write_held(rw_terminal_text *text, bool escaped)
{
    for (int i = 0; i < text->count; i++)
        if (escaped)
            escape(text, text->held[i]);
        else
            putc(text->held[i], text->out);
    text->count = text->wanted = 0;
}

void rw_terminal_text_put(rw_terminal_text *text, unsigned char byte)
{
    if (!text->escape) {
        putc(byte, text->out);
        return;
    }
    if (text->count > 0 && !continues(text, byte)) write_held(text, true);
    if (text->count == 0) text->wanted = length_of(byte);
    text->held[text->count & 3] = byte; /* at most 4 are held */
    text->count++;
    if (text->wanted == 0)
        write_held(text, true);
    else if (text->count == text->wanted)
        write_held(text, is_harmful(text));
}

void rw_terminal_text_end(rw_terminal_text *text)
{
    write_held(text, true);
}
