/* The choice of the next token from the scores of a model. */
#ifndef RW_TOKEN_CHOICE_H
#define RW_TOKEN_CHOICE_H

#include "base/status.h"
#include "tensor/real.h"

typedef struct {
    double temperature; /* of the softmax; 0: always the likeliest token */
    int top_k;          /* choose among the k likeliest; 0: among all */
    double top_p; /* keeps the fewest likeliest tokens, of those that top_k keeps, with a total
                     probability of at least p; 1: all; 0: the likeliest token */
} rw_choice_options;

typedef struct rw_choice rw_choice;

/* Room for the choice among `vocab` tokens. Not collective. */
rw_status rw_choice_new(int vocab, const rw_choice_options *options, rw_choice **out);
void rw_choice_destroy(rw_choice **choice);

/* Chooses a token by the number `u`, uniform in [0, 1), from the scores (vocab): token v with
 * probability softmax(scores / temperature)[v] among the tokens that top_k and top_p keep. Of equal
 * scores the lower token counts as likelier. -1 if a score is not finite. */
int rw_choice_take(rw_choice *choice, const real *scores, double u);

#endif
