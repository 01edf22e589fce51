/* What `ropewalk generate` is made of: prompts, the choice of tokens, and what a terminal
 * is shown. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/random.h"
#include "base/terminal_text.h"
#include "train/prompt.h"
#include "train/token_choice.h"

/* ---- Choice of tokens -------------------------------------------------------------- */

enum { VOCAB = 12, DRAWS = 20000 };

static void make_scores(uint64_t seed, real *scores)
{
    rw_random stream = rw_random_stream(seed, RW_RANDOM_TEST, 0);
    for (int v = 0; v < VOCAB; v++) scores[v] = (real)(2 * rw_random_normal(stream, (uint64_t)v));
    scores[7] = scores[3]; /* a tie */
}

static rw_choice *choice_of(double temperature, int top_k, double top_p)
{
    rw_choice *choice;
    rw_choice_options options = {.temperature = temperature, .top_k = top_k, .top_p = top_p};
    assert_int_equal(rw_choice_new(VOCAB, &options, &choice), RW_OK);
    return choice;
}

static int likeliest(const real *scores)
{
    int best = 0;
    for (int v = 1; v < VOCAB; v++)
        if (scores[v] > scores[best]) best = v;
    return best;
}

/* Over all numbers u the tokens come out with these probabilities. */
static void expect_shares(rw_choice *choice, const real *scores, const double *shares)
{
    int count[VOCAB] = {0};
    for (int i = 0; i < DRAWS; i++) count[rw_choice_take(choice, scores, (i + 0.5) / DRAWS)]++;
    for (int v = 0; v < VOCAB; v++)
        if (fabs((double)count[v] / DRAWS - shares[v]) > 2.0 / DRAWS)
            fail_msg("token %d: %d of %d draws, not %g", v, count[v], DRAWS, shares[v] * DRAWS);
}

/* Probabilities among the `kept` likeliest; of equal scores the lower token is likelier. */
static void shares_of(const real *scores, double temperature, int kept, double *shares)
{
    double sum = 0;
    for (int v = 0; v < VOCAB; v++) {
        int before = 0;
        for (int o = 0; o < VOCAB; o++)
            before += scores[o] > scores[v] || (scores[o] == scores[v] && o < v);
        shares[v] = before < kept ? exp((double)scores[v] / temperature) : 0;
        sum += shares[v];
    }
    for (int v = 0; v < VOCAB; v++) shares[v] /= sum;
}

/* The fewest likeliest whose probabilities add up to p. */
static int nucleus(const real *scores, double temperature, double p)
{
    double all[VOCAB], few[VOCAB];
    shares_of(scores, temperature, VOCAB, all);
    for (int kept = 1; kept < VOCAB; kept++) {
        double sum = 0;
        shares_of(scores, temperature, kept, few);
        for (int v = 0; v < VOCAB; v++) sum += few[v] > 0 ? all[v] : 0;
        if (sum >= p) return kept;
    }
    return VOCAB;
}

static void choices_have_their_probabilities(void **state)
{
    (void)state;
    static const double temperatures[] = {0.5, 1, 3}, ps[] = {0.05, 0.3, 0.75, 0.999, 1};
    for (uint64_t seed = 0; seed < 4; seed++)
        for (size_t t = 0; t < sizeof temperatures / sizeof *temperatures; t++)
            for (size_t i = 0; i < sizeof ps / sizeof *ps; i++) {
                real scores[VOCAB];
                double shares[VOCAB];
                make_scores(seed, scores);
                rw_choice *choice = choice_of(temperatures[t], 0, ps[i]);
                int kept = ps[i] < 1 ? nucleus(scores, temperatures[t], ps[i]) : VOCAB;
                shares_of(scores, temperatures[t], kept, shares);
                expect_shares(choice, scores, shares);
                rw_choice_destroy(&choice);
            }
}

