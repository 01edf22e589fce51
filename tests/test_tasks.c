/* Generated tasks: what holds for each of the registry, then what each asks. */
#include "tests/sequences.h"

#include <math.h>

#include "base/log.h"
#include "base/memory.h"

static void assert_ids(const rw_format *f, const rw_sequence *s, long length)
{
    long counted = 0;
    for (long i = 0; i < length; i++) {
        if (f->vocab) assert_in_range(s->tokens[i], 0, f->vocab - 1);
        if (f->target_vocab && s->targets[i] != RW_IGNORE)
            assert_in_range(s->targets[i], 0, f->target_vocab - 1);
        counted += f->target_vocab ? s->targets[i] != RW_IGNORE
                                   : !isnan(s->target_features[i * f->target_features]);
        for (long j = 0; j < f->features; j++)
            assert_true(isfinite(s->features[i * f->features + j]));
    }
    assert_true(counted > 0);
}

static bool equal_input(const rw_format *f, const rw_sequence *a, const rw_sequence *b, long length)
{
    size_t n = (size_t)length;
    if (f->vocab) return memcmp(a->tokens, b->tokens, n * sizeof(int32_t)) == 0;
    return memcmp(a->features, b->features, n * (size_t)f->features * sizeof(real)) == 0;
}

static void every_task_is_a_function_of_its_index(void **state)
{
    (void)state;
    const long length = 257;
    for (const rw_task *const *task = rw_task_registry; *task; task++) {
        char config[128];
        rw_source *source, *other;
        assert_ptr_equal(rw_task_find((*task)->name), *task);
        snprintf(config, sizeof config, "{name: %s}", (*task)->name);
        assert_same_by_index(config, length, RW_TRAIN);
        assert_same_by_index(config, length, RW_HELDOUT);
        assert_int_equal(open_source(config, length, 5, &source), RW_OK);
        assert_int_equal(open_source(config, length, 6, &other), RW_OK);
        const rw_format *f = rw_source_format(source);
        rw_sequence a = new_sequence(f, length), b = new_sequence(f, length);
        for (uint64_t index = 0; index < 20; index++) {
            assert_int_equal(rw_source_read(source, RW_TRAIN, index, 0, length, &a), RW_OK);
            assert_ids(f, &a, length);
            rw_source_read(source, RW_TRAIN, index + 1, 0, length, &b);
            assert_false(equal_input(f, &a, &b, length));
            rw_source_read(source, RW_HELDOUT, index, 0, length, &b);
            assert_false(equal_input(f, &a, &b, length));
            rw_source_read(other, RW_TRAIN, index, 0, length, &b);
            assert_false(equal_input(f, &a, &b, length));
            assert_parts_equal_whole(source, RW_TRAIN, index, length);
        }
        assert_int_equal(rw_source_heldout_count(source), 0);
        assert_int_equal(rw_source_tokens(source), 0);
        assert_string_equal(rw_source_name(source), (*task)->name);
        free_sequence(&a);
        free_sequence(&b);
        rw_source_close(&source);
        rw_source_close(&other);
    }
}

static void check_mqar(const rw_sequence *s, long length, int vocab, int pairs)
{
    int asked = 0;
    int32_t *value_of = calloc((size_t)vocab, sizeof(int32_t));
    for (int i = 0; i < pairs; i++) {
        int32_t key = s->tokens[2 * i], value = s->tokens[2 * i + 1];
        assert_in_range(key, 1, vocab / 2 - 1);
        assert_in_range(value, vocab / 2, vocab - 1);
        assert_int_equal(value_of[key], 0);
        value_of[key] = value;
    }
    for (long i = 0; i < length; i++) {
        bool is_query = i >= 2 * pairs && s->tokens[i] != 0;
        assert_int_equal(s->targets[i], is_query ? value_of[s->tokens[i]] : RW_IGNORE);
        if (is_query) value_of[s->tokens[i]] = RW_IGNORE; /* asked for once only */
        asked += is_query;
    }
    assert_int_equal(asked, pairs);
    free(value_of);
}

static void mqar_asks_for_the_values_of_its_keys(void **state)
{
    (void)state;
    const struct {
        long length;
        int vocab, pairs;
    } cases[] = {{64, 128, 8}, {4, 4, 1}, {33, 18, 8}, {4096, 512, 255}, {1020, 512, 255}};
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        char config[128];
        rw_source *source;
        snprintf(config, sizeof config, "{name: mqar, vocab: %d, pairs: %d}", cases[c].vocab,
                 cases[c].pairs);
        assert_int_equal(open_source(config, cases[c].length, 1, &source), RW_OK);
        rw_sequence s = new_sequence(rw_source_format(source), cases[c].length);
        for (uint64_t index = 0; index < 20; index++) {
            rw_source_read(source, RW_TRAIN, index, 0, cases[c].length, &s);
            check_mqar(&s, cases[c].length, cases[c].vocab, cases[c].pairs);
        }
        free_sequence(&s);
        rw_source_close(&source);
    }
}

