#include "train/token_choice.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/memory.h"

typedef struct {
    real score;
    int token;
} candidate;

struct rw_choice {
    rw_choice_options options;
    int vocab;
    double *weights;   /* by token; 0: out of the choice */
    candidate *sorted; /* likeliest first */
};

rw_status rw_choice_new(int vocab, const rw_choice_options *options, rw_choice **out)
{
    rw_status status;
    rw_choice *c;
    *out = NULL;
    RW_TRY(rw_alloc(1, sizeof *c, "the choice of tokens", &c));
    c->options = *options;
    c->vocab = vocab;
    RW_TRY_DONE(rw_alloc((size_t)vocab, sizeof *c->weights, "the choice of tokens", &c->weights));
    RW_TRY_DONE(rw_alloc((size_t)vocab, sizeof *c->sorted, "the choice of tokens", &c->sorted));
done:
    if (status != RW_OK)
        rw_choice_destroy(&c);
    else
        *out = c;
    return status;
}

void rw_choice_destroy(rw_choice **choice)
{
    if (!*choice) return;
    rw_free(&(*choice)->weights);
    rw_free(&(*choice)->sorted);
    rw_free(choice);
}

static bool all_finite(const real *scores, int count)
{
    for (int v = 0; v < count; v++)
        if (!isfinite(scores[v])) return false;
    return true;
}

static int likeliest(const real *scores, int count)
{
    int best = 0;
    for (int v = 1; v < count; v++)
        if (scores[v] > scores[best]) best = v;
    return best;
}

static int likelier_first(const void *a, const void *b)
{
    const candidate *x = a, *y = b;
    if (x->score != y->score) return x->score < y->score ? 1 : -1;
    return (x->token > y->token) - (x->token < y->token);
}

/* The number of remaining tokens: the top_k likeliest, then as many of them as reach the share
 * top_p of the sum. At least one token remains. */
static int count_kept(const rw_choice *c)
{
    int most = c->options.top_k > 0 && c->options.top_k < c->vocab ? c->options.top_k : c->vocab;
    if (c->options.top_p >= 1) return most;
    double sum = 0, reached = 0;
    for (int i = 0; i < most; i++) sum += c->weights[c->sorted[i].token];
    for (int i = 0; i < most; i++) {
        reached += c->weights[c->sorted[i].token];
        if (reached >= c->options.top_p * sum) return i + 1;
    }
    return most;
}

static void drop_unlikely(rw_choice *c, const real *scores)
{
    if ((c->options.top_k <= 0 || c->options.top_k >= c->vocab) && c->options.top_p >= 1) return;
    for (int v = 0; v < c->vocab; v++) c->sorted[v] = (candidate){scores[v], v};
    qsort(c->sorted, (size_t)c->vocab, sizeof *c->sorted, likelier_first);
    for (int i = count_kept(c); i < c->vocab; i++) c->weights[c->sorted[i].token] = 0;
}

int rw_choice_take(rw_choice *c, const real *scores, double u)
{
    if (!all_finite(scores, c->vocab)) return -1;
    int best = likeliest(scores, c->vocab);
    if (c->options.temperature <= 0) return best;
    double sum = 0;
    for (int v = 0; v < c->vocab; v++)
        c->weights[v] = exp(((double)scores[v] - (double)scores[best]) / c->options.temperature);
    drop_unlikely(c, scores);
    for (int v = 0; v < c->vocab; v++) sum += c->weights[v];
    u *= sum;
    for (int v = 0; v < c->vocab; v++) {
        u -= c->weights[v];
        if (u < 0) return v;
    }
    return best;
}
