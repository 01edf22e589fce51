#include "train/token_meaning.h"

#include <stdio.h>
#include <string.h>

#define MEANING_TEXT 320

rw_checkpoint_tokens rw_tokens_of(const rw_source *source)
{
    const rw_format *format = rw_source_format(source);
    const char *alphabet = rw_source_alphabet(source);
    return (rw_checkpoint_tokens){
        .kind = rw_source_is_bytes(source) ? "bytes"
                : alphabet                 ? "letters"
                : format->vocab > 0        ? "ids"
                                           : "features",
        .alphabet = alphabet ? alphabet : "",
        .vocab = format->vocab,
        .features = format->features,
        .target_vocab = format->target_vocab,
        .target_features = format->target_features,
    };
}

rw_format rw_tokens_format(const rw_checkpoint_tokens *tokens)
{
    return (rw_format){.vocab = tokens->vocab,
                       .features = tokens->features,
                       .target_vocab = tokens->target_vocab,
                       .target_features = tokens->target_features};
}

static const char *describe(const rw_checkpoint_tokens *t, char text[MEANING_TEXT])
{
    if (t->alphabet[0])
        snprintf(text, MEANING_TEXT, "the alphabet %s", t->alphabet);
    else if (strcmp(t->kind, "bytes") == 0)
        snprintf(text, MEANING_TEXT, "bytes");
    else if (t->target_vocab > 0)
        snprintf(text, MEANING_TEXT, "%d %s, targets of %d ids", t->vocab ? t->vocab : t->features,
                 t->kind, t->target_vocab);
    else
        snprintf(text, MEANING_TEXT, "%d %s, targets of %d features",
                 t->vocab ? t->vocab : t->features, t->kind, t->target_features);
    return text;
}

static rw_status refuse(const rw_checkpoint_tokens *of_model, const rw_source *data,
                        const char *advice)
{
    const rw_checkpoint_tokens own = rw_tokens_of(data);
    char model_text[MEANING_TEXT], data_text[MEANING_TEXT];
    return rw_fail(RW_ERROR,
                   "the data does not fit the model: %s has another vocabulary (%s) than the model "
                   "was trained on (%s); %s",
                   rw_source_name(data), describe(&own, data_text), describe(of_model, model_text),
                   advice);
}

rw_status rw_tokens_check(const rw_checkpoint_tokens *of_model, const rw_source *data,
                          const char *advice)
{
    const rw_checkpoint_tokens own = rw_tokens_of(data);
    if (strcmp(of_model->kind, own.kind) == 0 && strcmp(of_model->alphabet, own.alphabet) == 0 &&
        of_model->vocab == own.vocab && of_model->features == own.features &&
        of_model->target_vocab == own.target_vocab &&
        of_model->target_features == own.target_features)
        return RW_OK;
    return refuse(of_model, data, advice);
}

rw_status rw_tokens_check_some(const rw_checkpoint_tokens *of_model, const rw_source *data,
                               const char *advice)
{
    const rw_checkpoint_tokens own = rw_tokens_of(data);
    if (!of_model->alphabet[0] || !own.alphabet[0]) return rw_tokens_check(of_model, data, advice);
    size_t known = strspn(own.alphabet, of_model->alphabet);
    return own.alphabet[known] ? refuse(of_model, data, advice) : RW_OK;
}
