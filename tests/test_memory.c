/* Allocation: more than the machine or the job has is refused, with a message. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/machine_memory.h"
#include "base/memory.h"

enum { MIB = 1 << 20 };

static void more_than_there_is_is_refused(void **state)
{
    void *first = NULL, *second = NULL;
    (void)state;
    size_t before = rw_memory_in_use();
    rw_clear_message();
    rw_memory_set_limit(before + 10 * MIB);
    assert_int_equal(rw_alloc(6 * MIB, 1, "a test", &first), RW_OK);
    assert_int_equal(rw_alloc(5 * MIB, 1, "a test", &second), RW_ERROR);
    assert_null(second);
    assert_non_null(strstr(rw_message(),
                           "a test needs 5.0 MiB more (6.0 MiB in use, the machine or "
                           "job has 10.0 MiB)"));
    rw_clear_message();
    assert_int_equal(rw_alloc(4 * MIB, 1, "a test", &second), RW_OK);
    rw_memory_set_limit(MIB); /* below what is in use */
    rw_free(&second);
    assert_int_equal(rw_alloc(1, 1, "a test", &second), RW_ERROR);
    rw_clear_message();
    rw_free(&first);
    rw_memory_set_limit(0);
    assert_int_equal(rw_memory_in_use(), before);
    assert_true(rw_memory_limit() == rw_machine_memory());
    assert_int_equal(rw_alloc(rw_memory_limit(), 2, "too much", &first), RW_ERROR);
    assert_int_equal(rw_alloc(SIZE_MAX / 2, 4, "too much", &first), RW_ERROR);
    rw_clear_message();
}

/* ---- What the machine has, from files like those of the kernel ---------------------- */

static char root[256];

static const char *in_root(const char *name)
{
    static char paths[4][400];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", root, name);
    return path;
}

static void put(const char *name, const char *text)
{
    FILE *file = fopen(in_root(name), "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static int make_root(void **state)
{
    static const char *const folders[] = {"fs", "fs/job", "fs/job/step", "fs/memory",
                                          "fs/memory/job"};
    const char *above = getenv("TMPDIR");
    (void)state;
    snprintf(root, sizeof root, "%.200s/ropewalk-memory-XXXXXX", above ? above : "/tmp");
    if (!mkdtemp(root)) return -1;
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) mkdir(in_root(folders[i]), 0777);
    put("meminfo", "MemTotal:       1000 kB\nMemFree: 5 kB\nSwapTotal:  24 kB\n");
    return 0;
}

static int remove_root(void **state)
{
    char command[300];
    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    return system(command);
}

static size_t read_with(const char *membership)
{
    put("cgroup", membership);
    return rw_machine_memory_in(in_root("meminfo"), in_root("cgroup"), in_root("fs"));
}

static void the_machine_has_memory_and_swap(void **state)
{
    (void)state;
    assert_int_equal(read_with("0::/\n"), 1024 * 1024);
    assert_int_equal(read_with(""), 1024 * 1024);
    assert_int_equal(read_with("nonsense\n"), 1024 * 1024);
    assert_int_equal(rw_machine_memory_in(in_root("none"), in_root("none"), in_root("none")),
                     SIZE_MAX);
    assert_true(rw_machine_memory() > 64 * MIB);
}

/* Version 2: the tightest group around the process; swap as far as there is any. */
static void groups_limit_the_memory(void **state)
{
    (void)state;
    put("fs/job/step/memory.max", "max\n");
    put("fs/job/memory.max", "500000\n");
    assert_int_equal(read_with("0::/job/step\n"), 500000 + 24 * 1024);
    put("fs/job/memory.swap.max", "1000\n");
    assert_int_equal(read_with("0::/job/step\n"), 501000);
    put("fs/job/memory.swap.max", "0\n");
    put("fs/job/step/memory.max", "600000\n");
    assert_int_equal(read_with("0::/job/step\n"), 500000);
    put("fs/memory.max", "400000\n");
    assert_int_equal(read_with("0::/job/step\n"), 400000 + 24 * 1024);
    assert_int_equal(read_with("0::/../outside\n"), 400000 + 24 * 1024);
}

/* Version 1; a group that is not seen in this container: that of the container counts. */
static void groups_of_version_1_limit_the_memory(void **state)
{
    (void)state;
    put("fs/memory/job/memory.limit_in_bytes", "9223372036854771712\n");
    put("fs/memory/memory.limit_in_bytes", "9223372036854771712\n");
    assert_int_equal(read_with("4:cpu:/x\n3:memory:/job\n"), 1024 * 1024);
    put("fs/memory/job/memory.limit_in_bytes", "300000\n");
    assert_int_equal(read_with("4:cpu:/x\n3:memory:/job\n"), 300000);
    put("fs/memory/job/memory.memsw.limit_in_bytes", "310000\n");
    assert_int_equal(read_with("3:memory:/job\n"), 310000);
    put("fs/memory/memory.limit_in_bytes", "200000\n");
    assert_int_equal(read_with("3:memory:/docker/abc\n"), 200000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(more_than_there_is_is_refused),
        cmocka_unit_test_setup_teardown(the_machine_has_memory_and_swap, make_root, remove_root),
        cmocka_unit_test_setup_teardown(groups_limit_the_memory, make_root, remove_root),
        cmocka_unit_test_setup_teardown(groups_of_version_1_limit_the_memory, make_root,
                                        remove_root),
    };
    return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