static void top_k_keeps_k(void **state)
{
    (void)state;
    real scores[VOCAB];
    double shares[VOCAB];
    make_scores(1, scores);
    for (int k = 1; k <= VOCAB + 1; k++) {
        rw_choice *choice = choice_of(1, k, 1);
        shares_of(scores, 1, k, shares);
        expect_shares(choice, scores, shares);
        rw_choice_destroy(&choice);
    }
}

/* top_p is a share of what top_k leaves. */
static void top_p_after_top_k(void **state)
{
    (void)state;
    real scores[VOCAB] = {4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4};
    double shares[VOCAB] = {0.5, 0.5};
    rw_choice *choice = choice_of(1, 4, 0.5);
    expect_shares(choice, scores, shares);
    rw_choice_destroy(&choice);
}

static void limits_of_choice(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        real scores[VOCAB];
        make_scores(seed, scores);
        rw_choice *greedy[] = {choice_of(0, 0, 1), choice_of(1, 1, 1), choice_of(1, 0, 0),
                               choice_of(1, 0, 1e-12), choice_of(1e-3, 0, 0.5)};
        rw_choice *all[] = {choice_of(1, 0, 1), choice_of(1, VOCAB, 1), choice_of(1, 0, 2)};
        for (int i = 0; i < 50; i++) {
            double u = i / 50.0;
            for (int c = 0; c < 4; c++)
                assert_int_equal(rw_choice_take(greedy[c], scores, u), likeliest(scores));
            int token = rw_choice_take(all[0], scores, u);
            assert_int_equal(rw_choice_take(all[1], scores, u), token);
            assert_int_equal(rw_choice_take(all[2], scores, u), token);
        }
        for (int c = 0; c < 5; c++) rw_choice_destroy(&greedy[c]);
        for (int c = 0; c < 3; c++) rw_choice_destroy(&all[c]);
    }
}

static void scores_that_are_not_finite_are_told(void **state)
{
    (void)state;
    real scores[VOCAB];
    rw_choice *choices[] = {choice_of(0, 0, 1), choice_of(1, 3, 0.5)};
    for (int c = 0; c < 2; c++) {
        for (int v = 0; v < VOCAB; v++) {
            make_scores(2, scores);
            scores[v] = v % 2 ? (real)NAN : (real)INFINITY;
            assert_int_equal(rw_choice_take(choices[c], scores, 0.5), -1);
        }
        rw_choice_destroy(&choices[c]);
    }
}

/* ---- Prompts ---------------------------------------------------------------------- */

static const rw_checkpoint_tokens bytes = {.kind = "bytes", .alphabet = "", .vocab = 256},
                                  letters = {.kind = "letters", .alphabet = "ACGTN", .vocab = 5},
                                  ids = {.kind = "ids", .alphabet = "", .vocab = 9};

static void expect_prompt(const rw_checkpoint_tokens *tokens, const char *text, size_t size,
                          const int32_t *wanted, long count, bool folded)
{
    rw_prompt prompt;
    assert_int_equal(rw_prompt_read(tokens, text, size, &prompt), RW_OK);
    assert_int_equal(prompt.count, count);
    assert_int_equal(prompt.folded, folded);
    for (long i = 0; i < count; i++) assert_int_equal(prompt.tokens[i], wanted[i]);
    rw_prompt_free(&prompt);
}

static void prompts_become_tokens(void **state)
{
    (void)state;
    static const int32_t any[] = {'a', 0, 255, '\n'}, line_end[] = {'\n'}, first[] = {0},
                         gattan[] = {2, 0, 3, 3, 0, 4};
    expect_prompt(&bytes, "a\0\377\n", 4, any, 4, false);
    expect_prompt(&bytes, NULL, 0, line_end, 1, false);
    expect_prompt(&letters, NULL, 0, first, 1, false);
    expect_prompt(&letters, "GATTAN", 6, gattan, 6, false);
    expect_prompt(&letters, "GaTTan", 6, gattan, 6, true);
    expect_prompt(&letters, ">name X\r\nGATT\r\n;Z\nA N\n", 22, gattan, 6, false);
}