static void passkey_asks_for_the_digits_it_hid(void **state)
{
    (void)state;
    const long lengths[] = {11, 12, 500};
    for (int c = 0; c < 3; c++) {
        long length = lengths[c], earliest = length, latest = -1;
        rw_source *source;
        assert_int_equal(open_source("{name: passkey, digits: 5}", length, 1, &source), RW_OK);
        rw_sequence s = new_sequence(rw_source_format(source), length);
        for (uint64_t index = 0; index < 200; index++) {
            rw_source_read(source, RW_TRAIN, index, 0, length, &s);
            long mark = 0;
            while (s.tokens[mark] != 10) mark++;
            earliest = mark < earliest ? mark : earliest;
            latest = mark > latest ? mark : latest;
            assert_int_equal(s.tokens[length - 5], 11);
            for (long i = 0; i < 5; i++) {
                assert_in_range(s.tokens[mark + 1 + i], 0, 9);
                assert_int_equal(s.targets[length - 5 + i], s.tokens[mark + 1 + i]);
                if (i < 4) assert_int_equal(s.tokens[length - 4 + i], s.tokens[mark + 1 + i]);
            }
            for (long i = 0; i < length - 5; i++) {
                assert_int_equal(s.targets[i], RW_IGNORE);
                if (i < mark || i > mark + 5) assert_true(s.tokens[i] >= 12);
            }
        }
        assert_true(earliest <= length / 20 && latest >= (length - 11) * 19 / 20);
        free_sequence(&s);
        rw_source_close(&source);
    }
}

static void copy_wants_its_symbols_back(void **state)
{
    (void)state;
    for (long length = 3; length < 40; length++) {
        long n = (length - 1) / 2;
        rw_source *source;
        assert_int_equal(open_source("{name: copy, vocab: 5}", length, 1, &source), RW_OK);
        rw_sequence s = new_sequence(rw_source_format(source), length);
        rw_source_read(source, RW_TRAIN, 7, 0, length, &s);
        for (long i = 0; i < length; i++) {
            if (i < n) assert_in_range(s.tokens[i], 2, 4);
            if (i >= n) assert_int_equal(s.tokens[i], i == n);
            bool asked = i > n && i <= 2 * n;
            assert_int_equal(s.targets[i], asked ? s.tokens[i - n - 1] : RW_IGNORE);
        }
        free_sequence(&s);
        rw_source_close(&source);
    }
}

static void delay_gives_unit_noise_back_later(void **state)
{
    (void)state;
    const long length = 2000, lag = 200;
    double sum = 0, squares = 0, steps = 0;
    rw_source *source;
    assert_int_equal(
        open_source("{name: delay, lag: 200, band: 0.02, sinusoids: 50}", length, 1, &source),
        RW_OK);
    rw_sequence s = new_sequence(rw_source_format(source), length);
    for (uint64_t index = 0; index < 100; index++) {
        rw_source_read(source, RW_TRAIN, index, 0, length, &s);
        for (long i = 0; i < length; i++) {
            if (i < lag)
                assert_true(isnan(s.target_features[i]));
            else
                assert_true(s.target_features[i] == s.features[i - lag]);
            sum += s.features[i];
            squares += s.features[i] * s.features[i];
            if (i > 0) steps += pow(s.features[i] - s.features[i - 1], 2);
        }
    }
    double count = 100.0 * (double)length;
    assert_true(fabs(sum / count) < 0.05);
    assert_true(fabs(squares / count - 1) < 0.05);
    /* white up to the band: E (u' / (2 pi band))^2 = 1/3 */
    double expected = pow(2 * M_PI * 0.02, 2) / 3;
    assert_true(fabs(steps / count / expected - 1) < 0.1);
    free_sequence(&s);
    rw_source_close(&source);
}

static void wrong_configurations_are_explained(void **state)
{
    (void)state;
    const struct {
        const char *task, *message;
        long length;
    } cases[] = {
        {"{name: mqra}", "did you mean mqar?); the tasks are ", 64},
        {"{vocab: 64}", "task.name: missing", 64},
        {"{name: mqar, pairs: 64}", "use a vocab of at least 130", 512},
        {"{name: mqar, pairs: 8}", "data.length of at least 32 (it is 31)", 31},
        {"{name: mqar, digits: 8}", "digits", 64},
        {"{name: passkey, digits: 6}", "data.length of at least 13 (it is 12)", 12},
        {"{name: copy}", "data.length of at least 3 (it is 2)", 2},
        {"{name: delay, lag: 64}", "a lag of 64 leaves no targets", 64},
        {"{name: copy}, dataset: x.h5", "keep one of them", 64},
    };
    rw_source *source;
    size_t before = rw_memory_in_use();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_message(open_source(cases[i].task, cases[i].length, 1, &source), RW_USAGE,
                       cases[i].message);
        assert_null(source);
        assert_int_equal(rw_memory_in_use(), before);
    }
    assert_message(open_source(NULL, 8, 1, &source), RW_ERROR, "make it with `ropewalk data build");
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void)
{
    rw_log_speak(false);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_task_is_a_function_of_its_index),
        cmocka_unit_test(mqar_asks_for_the_values_of_its_keys),
        cmocka_unit_test(passkey_asks_for_the_digits_it_hid),
        cmocka_unit_test(copy_wants_its_symbols_back),
        cmocka_unit_test(delay_gives_unit_noise_back_later),
        IN_FOLDER(wrong_configurations_are_explained),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
