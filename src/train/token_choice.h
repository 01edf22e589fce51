/* The choice of the next token from the scores of a model. */
#ifndef RW_TOKEN_CHOICE_H
#define RW_TOKEN_CHOICE_H

#include "base/status.h"
#include "tensor/real.h"

typedef struct {
    double temperature; /* of the softmax; 0: always the likeliest token */
    int top_k;          /* choose among the k likeliest; 0: among all */
    double top_p;       /* among the fewest likeliest whose probabilities, of those that top_k
                           left, add up to at least p; 1: all; 0: the likeliest alone */
} rw_choice_options;

typedef struct rw_choice rw_choice;

/* Room for the choice among `vocab` tokens. Not collective. */
rw_status rw_choice_new(int vocab, const rw_choice_options *options, rw_choice **out);
void rw_choice_destroy(rw_choice **choice);

/* The token that the number `u`, uniform in [0, 1), stands for, given the scores (vocab):
 * token v with probability softmax(scores / temperature)[v] among those that top_k and
 * top_p leave. Of equal scores the lower token counts as likelier. -1 if a score is not
 * finite. */
int rw_choice_take(rw_choice *choice, const real *scores, double u);

#endif
