/* Sums over ranges of leaves on the canonical tree, whichever way the leaves come. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "mpi/fold.h"

enum { LEAVES = 33, TEXT = 400, SLOTS = 8 };

/* Values are formulas: "(3 4)" is 3 combined with 4. */
typedef struct {
    char slot[SLOTS][TEXT];
    int used; /* slots that were ever used */
} formulas;

static void combine(void *context, int left, int right, int out)
{
    formulas *f = context;
    char both[2 * TEXT + 4];
    assert_true(out == left || out == right);
    snprintf(both, sizeof both, "(%s %s)", f->slot[left], f->slot[right]);
    assert_true(strlen(both) < TEXT);
    strcpy(f->slot[out], both);
}

static void push(rw_fold *fold, formulas *f, long leaf)
{
    if (fold->depth >= f->used) f->used = fold->depth + 1;
    assert_true(f->used <= SLOTS);
    snprintf(f->slot[fold->depth], TEXT, "%ld", leaf);
    rw_fold_push(fold, leaf, combine, f);
}

/* Node (level, index) of the tree, as it is defined: leaves that do not exist are
 * the identity, which combinations leave out. */
static void define(int level, long index, long begin, long end, char *out)
{
    char left[TEXT], right[TEXT];
    *out = 0;
    if (index << level >= end || (index + 1) << level <= begin) return;
    if (level == 0) {
        snprintf(out, TEXT, "%ld", index);
        return;
    }
    define(level - 1, 2 * index, begin, end, left);
    define(level - 1, 2 * index + 1, begin, end, right);
    if (*left && *right) {
        char both[2 * TEXT + 4];
        snprintf(both, sizeof both, "(%s %s)", left, right);
        assert_true(strlen(both) < TEXT);
        strcpy(out, both);
    } else {
        strcpy(out, *left ? left : right);
    }
}

static void check(long begin, long end, bool upward)
{
    formulas f = {.used = 0};
    char wanted[TEXT];
    rw_fold fold;
    define(6, 0, begin, end, wanted);
    rw_fold_start(&fold, begin, end);
    for (long n = 0; n < end - begin; n++) push(&fold, &f, upward ? begin + n : end - 1 - n);
    assert_int_equal(fold.depth, 1);
    assert_string_equal(f.slot[0], wanted);
    assert_true(f.used <= rw_fold_slots(LEAVES));
}

static void test_both_ways(void **unused)
{
    (void)unused;
    for (long begin = 0; begin < LEAVES; begin++)
        for (long end = begin + 1; end <= LEAVES; end++) {
            check(begin, end, true);
            check(begin, end, false);
        }
}

static void test_slots(void **unused)
{
    (void)unused;
    assert_int_equal(rw_fold_slots(1), 1);
    assert_int_equal(rw_fold_slots(2), 2);
    assert_int_equal(rw_fold_slots(8), 4);
    assert_int_equal(rw_fold_slots(9), 5);
    assert_true(rw_fold_slots(1L << 40) <= RW_FOLD_DEPTH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_ways),
        cmocka_unit_test(test_slots),
    };
    return cmocka_run_group_tests_name("fold", tests, NULL, NULL);
}