static void expect_refusal(const rw_checkpoint_tokens *tokens, const char *text, const char *says)
{
    rw_prompt prompt;
    assert_int_equal(rw_prompt_read(tokens, text, strlen(text), &prompt), RW_USAGE);
    if (!strstr(rw_message(), says)) fail_msg("'%s' does not say '%s'", rw_message(), says);
    rw_clear_message();
    rw_prompt_free(&prompt);
}

static void prompts_that_do_not_fit(void **state)
{
    (void)state;
    expect_refusal(&bytes, "", "the prompt is empty");
    expect_refusal(&letters, "", "at least one letter");
    expect_refusal(&letters, ">a header alone", "at least one letter");
    expect_refusal(&letters, "ACUG", "'U' at position 3");
    expect_refusal(&letters, "A\x01", "\\x01 at position 2");
    expect_refusal(&letters, "ACE", "ACGTN");
    expect_refusal(&ids, "a", "ids of a task");
}

/* ---- Terminals -------------------------------------------------------------------- */

static void expect_shown(const char *text, size_t size, bool escape, const char *wanted)
{
    char *shown = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&shown, &length);
    rw_terminal_text filter;
    rw_terminal_text_begin(&filter, out, escape);
    for (size_t i = 0; i < size; i++) rw_terminal_text_put(&filter, (unsigned char)text[i]);
    rw_terminal_text_end(&filter);
    fclose(out);
    assert_int_equal(length, strlen(wanted));
    assert_memory_equal(shown, wanted, length);
    free(shown);
}

static void terminals_get_no_harm(void **state)
{
    (void)state;
    static const struct {
        const char *text, *wanted;
    } cases[] = {
        {"a line\n\tand a tab\n", "a line\n\tand a tab\n"},
        {"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"},
        {"\x1b[31m\a\r\b\x7f", "\\x1b[31m\\x07\\x0d\\x08\\x7f"},
        {"\xc2\x9b"
         "31m",
         "\\xc2\\x9b31m"},                                     /* a control character as UTF-8 */
        {"\xff\x80z", "\\xff\\x80z"},                          /* no beginning */
        {"\xe2\x82z", "\\xe2\\x82z"},                          /* cut off */
        {"\xe2\x82", "\\xe2\\x82"},                            /* at the end too */
        {"\xe2\xc3\xa9", "\\xe2\xc3\xa9"},                     /* by another character */
        {"\xc0\xaf\xe0\x80\xaf", "\\xc0\\xaf\\xe0\\x80\\xaf"}, /* overlong */
        {"\xed\xa0\x80", "\\xed\\xa0\\x80"},                   /* half a surrogate pair */
        {"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"},          /* above U+10FFFF */
        {"a\xe2\x80\xae"
         "b",
         "a\\xe2\\x80\\xae"
         "b"}, /* from right to left */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t size = strlen(cases[i].text);
        expect_shown(cases[i].text, size, true, cases[i].wanted);
        expect_shown(cases[i].text, size, false, cases[i].text);
    }
    expect_shown("\0", 1, true, "\\x00");
}

/* A character appears as soon as its last byte is there. */
static void characters_are_shown_at_once(void **state)
{
    (void)state;
    char *shown = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&shown, &length);
    rw_terminal_text filter;
    rw_terminal_text_begin(&filter, out, true);
    static const char text[] = "a\xe2\x82\xac";
    static const size_t after[] = {1, 1, 1, 4};
    for (int i = 0; i < 4; i++) {
        rw_terminal_text_put(&filter, (unsigned char)text[i]);
        fflush(out);
        assert_int_equal(length, after[i]);
    }
    fclose(out);
    free(shown);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(choices_have_their_probabilities),
        cmocka_unit_test(top_k_keeps_k),
        cmocka_unit_test(top_p_after_top_k),
        cmocka_unit_test(limits_of_choice),
        cmocka_unit_test(scores_that_are_not_finite_are_told),
        cmocka_unit_test(prompts_become_tokens),
        cmocka_unit_test(prompts_that_do_not_fit),
        cmocka_unit_test(terminals_get_no_harm),
        cmocka_unit_test(characters_are_shown_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
