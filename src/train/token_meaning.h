/* The meaning of tokens: taken from a data source and kept in a checkpoint, so that a trained model
 * does not need its dataset. Not collective. */
#ifndef RW_TOKEN_MEANING_H
#define RW_TOKEN_MEANING_H

#include "checkpoints/checkpoint.h"
#include "data_pipeline/source.h"

/* The tokens of a source; the alphabet is the source's own. */
rw_checkpoint_tokens rw_tokens_of(const rw_source *source);
/* The same, as the format for a model. */
rw_format rw_tokens_format(const rw_checkpoint_tokens *tokens);

/* Are the tokens of the data numbered like the tokens of the model? If not: RW_ERROR, with both and
 * with `advice`. */
rw_status rw_tokens_check(const rw_checkpoint_tokens *of_model, const rw_source *data,
                          const char *advice);
/* The same, but the data may lack letters of the model and number them in another way, for
 * rw_source_set_alphabet. */
rw_status rw_tokens_check_some(const rw_checkpoint_tokens *of_model, const rw_source *data,
                               const char *advice);

#endif
