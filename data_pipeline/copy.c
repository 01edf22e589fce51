/* The copy task: n random symbols, a separator, then n blanks in whose places
 * the symbols are to be given back in order; n = (length - 1) / 2.
 *
 *   s1 s2 s3 | . . .
 *              s1 s2 s3    targets
 *
 * Token ids: 0 blank, 1 separator, from 2 on symbols. */
#include "base/memory.h"
#include "data_pipeline/task.h"

enum { BLANK, SEPARATOR, FIRST_SYMBOL };
enum { DRAW_SYMBOLS };

static const rw_key keys[] = {
    {.name = "vocab",
     .type = RW_KEY_INT,
     .fallback = "16",
     .min = FIRST_SYMBOL + 1,
     .max = 1 << 30,
     .doc = "token ids: blank, separator, and symbols to copy"},
    RW_KEYS_END,
};

typedef struct {
    uint64_t symbols;
} copy;

static rw_status setup(const rw_config *config, long length, void **state, rw_format *format)
{
    int vocab = (int)rw_config_int(config, "vocab");
    if (length < 3)
        return rw_config_fail(config, "name",
                              "copy needs a data.length of at least 3 (it is %ld): "
                              "a symbol, the separator and a blank",
                              length);
    copy *c;
    RW_TRY(rw_alloc(1, sizeof *c, "the task copy", &c));
    c->symbols = (uint64_t)(vocab - FIRST_SYMBOL);
    *state = c;
    *format = (rw_format){.vocab = vocab, .target_vocab = vocab};
    return RW_OK;
}

static void generate(const void *state, rw_random stream, uint64_t index, long length,
                     rw_sequence *out)
{
    const copy *c = state;
    rw_random draws = rw_task_draws(stream, index, DRAW_SYMBOLS);
    long n = (length - 1) / 2;
    for (long i = 0; i < length; i++) {
        out->tokens[i] = BLANK;
        out->targets[i] = RW_IGNORE;
    }
    out->tokens[n] = SEPARATOR;
    for (long i = 0; i < n; i++) {
        int32_t symbol = FIRST_SYMBOL + (int32_t)rw_random_below(draws, (uint64_t)i, c->symbols);
        out->tokens[i] = symbol;
        out->targets[n + 1 + i] = symbol;
    }
}

const rw_task rw_task_copy = {
    .name = "copy",
    .summary = "give back a string of random symbols after a separator",
    .keys = keys,
    .setup = setup,
    .generate = generate,
};
