#include "train/generation.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/random.h"
#include "base/terminal_text.h"
#include "model/recurrent.h"
#include "train/prompt.h"

typedef struct {
    const rw_generation_options *options;
    const char *alphabet; /* "": bytes */
    rw_prompt prompt;
    rw_recurrent *recurrent;
    rw_choice *choice;
    real *scores;       /* (vocab), after the last token */
    real *first_scores; /* after the prompt */
    int vocab;
    FILE *out;
    rw_terminal_text text;
} generation;

static rw_status flush(const generation *g)
{
    if (fflush(g->out) == 0 && !ferror(g->out)) return RW_OK;
    return rw_fail(RW_ERROR, "cannot write the generated text: %s", strerror(errno));
}

static void show(generation *g, int token)
{
    rw_terminal_text_put(&g->text, (unsigned char)(g->alphabet[0] ? g->alphabet[token] : token));
}

static void read_prompt(generation *g)
{
    for (long i = 0; i < g->prompt.count; i++)
        rw_recurrent_step(g->recurrent, g->prompt.tokens[i], NULL, g->scores);
    memcpy(g->first_scores, g->scores, (size_t)g->vocab * sizeof(real));
}

static rw_status next_token(const generation *g, rw_random stream, long i, int *token)
{
    *token = rw_choice_take(g->choice, g->scores, rw_random_uniform(stream, (uint64_t)i));
    if (*token >= 0) return RW_OK;
    return rw_fail(RW_ERROR,
                   "the model's scores are not finite %ld tokens after the prompt: the training "
                   "diverged; use an earlier checkpoint of the run (ropewalk checkpoint list)",
                   i);
}

static rw_status write_sample(generation *g, long sample)
{
    const rw_generation_options *o = g->options;
    rw_random stream = rw_random_stream(o->seed, RW_RANDOM_SAMPLE, (uint64_t)sample);
    int token;
    if (o->samples > 1) fprintf(g->out, "==> sample %ld of %ld <==\n", sample + 1, o->samples);
    rw_terminal_text_begin(&g->text, g->out, o->escape);
    for (long i = 0; i < g->prompt.count; i++) show(g, g->prompt.tokens[i]);
    RW_TRY(flush(g));
    for (long i = 0; i < o->tokens; i++) {
        RW_TRY(next_token(g, stream, i, &token));
        show(g, token);
        RW_TRY(flush(g)); /* so that people and pipes see each token at once */
        if (i + 1 < o->tokens) rw_recurrent_step(g->recurrent, token, NULL, g->scores);
    }
    rw_terminal_text_end(&g->text);
    fputc('\n', g->out);
    return flush(g);
}

static rw_status write_samples(generation *g)
{
    long samples = g->options->samples;
    read_prompt(g);
    if (samples > 1) RW_TRY(rw_recurrent_mark(g->recurrent));
    for (long i = 0; i < samples; i++) {
        if (i > 0) {
            rw_recurrent_reset(g->recurrent);
            memcpy(g->scores, g->first_scores, (size_t)g->vocab * sizeof(real));
        }
        RW_TRY(write_sample(g, i));
    }
    return RW_OK;
}

static rw_status prepare(generation *g, const rw_saved_model *saved)
{
    const rw_generation_options *o = g->options;
    size_t vocab = (size_t)g->vocab;
    RW_TRY(rw_prompt_read(&saved->tokens, o->prompt, o->prompt_size, &g->prompt));
    if (g->prompt.folded)
        rw_info("lower-case letters of the prompt are taken as upper-case ones, as in the data");
    if (o->tokens > LONG_MAX - g->prompt.count)
        return rw_fail(RW_USAGE, "%ld tokens are more than can be counted; use a smaller --tokens",
                       o->tokens);
    RW_TRY(rw_alloc(vocab, sizeof(real), "scores", &g->scores));
    RW_TRY(rw_alloc(vocab, sizeof(real), "scores", &g->first_scores));
    RW_TRY(rw_choice_new(g->vocab, &o->choice, &g->choice));
    return rw_recurrent_new(saved->model, g->prompt.count + o->tokens, &g->recurrent);
}

rw_status rw_generate(const rw_saved_model *saved, const rw_generation_options *options, FILE *out)
{
    generation g = {.options = options,
                    .alphabet = saved->tokens.alphabet,
                    .vocab = saved->tokens.target_vocab,
                    .out = out};
    rw_status status = prepare(&g, saved);
    if (status == RW_OK) status = write_samples(&g);
    rw_recurrent_destroy(&g.recurrent);
    rw_choice_destroy(&g.choice);
    rw_prompt_free(&g.prompt);
    rw_free(&g.scores);
    rw_free(&g.first_scores);
    return status;
}
