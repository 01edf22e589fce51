/* Multi-query associative recall (Arora et al. 2023, "Zoology: measuring and
 * improving recall in efficient language models", section 4 and appendix):
 *
 *   k1 v1 k2 v2 ... kn vn | . . k2 . . . . k1 . . kn . .
 *                                v2          v1    vn      targets
 *
 * Distinct keys from [1, V/2) and distinct values from [V/2, V) come first;
 * then each key is asked for once. Slot i of the rest (two tokens each) is
 * taken with a probability in proportion to (i + 1)^(a - 1), a = 0.01, without
 * replacement: most questions come soon, some late. All else is token 0. */
#include <math.h>

#include "base/memory.h"
#include "data_pipeline/task.h"

#define POWER 0.01

enum { DRAW_KEYS, DRAW_VALUES, DRAW_SLOTS };

static const rw_key keys[] = {
    {.name = "vocab",
     .type = RW_KEY_INT,
     .fallback = "128",
     .min = 4,
     .max = 1 << 30,
     .doc = "token ids: 0 is blank, keys lie below vocab / 2, values above"},
    {.name = "pairs",
     .type = RW_KEY_INT,
     .fallback = "8",
     .min = 1,
     .max = 1 << 28,
     .doc = "pairs of key and value to remember"},
    RW_KEYS_END,
};

typedef struct {
    int64_t vocab, pairs, slots;
    double cumulative[]; /* (slots) the chance of a slot up to this one; the last is 1 */
} mqar;

static rw_status setup(const rw_config *config, long length, void **state, rw_format *format)
{
    int64_t vocab = rw_config_int(config, "vocab"), pairs = rw_config_int(config, "pairs");
    if (pairs > vocab / 2 - 1)
        return rw_config_fail(config, "pairs",
                              "%ld pairs need as many different keys, but a vocab "
                              "of %ld has %ld; use a vocab of at least %ld",
                              (long)pairs, (long)vocab, (long)(vocab / 2 - 1),
                              (long)(2 * pairs + 2));
    if (4 * pairs > length)
        return rw_config_fail(config, "pairs",
                              "%ld pairs and their questions need a data.length "
                              "of at least %ld (it is %ld)",
                              (long)pairs, (long)(4 * pairs), length);
    int64_t slots = (length - 2 * pairs) / 2;
    mqar *m;
    RW_TRY(rw_alloc(1, sizeof *m + (size_t)slots * sizeof(double), "the task mqar", &m));
    m->vocab = vocab;
    m->pairs = pairs;
    m->slots = slots;
    double sum = 0;
    for (int64_t i = 0; i < slots; i++) m->cumulative[i] = sum += pow((double)(i + 1), POWER - 1);
    for (int64_t i = 0; i < slots; i++) m->cumulative[i] /= sum;
    *state = m;
    *format = (rw_format){.vocab = (int)vocab, .target_vocab = (int)vocab};
    return RW_OK;
}

/* The first slot with a cumulative chance above u. */
static int64_t slot_at(const mqar *m, double u)
{
    int64_t low = 0, high = m->slots - 1;
    while (low < high) {
        int64_t middle = (low + high) / 2;
        if (m->cumulative[middle] > u)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static void generate(const void *state, rw_random stream, uint64_t index, long length,
                     rw_sequence *out)
{
    const mqar *m = state;
    rw_random key_draws = rw_task_draws(stream, index, DRAW_KEYS);
    rw_random value_draws = rw_task_draws(stream, index, DRAW_VALUES);
    rw_random slot_draws = rw_task_draws(stream, index, DRAW_SLOTS);
    uint64_t half = (uint64_t)m->vocab / 2, draw = 0;
    for (long i = 0; i < length; i++) {
        out->tokens[i] = 0;
        out->targets[i] = RW_IGNORE;
    }
    for (int64_t pair = 0; pair < m->pairs; pair++) {
        uint64_t p = (uint64_t)pair;
        int32_t key = (int32_t)(1 + rw_random_permute(key_draws, p, half - 1));
        int32_t value =
            (int32_t)(half + rw_random_permute(value_draws, p, (uint64_t)m->vocab - half));
        out->tokens[2 * pair] = key;
        out->tokens[2 * pair + 1] = value;
        int64_t at; /* drawing once more for a taken slot is drawing without replacement */
        do at = 2 * m->pairs + 2 * slot_at(m, rw_random_uniform(slot_draws, draw++));
        while (out->tokens[at] != 0);
        out->tokens[at] = key;
        out->targets[at] = value;
    }
}

const rw_task rw_task_mqar = {
    .name = "mqar",
    .summary = "multi-query associative recall: the values of keys seen before",
    .keys = keys,
    .setup = setup,
    .generate = generate,
};
