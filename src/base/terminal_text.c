#include "base/terminal_text.h"

#include <stdint.h>

void rw_terminal_text_begin(rw_terminal_text *text, FILE *out, bool escape)
{
    *text = (rw_terminal_text){.out = out, .escape = escape};
}

static void escape(const rw_terminal_text *text, unsigned char byte)
{
    fprintf(text->out, "\\x%02x", byte);
}

/* Bytes of a character that begins so; 0: none does (RFC 3629). */
static int length_of(unsigned char first)
{
    if (first < 0x80) return 1;
    if (first < 0xc2 || first > 0xf4) return 0;
    return first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

/* May this byte follow those held? The second byte tells overlong forms, surrogates
 * and what is above U+10FFFF. */
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

static uint32_t code_point(const rw_terminal_text *text)
{
    static const unsigned char mask[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    uint32_t code = text->held[0] & mask[text->count];
    for (int i = 1; i < text->count; i++) code = code << 6 | (text->held[i] & 0x3f);
    return code;
}

/* Control characters but tab and line end; marks of direction, which can make a text
 * look like another one. */
static bool is_harmful(uint32_t code)
{
    if (code == '\t' || code == '\n') return false;
    if (code < 0x20 || (code >= 0x7f && code < 0xa0)) return true;
    return code == 0x61c || code == 0x200e || code == 0x200f ||
           (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
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
    text->held[text->count++] = byte;
    if (text->wanted == 0)
        write_held(text, true);
    else if (text->count == text->wanted)
        write_held(text, is_harmful(code_point(text)));
}

void rw_terminal_text_end(rw_terminal_text *text)
{
    write_held(text, true);
}

void rw_terminal_text_write(const char *string, FILE *out)
{
    rw_terminal_text text;
    rw_terminal_text_begin(&text, out, true);
    for (; *string; string++) rw_terminal_text_put(&text, (unsigned char)*string);
    rw_terminal_text_end(&text);
}
