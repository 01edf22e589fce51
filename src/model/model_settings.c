#include "model/model_settings.h"

#include <stdio.h>
#include <string.h>

#include "blocks/mlp.h"
#include "blocks/norm.h"
#include "mixers/mixer.h"
#include "objectives/objective.h"

const rw_key rw_model_keys[] = {
    {.name = "width",
     .type = RW_KEY_INT,
     .fallback = "256",
     .min = 1,
     .max = 65536,
     .doc = "features of a token between blocks, D"},
    {.name = "chunk",
     .type = RW_KEY_INT,
     .fallback = "256",
     .min = 1,
     .max = 65536,
     .neutral = true,
     .doc = "tokens per chunk, T: the unit of computation; a power of two"},
    {.name = "tie_embeddings",
     .type = RW_KEY_BOOL,
     .fallback = "true",
     .doc = "the output projection is the embedding table"},
    {.name = "repeat",
     .type = RW_KEY_INT,
     .fallback = "1",
     .min = 1,
     .max = 1000,
     .doc = "the list of blocks, this many times"},
    {.name = "dropout",
     .type = RW_KEY_REAL,
     .fallback = "0",
     .min = 0,
     .max = 0.95,
     .neutral = true,
     .doc = "share of a block's output to drop in training"},
    {.name = "norm",
     .type = RW_KEY_STRING,
     .fallback = "rms",
     .doc = "normalisation in front of each block"},
    {.name = "base_width",
     .type = RW_KEY_INT,
     .fallback = "0",
     .min = 0,
     .max = 65536,
     .doc = "width at which the learning rate was found: rates and initial weights are scaled from "
            "there to `width` (muP), so that the best rate stays the best (0: they are not)"},
    {.name = "base_depth",
     .type = RW_KEY_INT,
     .fallback = "0",
     .min = 0,
     .max = 1000000,
     .doc = "number of blocks at which the learning rate was found, likewise (0: not scaled)"},
    {.name = "objective",
     .type = RW_KEY_STRING,
     .fallback = "auto",
     .doc = "what is learned; auto: the first objective that fits the data"},
    {.name = "blocks",
     .type = RW_KEY_LIST,
     .required = true,
     .doc = "mixers and mlps, in order: {mixer: NAME, ...} or {mlp: NAME, ...}"},
    RW_KEYS_END,
};

const rw_key rw_mixer_block_keys[] = {
    {.name = "mixer", .type = RW_KEY_STRING, .required = true, .doc = "sequence mixer"},
    {.name = "bidirectional",
     .type = RW_KEY_BOOL,
     .fallback = "false",
     .doc = "a second mixer of its own runs over the reversed sequence, and is added"},
    RW_KEYS_END,
};

const rw_key rw_mlp_block_keys[] = {
    {.name = "mlp", .type = RW_KEY_STRING, .required = true, .doc = "feed-forward block"},
    RW_KEYS_END,
};

/* ---- Checking ---------------------------------------------------------------- */

static rw_status unknown_mixer(const rw_config *block, const char *name)
{
    const char *known[64];
    char advice[RW_NAME_ADVICE];
    int count = 0;
    for (; rw_mixer_registry[count] && count < 64; count++)
        known[count] = rw_mixer_registry[count]->name;
    return rw_config_fail(block, "mixer", "unknown mixer '%.60s'%s", name,
                          rw_name_advice(name, "mixers", known, count, advice));
}

static rw_status unknown_mlp(const rw_config *block, const char *name)
{
    const char *known[64];
    char advice[RW_NAME_ADVICE];
    int count = 0;
    for (; rw_mlp_registry[count] && count < 64; count++)
        known[count] = rw_mlp_registry[count]->name;
    return rw_config_fail(block, "mlp", "unknown mlp '%.60s'%s", name,
                          rw_name_advice(name, "mlps", known, count, advice));
}

static rw_status check_norm(const rw_config *model)
{
    const char *name = rw_config_string(model, "norm"), *known[64];
    char advice[RW_NAME_ADVICE];
    int count = 0;
    if (rw_norm_find(name)) return RW_OK;
    for (; rw_norm_registry[count] && count < 64; count++)
        known[count] = rw_norm_registry[count]->name;
    return rw_config_fail(model, "norm", "unknown norm '%.60s'%s", name,
                          rw_name_advice(name, "norms", known, count, advice));
}

