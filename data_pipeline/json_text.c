#include "data_pipeline/json_text.h"

#include <string.h>

#define LEVELS_MOST 8192 /* of nested arrays and objects */

typedef struct {
    const uint8_t *text;
    size_t count, at;
    size_t tokens, members;
    rw_json_state state;
    const char *fault;
    size_t levels;
    uint8_t is_object[LEVELS_MOST / 8]; /* one bit a level */
} scanner;

static bool stop(scanner *s, rw_json_state state, const char *fault)
{
    s->state = state;
    s->fault = fault;
    return false;
}

static bool is_space(uint8_t byte)
{
    return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
}

static bool is_digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9';
}

/* ---- strings ---- */

static int hex_value(uint8_t byte)
{
    if (is_digit(byte)) return byte - '0';
    byte |= 0x20;
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

/* Bytes of the character at `text`; 0: not UTF-8; -1: more bytes are needed. The second byte
 * excludes overlong forms, surrogates and characters above U+10FFFF. */
static int utf8_bytes(const uint8_t *text, size_t count)
{
    uint8_t lead = text[0];
    if (lead < 0x80) return 1;
    if (lead < 0xc2 || lead > 0xf4) return 0;
    int bytes = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    uint8_t least = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    uint8_t most = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    for (int i = 1; i < bytes; i++) {
        if ((size_t)i == count) return -1;
        if (text[i] < least || text[i] > most) return 0;
        least = 0x80;
        most = 0xbf;
    }
    return bytes;
}

/* After the backslash. */
static bool scan_escape(scanner *s)
{
    if (s->at == s->count) return stop(s, RW_JSON_CUT, "it ends inside a string");
    uint8_t kind = s->text[s->at++];
    if (kind != 'u')
        return memchr("\"\\/bfnrt", kind, 8) ? true
                                             : stop(s, RW_JSON_WRONG, "an unknown \\ escape");
    for (int i = 0; i < 4; i++, s->at++) {
        if (s->at == s->count) return stop(s, RW_JSON_CUT, "it ends inside a string");
        if (hex_value(s->text[s->at]) < 0)
            return stop(s, RW_JSON_WRONG, "\\u without four hexadecimal digits");
    }
    return true;
}

static bool scan_string(scanner *s)
{
    for (s->at++; s->at < s->count;) {
        uint8_t byte = s->text[s->at];
        if (byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\') {
            s->at++;
        } else if (byte == '"') {
            s->at++;
            return true;
        } else if (byte == '\\') {
            s->at++;
            if (!scan_escape(s)) return false;
        } else if (byte < 0x20) {
            return stop(s, RW_JSON_WRONG, "a control character inside a string");
        } else {
            int bytes = utf8_bytes(s->text + s->at, s->count - s->at);
            if (bytes == 0) return stop(s, RW_JSON_WRONG, "a string that is not UTF-8");
            if (bytes < 0) break;
            s->at += (size_t)bytes;
        }
    }
    return stop(s, RW_JSON_CUT, "it ends inside a string");
}

/* ---- numbers and words ---- */

static bool scan_digits(scanner *s)
{
    size_t begin = s->at;
    while (s->at < s->count && is_digit(s->text[s->at])) s->at++;
    if (s->at > begin) return true;
    if (s->at == s->count) return stop(s, RW_JSON_CUT, "it ends inside a number");
    return stop(s, RW_JSON_WRONG, "a number without digits");
}

static bool next_is(const scanner *s, const char *bytes)
{
    return s->at < s->count && s->text[s->at] && strchr(bytes, s->text[s->at]);
}

static bool scan_number(scanner *s)
{
    if (next_is(s, "-")) s->at++;
    if (next_is(s, "0")) {
        s->at++;
        if (next_is(s, "0123456789")) return stop(s, RW_JSON_WRONG, "a number that begins with 0");
    } else if (!scan_digits(s)) {
        return false;
    }
    if (next_is(s, ".")) {
        s->at++;
        if (!scan_digits(s)) return false;
    }
    if (!next_is(s, "eE")) return true;
    s->at++;
    if (next_is(s, "+-")) s->at++;
    return scan_digits(s);
}

static bool scan_word(scanner *s, const char *word)
{
    for (; *word; word++, s->at++) {
        if (s->at == s->count) return stop(s, RW_JSON_CUT, "it ends inside a word");
        if (s->text[s->at] != (uint8_t)*word)
            return stop(s, RW_JSON_WRONG, "a word other than true, false and null");
    }
    return true;
}

/* ---- structure ---- */

static bool in_object(const scanner *s)
{
    size_t level = s->levels - 1;
    return s->is_object[level / 8] >> level % 8 & 1;
}

static bool open_level(scanner *s, bool object)
{
    size_t level = s->levels;
    if (level == LEVELS_MOST) return stop(s, RW_JSON_WRONG, "more than 8192 nested levels");
    uint8_t bit = (uint8_t)(1u << level % 8), *bits = &s->is_object[level / 8];
    if (level % 8 == 0) *bits = 0; /* was never written to */
    *bits = object ? *bits | bit : *bits & (uint8_t)~bit;
    s->levels++;
    s->at++;
    return true;
}

static bool scan_scalar(scanner *s)
{
    uint8_t byte = s->text[s->at];
    if (byte == '"') return scan_string(s);
    if (byte == '-' || is_digit(byte)) return scan_number(s);
    if (byte == 't') return scan_word(s, "true");
    if (byte == 'f') return scan_word(s, "false");
    if (byte == 'n') return scan_word(s, "null");
    return stop(s, RW_JSON_WRONG, "a value is expected");
}

typedef enum { VALUE, FIRST_VALUE, KEY, FIRST_KEY, COLON, COMMA, END } expectation;

static expectation after_value(const scanner *s)
{
    return s->levels == 0 ? END : COMMA;
}

static bool take_value(scanner *s, expectation *next)
{
    uint8_t byte = s->text[s->at];
    if (byte == '{' || byte == '[') {
        *next = byte == '{' ? FIRST_KEY : FIRST_VALUE;
        return open_level(s, byte == '{');
    }
    if (!scan_scalar(s)) return false;
    *next = after_value(s);
    return true;
}

static bool close_level(scanner *s, expectation *next)
{
    s->at++;
    s->levels--;
    *next = after_value(s);
    return true;
}

static bool take_comma(scanner *s, expectation *next)
{
    uint8_t byte = s->text[s->at];
    if (byte == (in_object(s) ? '}' : ']')) return close_level(s, next);
    if (byte != ',')
        return stop(s, RW_JSON_WRONG,
                    in_object(s) ? "a comma or } is expected" : "a comma or ] is expected");
    s->at++;
    *next = in_object(s) ? KEY : VALUE;
    return true;
}

static bool take_key(scanner *s, expectation *next)
{
    if (s->text[s->at] != '"') return stop(s, RW_JSON_WRONG, "a key in quotes is expected");
    *next = COLON;
    return scan_string(s);
}

static bool take_colon(scanner *s, expectation *next)
{
    if (s->text[s->at] != ':') return stop(s, RW_JSON_WRONG, "a colon is expected");
    s->at++;
    s->members++;
    *next = VALUE;
    return true;
}

static bool take_token(scanner *s, expectation *next)
{
    switch (*next) {
    case FIRST_VALUE:
        if (s->text[s->at] == ']') return close_level(s, next);
        return take_value(s, next);
    case FIRST_KEY:
        if (s->text[s->at] == '}') return close_level(s, next);
        return take_key(s, next);
    case KEY:
        return take_key(s, next);
    case COLON:
        return take_colon(s, next);
    case COMMA:
        return take_comma(s, next);
    default:
        return take_value(s, next);
    }
}

static void scan_value(scanner *s)
{
    expectation next = VALUE;
    while (next != END) {
        while (s->at < s->count && is_space(s->text[s->at])) s->at++;
        if (s->at == s->count) {
            stop(s, RW_JSON_CUT, "it ends too early");
            return;
        }
        if (!take_token(s, &next)) return;
        s->tokens++;
    }
}

rw_json_scan rw_json_check(const uint8_t *text, size_t count)
{
    scanner s;
    s.text = text;
    s.count = count;
    s.at = s.tokens = s.members = s.levels = 0;
    s.state = RW_JSON_WHOLE;
    s.fault = NULL;
    scan_value(&s);
    return (rw_json_scan){s.state, s.at, s.tokens, s.members, s.fault};
}

/* ---- members ---- */

static size_t encode(uint32_t character, uint8_t out[4])
{
    if (character < 0x80) {
        out[0] = (uint8_t)character;
        return 1;
    }
    size_t bytes = character < 0x800 ? 2 : character < 0x10000 ? 3 : 4;
    for (size_t i = bytes - 1; i > 0; i--, character >>= 6)
        out[i] = (uint8_t)(0x80 | (character & 0x3f));
    out[0] = (uint8_t)((bytes == 2 ? 0xc0 : bytes == 3 ? 0xe0 : 0xf0) | character);
    return bytes;
}

static uint32_t four_digits(const uint8_t *text)
{
    uint32_t value = 0;
    for (int i = 0; i < 4; i++) value = value << 4 | (uint32_t)hex_value(text[i]);
    return value;
}

/* The character of a \u escape with digits at `*at`; moves past it. */
static uint32_t decode_unicode(const uint8_t *text, size_t *at, size_t *lone)
{
    uint32_t first = four_digits(text + *at);
    *at += 4;
    if (first < 0xd800 || first > 0xdfff) return first;
    if (first < 0xdc00 && text[*at] == '\\' && text[*at + 1] == 'u') {
        uint32_t second = four_digits(text + *at + 2);
        if (second >= 0xdc00 && second <= 0xdfff) {
            *at += 6;
            return 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
        }
    }
    ++*lone;
    return 0xfffd;
}

/* The next byte or character of a checked string; moves past it. */
static size_t decode_next(const uint8_t *text, size_t *at, uint8_t out[4], size_t *lone)
{
    static const char kinds[] = "bfnrt", bytes[] = "\b\f\n\r\t";
    if (text[*at] != '\\') {
        out[0] = text[(*at)++];
        return 1;
    }
    uint8_t kind = text[*at + 1];
    *at += 2;
    if (kind == 'u') return encode(decode_unicode(text, at, lone), out);
    const char *found = strchr(kinds, kind);
    out[0] = found ? (uint8_t)bytes[found - kinds] : kind;
    return 1;
}

size_t rw_json_decode(rw_json_value string, uint8_t *out, size_t *lone)
{
    size_t made = 0;
    for (size_t at = 1; at + 1 < string.count;) {
        uint8_t part[4];
        size_t bytes = decode_next(string.text, &at, part, lone);
        memcpy(out + made, part, bytes);
        made += bytes;
    }
    return made;
}

static bool is_key(rw_json_value string, const char *key, size_t key_bytes)
{
    size_t matched = 0, lone = 0;
    for (size_t at = 1; at + 1 < string.count;) {
        uint8_t part[4];
        size_t bytes = decode_next(string.text, &at, part, &lone);
        if (matched + bytes > key_bytes || memcmp(key + matched, part, bytes) != 0) return false;
        matched += bytes;
    }
    return matched == key_bytes;
}

/* The value at `at` of a checked text, white space before it aside; moves past it. */
static rw_json_value next_value(rw_json_value object, size_t *at)
{
    while (is_space(object.text[*at])) ++*at;
    rw_json_value value = {object.text + *at, 0};
    value.count = rw_json_check(value.text, object.count - *at).used;
    *at += value.count;
    return value;
}

bool rw_json_find(rw_json_value object, const char *key, size_t key_bytes, rw_json_value *out)
{
    bool found = false;
    size_t at = 0;
    while (at < object.count && is_space(object.text[at])) at++;
    if (at == object.count || object.text[at] != '{') return false;
    while (object.text[at] != '}') {
        at++; /* the bracket or a comma */
        while (is_space(object.text[at])) at++;
        if (object.text[at] == '}') break;
        rw_json_value name = next_value(object, &at);
        while (object.text[at] != ':') at++;
        at++;
        rw_json_value value = next_value(object, &at);
        while (is_space(object.text[at])) at++;
        if (!is_key(name, key, key_bytes)) continue;
        found = true;
        *out = value;
    }
    return found;
}
