#include "train/generation.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"
#include "model/recurrent.h"

typedef struct {
    const rw_generation_options *options;
    rw_random stream;
    const char *alphabet; /* NULL: bytes */
    int vocab;
    real *scores;
    double *weights;
    real *sorted;
} sampler;

static rw_status token_of(const sampler *s, unsigned char c, int32_t *token)
{
    *token = c;
    if (!s->alphabet) return RW_OK;
    const char *at = c ? strchr(s->alphabet, c) : NULL;
    if (!at)
        return rw_fail(RW_USAGE, "the prompt holds '%c', which the data's alphabet %s lacks", c,
                       s->alphabet);
    *token = (int32_t)(at - s->alphabet);
    return RW_OK;
}

static int likeliest(const sampler *s)
{
    int best = 0;
    for (int v = 1; v < s->vocab; v++)
        if (s->scores[v] > s->scores[best]) best = v;
    return best;
}

static int descending(const void *a, const void *b)
{
    real x = *(const real *)a, y = *(const real *)b;
    return (x < y) - (x > y);
}

/* The score below which a token is not among the k likeliest. */
static real threshold(sampler *s)
{
    int k = s->options->top_k;
    if (k <= 0 || k >= s->vocab) return -INFINITY;
    memcpy(s->sorted, s->scores, (size_t)s->vocab * sizeof(real));
    qsort(s->sorted, (size_t)s->vocab, sizeof(real), descending);
    return s->sorted[k - 1];
}

static int sample(sampler *s, uint64_t index)
{
    int best = likeliest(s);
    if (s->options->temperature <= 0) return best;
    real least = threshold(s);
    double sum = 0;
    for (int v = 0; v < s->vocab; v++) {
        double score = (double)(s->scores[v] - s->scores[best]) / s->options->temperature;
        s->weights[v] = s->scores[v] < least ? 0 : exp(score);
        sum += s->weights[v];
    }
    double u = rw_random_uniform(s->stream, index) * sum;
    for (int v = 0; v < s->vocab; v++) {
        u -= s->weights[v];
        if (u < 0) return v;
    }
    return best;
}

static void show(const sampler *s, int token, FILE *out)
{
    fputc(s->alphabet ? s->alphabet[token] : token, out);
    fflush(out);
}

static rw_status run(sampler *s, rw_recurrent *recurrent, FILE *out)
{
    const char *prompt = s->options->prompt;
    int32_t token = 0;
    for (size_t i = 0; prompt[i]; i++) RW_TRY(token_of(s, (unsigned char)prompt[i], &token));
    for (; *prompt; prompt++) {
        RW_TRY(token_of(s, (unsigned char)*prompt, &token));
        show(s, token, out);
        rw_recurrent_step(recurrent, token, NULL, s->scores);
    }
    for (long i = 0; i < s->options->tokens; i++) {
        token = sample(s, (uint64_t)i);
        show(s, token, out);
        rw_recurrent_step(recurrent, token, NULL, s->scores);
    }
    fputc('\n', out);
    return RW_OK;
}

rw_status rw_generate(const rw_saved_model *saved, const rw_generation_options *options, FILE *out)
{
    rw_status status = RW_OK;
    rw_recurrent *recurrent = NULL;
    const rw_format *format = rw_source_format(saved->source);
    sampler s = {.options = options, .alphabet = rw_source_alphabet(saved->source)};
    s.vocab = format->target_vocab;
    s.stream = rw_random_stream(options->seed, RW_RANDOM_SAMPLE, 0);
    if (!rw_source_is_bytes(saved->source) && !s.alphabet)
        return rw_fail(RW_USAGE, "%s has no text to generate; generate works on text and FASTA",
                       rw_source_name(saved->source));
    if (!options->prompt[0])
        return rw_fail(RW_USAGE, "the prompt is empty; give at least one character with --prompt");
    RW_TRY_DONE(rw_alloc((size_t)s.vocab, sizeof(real), "scores", &s.scores));
    RW_TRY_DONE(rw_alloc((size_t)s.vocab, sizeof(real), "scores", &s.sorted));
    RW_TRY_DONE(rw_alloc((size_t)s.vocab, sizeof(double), "scores", &s.weights));
    long horizon = (long)strlen(options->prompt) + options->tokens;
    RW_TRY_DONE(rw_recurrent_new(saved->model, horizon, &recurrent));
    RW_TRY_DONE(run(&s, recurrent, out));
done:
    rw_recurrent_destroy(&recurrent);
    rw_free(&s.scores);
    rw_free(&s.sorted);
    rw_free(&s.weights);
    return status;
}
