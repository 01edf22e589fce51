/* What differs between two configurations, and between two models. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/config_compare.h"
#include "model/model_settings.h"

static void expect_changes(const rw_changes *changes, bool neutral, const char *wanted)
{
    char text[RW_CHANGES_TEXT];
    assert_string_equal(rw_changes_text(changes, neutral, text), wanted);
}

static void differences_are_found(void **state)
{
    (void)state;
    const rw_key keys[] = {{.name = "a", .type = RW_KEY_REAL},
                           {.name = "n", .type = RW_KEY_INT, .neutral = true},
                           {.name = "t", .type = RW_KEY_STRING},
                           {.name = "left", .type = RW_KEY_MAP},
                           RW_KEYS_END};
    const rw_key *tables[] = {keys};
    rw_config *old, *now;
    rw_changes changes = {0};
    assert_int_equal(
        rw_config_parse("{a: 1e-3, n: 1, t: '1', left: {x: 1}, gone: z}", "old", NULL, 0, &old),
        RW_OK);
    assert_int_equal(
        rw_config_parse("{n: 1k, a: 0.001, t: 1.0, left: {x: 2}, d: {e: [1, {f: \"g\\nh\"}]}}",
                        "now", NULL, 0, &now),
        RW_OK);
    assert_int_equal(rw_config_compare(old, now, "m", tables, 1, &changes), RW_OK);
    expect_changes(&changes, true, "m.n: 1 -> 1k");
    expect_changes(&changes, false,
                   "m.t: 1 -> 1.0, m.d.e.0: none -> 1, m.d.e.1.f: none -> g h, m.gone: z -> none");
    rw_changes_free(&changes);
    assert_int_equal(rw_config_compare(old, old, "", NULL, 0, &changes), RW_OK);
    assert_int_equal(changes.count, 0);
    /* More than a message can hold is counted. */
    for (int i = 0; i < 100; i++)
        assert_int_equal(rw_changes_add(&changes, "some.key", "old", "now", false), RW_OK);
    char text[RW_CHANGES_TEXT];
    assert_non_null(strstr(rw_changes_text(&changes, false, text), " more"));
    rw_changes_free(&changes);
    rw_config_destroy(&old);
    rw_config_destroy(&now);
}

/* What differs between two mappings `model`, as text. */
static void compare_models(const char *one, const char *other, bool neutral, const char *wanted)
{
    const rw_format format = {.vocab = 8, .target_vocab = 8};
    rw_config *old, *now;
    rw_changes changes = {0};
    assert_int_equal(rw_config_parse(one, "old", NULL, 0, &old), RW_OK);
    assert_int_equal(rw_config_parse(other, "now", NULL, 0, &now), RW_OK);
    assert_int_equal(rw_model_check(old), RW_OK);
    assert_int_equal(rw_model_check(now), RW_OK);
    assert_int_equal(rw_model_compare(old, now, &format, &changes), RW_OK);
    expect_changes(&changes, neutral, wanted);
    expect_changes(&changes, !neutral, "");
    rw_changes_free(&changes);
    rw_config_destroy(&old);
    rw_config_destroy(&now);
}

static void models_are_compared_by_function(void **state)
{
    (void)state;
    const char *two = "{blocks: [{mixer: attention}, {mlp: gelu}]}";
    compare_models(two,
                   "{repeat: 1, width: 256, objective: next_token, "
                   "blocks: [{mixer: attention, heads: 4}, {mlp: gelu, expand: 2.0}]}",
                   false, "");
    compare_models("{repeat: 2, blocks: [{mixer: ema}]}", "{blocks: [{mixer: ema}, {mixer: ema}]}",
                   false, "");
    compare_models("{repeat: 2, blocks: [{mixer: ema}]}",
                   "{blocks: [{mixer: ema}, {mixer: ema, averages: 2}]}", false,
                   "model.blocks.1.averages: 16 -> 2");
    compare_models(two, "{blocks: [{mixer: attention, window: 5, rope: false}, {mlp: gelu}]}",
                   false, "model.blocks.0.window: 0 -> 5, model.blocks.0.rope: true -> false");
    compare_models(two, "{norm: layer, blocks: [{mixer: ssd}, {mlp: gelu}]}", false,
                   "model.blocks.0: attention -> ssd, model.norm: rms -> layer");
    compare_models(two, "{repeat: 3, blocks: [{mlp: gelu}]}", false,
                   "model.blocks: 2 blocks -> 3 blocks");
    /* Weights mean the same: other rounding, other training, other exchange. */
    compare_models(two,
                   "{chunk: 32, dropout: 0.1, "
                   "blocks: [{mixer: attention, exchange: ring}, {mlp: gelu}]}",
                   true,
                   "model.blocks.0.exchange: auto -> ring, model.chunk: 256 -> 32, "
                   "model.dropout: 0 -> 0.1");
    compare_models("{blocks: [{mixer: s4d}]}", "{blocks: [{mixer: s4d, dt_min: 0.01}]}", true,
                   "model.blocks.0.dt_min: 1.0e-3 -> 0.01");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(differences_are_found),
        cmocka_unit_test(models_are_compared_by_function),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
