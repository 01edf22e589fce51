/* What tokens mean: of a data source, as a checkpoint keeps it, so that a trained model
 * needs its dataset no more. Not collective. */
#ifndef RW_TOKEN_MEANING_H
#define RW_TOKEN_MEANING_H

#include "checkpoints/checkpoint.h"
#include "data_pipeline/source.h"

/* The tokens of a source; the alphabet is the source's own. */
rw_checkpoint_tokens rw_tokens_of(const rw_source *source);
/* The same as the format that a model is made for. */
rw_format rw_tokens_format(const rw_checkpoint_tokens *tokens);

/* Are the tokens of the data numbered as those of the model? RW_ERROR, with both shown
 * and what to do (`advice`), if not. */
rw_status rw_tokens_check(const rw_checkpoint_tokens *of_model, const rw_source *data,
                          const char *advice);
/* The same, but the data may lack letters of the model and number them otherwise, for
 * rw_source_set_alphabet. */
rw_status rw_tokens_check_some(const rw_checkpoint_tokens *of_model, const rw_source *data,
                               const char *advice);

#endif
