/* Predicts the target id of each token: -log softmax(x W^T)[target], mean over the counted targets.
 * For text the target is the next byte. */
#include "objectives/objective.h"

static bool next_token_accepts(const rw_format *format)
{
    return format->target_vocab > 0;
}

static rw_status next_token_build(rw_graph *graph, const rw_format *format, rw_value x, int table)
{
    bool share = table >= 0 && format->vocab == format->target_vocab;
    return rw_cross_entropy(graph, x, "head", format->target_vocab, share ? table : -1);
}

const rw_objective rw_objective_next_token = {
    .name = "next_token",
    .summary = "cross-entropy over token ids",
    .accepts = next_token_accepts,
    .build = next_token_build,
};
