/* Random numbers: Philox4x32-10 by the known answers of its authors (Random123,
 * tests/kat_vectors); several values at once are those that one call each gives. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/random.h"

static void test_known_answers(void **unused)
{
    const rw_random zeros = {{0, 0}, {0, 0}};
    const rw_random ones = {{UINT32_MAX, UINT32_MAX}, {UINT32_MAX, UINT32_MAX}};
    const rw_random pi = {{0xa4093822, 0x299f31d0}, {0x13198a2e, 0x03707344}};
    (void)unused;
    assert_int_equal(rw_random_bits(zeros, 0), 0xe169c58d6627e8d5);
    assert_int_equal(rw_random_bits(ones, UINT64_MAX), 0x41c83b0e408f276d);
    assert_int_equal(rw_random_bits(pi, 0x85a308d3243f6a88), 0x94fdccebd16cfe09);
}

/* Around places where a half of the index wraps round. */
static void test_runs(void **unused)
{
    enum { MOST = 70 };
    const uint64_t first[] = {0, 5, UINT32_MAX - 9, (uint64_t)1 << 44, UINT64_MAX - 20};
    const rw_random stream = rw_random_stream(11, RW_RANDOM_TEST, (uint64_t)7 << 40);
    (void)unused;
    for (size_t k = 0; k < sizeof first / sizeof *first; k++)
        for (int n = 0; n < MOST; n++) {
            uint64_t got[MOST + 1];
            got[n] = 42;
            rw_random_bits_run(stream, first[k], n, got);
            for (int i = 0; i < n; i++)
                assert_int_equal(got[i], rw_random_bits(stream, first[k] + (uint64_t)i));
            assert_int_equal(got[n], 42);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_answers),
        cmocka_unit_test(test_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
