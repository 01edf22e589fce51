/* Passkey retrieval (Mohtashami and Jaggi 2023, "Landmark attention"): a
 * marked key of n digits somewhere in filler, to be repeated at the end:
 *
 *   w w w MARK d1 d2 d3 w w w w w w w ASK d1 d2
 *                                     d1  d2 d3    targets
 *
 * Token ids: 0 to 9 digits, 10 MARK, 11 ASK, from 12 on filler words. */
#include "base/memory.h"
#include "data_pipeline/task.h"

enum { MARK = 10, ASK, FIRST_WORD };
enum { DRAW_WORDS, DRAW_DIGITS, DRAW_DEPTH };

static const rw_key keys[] = {
    {.name = "digits",
     .type = RW_KEY_INT,
     .fallback = "5",
     .min = 1,
     .max = 1 << 20,
     .doc = "length of the key"},
    {.name = "words",
     .type = RW_KEY_INT,
     .fallback = "20",
     .min = 1,
     .max = 1 << 20,
     .doc = "different filler words"},
    RW_KEYS_END,
};

typedef struct {
    long digits;
    uint64_t words;
} passkey;

static rw_status setup(const rw_config *config, long length, void **state, rw_format *format)
{
    long digits = (long)rw_config_int(config, "digits"), least = 2 * digits + 1;
    if (length < least)
        return rw_config_fail(config, "digits",
                              "a key of %ld digits, its mark and the question "
                              "need a data.length of at least %ld (it is %ld)",
                              digits, least, length);
    passkey *p;
    RW_TRY(rw_alloc(1, sizeof *p, "the task passkey", &p));
    p->digits = digits;
    p->words = (uint64_t)rw_config_int(config, "words");
    int vocab = FIRST_WORD + (int)p->words;
    *state = p;
    *format = (rw_format){.vocab = vocab, .target_vocab = vocab};
    return RW_OK;
}

static void generate(const void *state, rw_random stream, uint64_t index, long length,
                     rw_sequence *out)
{
    const passkey *p = state;
    rw_random words = rw_task_draws(stream, index, DRAW_WORDS);
    rw_random digits = rw_task_draws(stream, index, DRAW_DIGITS);
    rw_random depth = rw_task_draws(stream, index, DRAW_DEPTH);
    for (long i = 0; i < length; i++) {
        out->tokens[i] = FIRST_WORD + (int32_t)rw_random_below(words, (uint64_t)i, p->words);
        out->targets[i] = RW_IGNORE;
    }
    long ask = length - p->digits;
    long mark = (long)rw_random_below(depth, 0, (uint64_t)(ask - p->digits));
    out->tokens[mark] = MARK;
    out->tokens[ask] = ASK;
    for (long i = 0; i < p->digits; i++) {
        int32_t digit = (int32_t)rw_random_below(digits, (uint64_t)i, 10);
        out->tokens[mark + 1 + i] = digit;
        out->targets[ask + i] = digit;
        if (i + 1 < p->digits) out->tokens[ask + 1 + i] = digit;
    }
}

const rw_task rw_task_passkey = {
    .name = "passkey",
    .summary = "a key of digits hidden in filler, asked for at the end",
    .keys = keys,
    .setup = setup,
    .generate = generate,
};
