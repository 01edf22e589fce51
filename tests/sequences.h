/* Sequences in tests: opening sources, comparing what they give. */
#ifndef RW_TESTS_SEQUENCES_H
#define RW_TESTS_SEQUENCES_H

#include "tests/data_files.h"

#include "data_pipeline/source.h"

/* What a source is opened for. */
typedef enum { TO_TRAIN, TO_EVALUATE_HELDOUT, TO_EVALUATE_ALL } source_use;

/* Opens what the keys of `data`, in YAML, say. */
static inline rw_status open_for(source_use use, const char *text, uint64_t seed, rw_source **out)
{
    rw_config *config;
    const rw_key *const tables[] = {rw_data_keys};
    *out = NULL;
    RW_TRY(rw_config_parse(text, "test.yaml", NULL, 0, &config));
    rw_status status = rw_config_check(config, tables, 1);
    rw_evaluated_part part = use == TO_EVALUATE_ALL ? RW_EVALUATE_ALL : RW_EVALUATE_HELDOUT;
    if (status == RW_OK)
        status = use == TO_TRAIN ? rw_source_open(config, seed, out)
                                 : rw_source_open_to_evaluate(config, seed, part, out);
    rw_config_destroy(&config);
    return status;
}

static inline rw_status open_keys(const char *text, uint64_t seed, rw_source **out)
{
    return open_for(TO_TRAIN, text, seed, out);
}

/* Opens `task` (a mapping in YAML; NULL: the dataset out.h5). */
static inline rw_status open_source(const char *task, long length, uint64_t seed, rw_source **out)
{
    char text[5000];
    if (task)
        snprintf(text, sizeof text, "{task: %s, length: %ld, batch: 4}", task, length);
    else
        snprintf(text, sizeof text, "{dataset: %s, length: %ld, batch: 4}", in_folder("out.h5"),
                 length);
    return open_keys(text, seed, out);
}

/* A dataset of `count` bytes, the last `heldout` of them held out. */
static inline uint8_t *build_bytes(size_t count, size_t heldout)
{
    uint8_t *bytes = make_bytes(count, count);
    write_file("in", bytes, count);
    double share = ((double)heldout + 0.5) / (double)count;
    assert_int_equal(build_from("out.h5", "in", "text", heldout ? share : 0), RW_OK);
    return bytes;
}

static inline rw_sequence new_sequence(const rw_format *f, long rows)
{
    rw_sequence s = {0};
    size_t n = (size_t)rows;
    if (f->vocab) s.tokens = calloc(n + 1, sizeof(int32_t));
    if (f->target_vocab) s.targets = calloc(n + 1, sizeof(int32_t));
    if (!f->vocab) s.features = calloc(n * (size_t)f->features + 1, sizeof(real));
    if (!f->target_vocab)
        s.target_features = calloc(n * (size_t)f->target_features + 1, sizeof(real));
    return s;
}

static inline void free_sequence(rw_sequence *s)
{
    free(s->tokens);
    free(s->targets);
    free(s->features);
    free(s->target_features);
}

/* Rows [from, from + count) of `whole` are the first of `part`, bit for bit. */
static inline void assert_part(const rw_format *f, const rw_sequence *whole, long from,
                               const rw_sequence *part, long count)
{
    size_t first = (size_t)from, n = (size_t)count;
    size_t features = (size_t)f->features, wanted = (size_t)f->target_features;
    if (f->vocab) assert_memory_equal(part->tokens, whole->tokens + first, n * sizeof(int32_t));
    if (f->target_vocab)
        assert_memory_equal(part->targets, whole->targets + first, n * sizeof(int32_t));
    if (!f->vocab)
        assert_memory_equal(part->features, whole->features + first * features,
                            n * features * sizeof(real));
    if (!f->target_vocab)
        assert_memory_equal(part->target_features, whole->target_features + first * wanted,
                            n * wanted * sizeof(real));
}

static inline void assert_parts_equal_whole(rw_source *source, rw_split_name split, uint64_t index,
                                            long length)
{
    const rw_format *f = rw_source_format(source);
    rw_sequence whole = new_sequence(f, length), part = new_sequence(f, length);
    assert_int_equal(rw_source_read(source, split, index, 0, length, &whole), RW_OK);
    rw_random draws = rw_random_stream(1, RW_RANDOM_TEST, index);
    for (uint64_t i = 0; i < 12; i++) {
        long first = (long)rw_random_below(draws, 2 * i, (uint64_t)length);
        long count = (long)rw_random_below(draws, 2 * i + 1, (uint64_t)(length - first + 1));
        assert_int_equal(rw_source_read(source, split, index, first, count, &part), RW_OK);
        assert_part(f, &whole, first, &part, count);
    }
    free_sequence(&whole);
    free_sequence(&part);
}

/* Reading in any order, from a source opened anew, gives the same. */
static inline void assert_same_by_index(const char *task, long length, rw_split_name split)
{
    enum { INDICES = 9 };
    rw_source *forward, *backward;
    rw_sequence kept[INDICES], again;
    assert_int_equal(open_source(task, length, 5, &forward), RW_OK);
    assert_int_equal(open_source(task, length, 5, &backward), RW_OK);
    assert_int_equal(rw_source_fingerprint(forward), rw_source_fingerprint(backward));
    const rw_format *f = rw_source_format(forward);
    again = new_sequence(f, length);
    for (int i = 0; i < INDICES; i++) {
        kept[i] = new_sequence(f, length);
        assert_int_equal(rw_source_read(forward, split, (uint64_t)i, 0, length, &kept[i]), RW_OK);
    }
    for (int i = INDICES - 1; i >= 0; i--) {
        assert_int_equal(rw_source_read(backward, split, (uint64_t)i, 0, length, &again), RW_OK);
        assert_part(f, &kept[i], 0, &again, length);
        free_sequence(&kept[i]);
    }
    free_sequence(&again);
    rw_source_close(&forward);
    rw_source_close(&backward);
}

#endif