/* The tables of a block's keys; returns their number. */
static int tables_of(const rw_config *block, const rw_key *tables[2])
{
    const char *mlp = rw_config_raw(block, "mlp");
    tables[0] = mlp ? rw_mlp_block_keys : rw_mixer_block_keys;
    tables[1] = mlp ? rw_mlp_find(mlp)->keys : rw_mixer_find(rw_config_raw(block, "mixer"))->keys;
    return 2;
}

static rw_status check_block(rw_config *block)
{
    const char *mixer = rw_config_raw(block, "mixer"), *mlp = rw_config_raw(block, "mlp");
    const char *kind = rw_config_first_key(block);
    const rw_key *tables[2];
    if (!mixer && !mlp)
        return rw_config_fail(block, kind ? kind : "", "a block begins with `mixer:` or `mlp:`");
    if (mlp && !rw_mlp_find(mlp)) return unknown_mlp(block, mlp);
    if (!mlp && !rw_mixer_find(mixer)) return unknown_mixer(block, mixer);
    int count = tables_of(block, tables);
    return rw_config_check(block, tables, count);
}

rw_status rw_model_check(rw_config *model)
{
    RW_TRY(rw_config_check(model, (const rw_key *const[]){rw_model_keys}, 1));
    RW_TRY(check_norm(model));
    int64_t chunk = rw_config_int(model, "chunk");
    if (chunk & (chunk - 1))
        return rw_config_fail(model, "chunk", "%lld is not a power of two, such as 128 or 256",
                              (long long)chunk);
    for (int i = 0; i < rw_config_count(model, "blocks"); i++)
        RW_TRY(check_block(rw_config_at(model, "blocks", i)));
    return RW_OK;
}

/* ---- Comparing ---------------------------------------------------------------- */

static const char *kind_of(const rw_config *block)
{
    const char *mlp = rw_config_raw(block, "mlp");
    return mlp ? mlp : rw_config_raw(block, "mixer");
}

static rw_status compare_block(const rw_config *old, const rw_config *now, int index,
                               rw_changes *out)
{
    char path[64];
    const rw_key *tables[2];
    snprintf(path, sizeof path, "model.blocks.%d", index);
    if (strcmp(kind_of(old), kind_of(now)) != 0)
        return rw_changes_add(out, path, kind_of(old), kind_of(now), false);
    int count = tables_of(now, tables);
    return rw_config_compare(old, now, path, tables, count, out);
}

static int64_t blocks_of(const rw_config *model)
{
    return rw_config_count(model, "blocks") * rw_config_int(model, "repeat");
}

/* Two lists, with and without `repeat`, may describe the same blocks. */
static rw_status compare_blocks(const rw_config *old, const rw_config *now, rw_changes *out)
{
    int had = rw_config_count(old, "blocks"), has = rw_config_count(now, "blocks");
    int64_t blocks = had == has ? has : blocks_of(now);
    for (int64_t i = 0; i < blocks; i++) {
        int from = (int)(i % had), to = (int)(i % has);
        RW_TRY(compare_block(rw_config_at(old, "blocks", from), rw_config_at(now, "blocks", to), to,
                             out));
    }
    return RW_OK;
}

static rw_status count_differs(const rw_config *old, const rw_config *now, rw_changes *out)
{
    char was[32], is[32];
    snprintf(was, sizeof was, "%lld blocks", (long long)blocks_of(old));
    snprintf(is, sizeof is, "%lld blocks", (long long)blocks_of(now));
    return rw_changes_add(out, "model.blocks", was, is, false);
}

static rw_status resolve_objective(rw_config *model, const rw_format *format)
{
    const rw_objective *objective;
    RW_TRY(rw_objective_find(rw_config_string(model, "objective"), format, &objective));
    return rw_config_set(model, "objective", objective->name);
}

rw_status rw_model_compare(rw_config *old, rw_config *now, const rw_format *format, rw_changes *out)
{
    RW_TRY(resolve_objective(old, format));
    RW_TRY(resolve_objective(now, format));
    RW_TRY(blocks_of(old) == blocks_of(now) ? compare_blocks(old, now, out)
                                            : count_differs(old, now, out));
    RW_TRY(rw_config_set(old, "repeat", "1"));
    RW_TRY(rw_config_set(now, "repeat", "1"));
    return rw_config_compare(old, now, "model", (const rw_key *const[]){rw_model_keys}, 1, out);
}
