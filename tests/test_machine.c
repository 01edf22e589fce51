/* What the program finds out about the machine it runs on: quotas of control groups,
 * subnormal numbers, products of BLAS, threads that OpenMP really gives. */
#include <omp.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cpu_quota.h"
#include "base/float_mode.h"
#include "kernels/gemm.h"
#include "kernels/gemm_check.h"
#include "mpi/layout.h"

/* ---- Quotas ----------------------------------------------------------------- */

static char top[] = "/tmp/ropewalk-groups.XXXXXX";

static void write_file(const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", top, name);
    for (char *slash = path + strlen(top) + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        mkdir(path, 0777);
        *slash = '/';
    }
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

static double quota_of(const char *membership, char group[RW_CPU_GROUP_SIZE])
{
    char file[256];
    write_file("membership", membership);
    snprintf(file, sizeof file, "%s/membership", top);
    return rw_cpu_quota_in(file, top, group);
}

static void test_quotas(void **unused)
{
    char group[RW_CPU_GROUP_SIZE];
    (void)unused;
    assert_non_null(mkdtemp(top));
    write_file("cpu.max", "max 100000\n");
    write_file("job/cpu.max", "150000 100000\n");
    write_file("job/step/cpu.max", "max 100000\n");
    assert_true(quota_of("0::/job/step\n", group) == 1.5);
    assert_string_equal(group + strlen(group) - 4, "/job");
    assert_true(quota_of("0::/elsewhere\n", group) == 0);
    assert_string_equal(group, "");
    /* The smallest of several levels counts. */
    write_file("job/step/cpu.max", "50000 100000\n");
    assert_true(quota_of("0::/job/step\n", group) == 0.5);
    /* Version 1: two files, -1 for no quota; other controllers do not matter. */
    write_file("cpu,cpuacct/box/cpu.cfs_quota_us", "300000\n");
    write_file("cpu,cpuacct/box/cpu.cfs_period_us", "100000\n");
    write_file("cpu,cpuacct/cpu.cfs_quota_us", "-1\n");
    write_file("cpu,cpuacct/cpu.cfs_period_us", "100000\n");
    assert_true(quota_of("5:memory:/job\n4:cpu,cpuacct:/box\n", group) == 3);
    assert_true(quota_of("4:cpu,cpuacct:/\n", group) == 0);
    /* Nonsense and absence are no quota. */
    write_file("job/cpu.max", "many 100000\n");
    write_file("job/step/cpu.max", "100000 0\n");
    assert_true(quota_of("0::/job/step\n", group) == 0);
    assert_true(quota_of("", group) == 0);
    assert_true(rw_cpu_quota_in("/nonexistent", top, group) == 0);
    char command[256];
    snprintf(command, sizeof command, "rm -r '%s'", top);
    assert_int_equal(system(command), 0);
}

/* ---- Subnormal numbers -------------------------------------------------------- */

enum { COUNT = 64 };

static uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* The bits of a subnormal number times one, by way of vectors and of a single number, and
 * of products by BLAS: 0 where the thread flushes. */
static uint32_t what_is_left(void)
{
    volatile float one = 1;
    float from[COUNT], to[COUNT];
    real a[COUNT], b[COUNT], c[1];
    uint32_t tiny = 0x00012345, left = 0;
    for (int i = 0; i < COUNT; i++) memcpy(&from[i], &tiny, sizeof tiny);
    for (int i = 0; i < COUNT; i++) to[i] = from[i] * one;
    for (int i = 0; i < COUNT; i++) left |= bits_of(to[i]);
    for (int i = 0; i < COUNT; i++) a[i] = (real)1e-25, b[i] = (real)1e-18; /* a b: 1e-43 */
    rw_gemm(false, false, 1, 1, COUNT, 1, a, COUNT, b, 1, 0, c, 1);
    if (sizeof(real) == sizeof(float)) left |= bits_of((float)c[0]);
    return left;
}

static void *in_thread(void *out)
{
    *(uint32_t *)out = what_is_left();
    return NULL;
}

/* The threads of a layout, threads of a pool that is made later, and other threads. */
static void test_every_thread_flushes(void **unused)
{
    rw_layout layout;
    pthread_t thread;
    uint32_t left = 0, other = 1;
    (void)unused;
    rw_float_mode_keep();
    assert_false(rw_float_mode_flushes());
    assert_true(what_is_left() != 0);
    assert_int_equal(rw_layout_alone(2, &layout), RW_OK);
    assert_true(rw_float_mode_flushes());
#pragma omp parallel num_threads(2) reduction(| : left)
    left |= what_is_left();
    assert_int_equal(left, 0);
#pragma omp parallel num_threads(7) reduction(| : left)
    left |= what_is_left();
    assert_int_equal(left, 0);
    assert_int_equal(pthread_create(&thread, NULL, in_thread, &other), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(other, 0);
    rw_layout_free(&layout);
}

/* ---- Threads -------------------------------------------------------------------- */

/* A layout has as many threads as parallel regions really get. */
static void test_threads_are_real(void **unused)
{
    rw_layout layout;
    (void)unused;
    for (int wanted = 1; wanted <= 5; wanted += 2) {
        int real_threads = 0;
        assert_int_equal(rw_layout_alone(wanted, &layout), RW_OK);
        assert_int_equal(layout.wanted_threads, wanted);
#pragma omp parallel
#pragma omp single
        real_threads = omp_get_num_threads();
        assert_int_equal(layout.threads, real_threads);
        rw_layout_free(&layout);
    }
    omp_set_max_active_levels(0); /* what OMP_MAX_ACTIVE_LEVELS=0 does */
    assert_int_equal(rw_layout_alone(4, &layout), RW_OK);
    assert_int_equal(layout.threads, 1);
    assert_int_equal(layout.most_threads, 1);
    assert_int_equal(layout.wanted_threads, 4);
    rw_layout_free(&layout);
    omp_set_max_active_levels(1);
    omp_set_dynamic(1); /* OMP_DYNAMIC=true: the layout switches it off */
    assert_int_equal(rw_layout_alone(3, &layout), RW_OK);
    assert_int_equal(layout.threads, 3);
    rw_layout_free(&layout);
}

static void test_products_are_right(void **unused)
{
    (void)unused;
    assert_true(rw_gemm_is_right());
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quotas),
        cmocka_unit_test(test_every_thread_flushes),
        cmocka_unit_test(test_threads_are_real),
        cmocka_unit_test(test_products_are_right),
    };
    MPI_Init(&argc, &argv);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    MPI_Finalize();
    return failed;
}
