/* Saves that meet faults: failing system calls, full disks, failing
 * allocations, the sudden end of the process. Whatever happens, the older
 * checkpoint is there to go on from, and nothing half-written looks like one. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* unshare */
#endif
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <mpi.h>

#include "base/memory.h"
#include "checkpoints/checkpoint_format.h"
#include "checkpoints/checkpoint_reader.h"
#include "storage/durable_file.h"
#include "tests/checkpoint_fixture.h"

/* --- faults of system calls: the n-th call of all fails --- */

static rw_file_calls real_calls;
static long calls_left; /* until the fault; it strikes once, when it comes to 0 */
static int fault_error;
static bool fault_lasts; /* strikes from then on */
static bool fault_exits; /* is the end of the process */

static bool strikes(void)
{
    calls_left--;
    if (calls_left > 0 || (calls_left < 0 && !fault_lasts)) return false;
    if (fault_exits) _exit(42);
    errno = fault_error;
    return true;
}

static int faulty_open(const char *path, int flags, mode_t mode)
{
    return strikes() ? -1 : real_calls.open(path, flags, mode);
}

static ssize_t faulty_read(int file, void *buffer, size_t bytes)
{
    return strikes() ? -1 : real_calls.read(file, buffer, bytes);
}

static ssize_t faulty_write(int file, const void *buffer, size_t bytes)
{
    return strikes() ? -1 : real_calls.write(file, buffer, bytes);
}

static int faulty_fsync(int file)
{
    return strikes() ? -1 : real_calls.fsync(file);
}

/* Also a failing close gives the descriptor back. */
static int faulty_close(int file)
{
    bool fails = strikes();
    int error = errno, result = real_calls.close(file);
    errno = error;
    return fails ? -1 : result;
}

static int faulty_rename(const char *from, const char *to)
{
    return strikes() ? -1 : real_calls.rename(from, to);
}

static int faulty_exchange(const char *one, const char *other)
{
    return strikes() ? -1 : real_calls.exchange(one, other);
}

static int faulty_unlink(const char *path)
{
    return strikes() ? -1 : real_calls.unlink(path);
}
static int faulty_rmdir(const char *path)
{
    return strikes() ? -1 : real_calls.rmdir(path);
}

static int faulty_mkdir(const char *path, mode_t mode)
{
    return strikes() ? -1 : real_calls.mkdir(path, mode);
}

static int faulty_unlink_in(int folder, const char *name)
{
    return strikes() ? -1 : real_calls.unlink_in(folder, name);
}

static void arm(long n, int error, bool lasts)
{
    real_calls = rw_file_call;
    calls_left = n;
    fault_error = error;
    fault_lasts = lasts;
    rw_file_call = (rw_file_calls){faulty_open,  faulty_read,   faulty_write,    faulty_fsync,
                                   faulty_close, faulty_rename, faulty_exchange, faulty_unlink,
                                   faulty_rmdir, faulty_mkdir,  faulty_unlink_in};
}

/* Did the fault strike? */
static bool disarm(void)
{
    rw_file_call = real_calls;
    return calls_left <= 0;
}

/* Saves step 2 beside step 1 with a fault at the n-th call, and expects that
 * one of the two can be loaded whole. Returns whether the fault struck. */
static bool save_with_fault(state *s, long n, int error, bool lasts)
{
    state_fill(s, 2);
    arm(n, error, lasts);
    rw_status status =
        rw_checkpoint_save(&s->layout, s->dir, &s->meta, s->tensors, STATE_TENSORS, 2);
    bool struck = disarm();
    if (status != RW_OK) assert_string_not_equal(rw_message(), "");
    if (status == RW_OK) assert_string_equal(rw_message(), "");
    rw_clear_message();
    state_expect(s, join(s->dir, "step-00000001"), 1);
    if (folder_count(s->dir, "step-00000002") > folder_count(s->dir, "step-00000002."))
        state_expect(s, join(s->dir, "step-00000002"), 2);
    else
        assert_int_not_equal(status, RW_OK);
    return struck;
}

static void a_fault_at_any_call_harms_nothing(void **in)
{
    static const struct {
        int error;
        bool lasts;
    } faults[] = {{ENOSPC, true}, {EIO, false}, {EDQUOT, false}};
    state *s = *in;
    for (int f = 0; f < 3; f++) {
        long n = 1;
        state_save(s, 1, 2);
        while (save_with_fault(s, n, faults[f].error, faults[f].lasts)) n++;
        assert_true(n > 30);
        state_save(s, 2, 2);
        assert_int_equal(folder_count(s->dir, ".tmp."), 0);
        state_expect_newest(s, 2);
    }
}

/* Replacing a step, where two names can be swapped at once and where not. */
static int no_exchange(const char *one, const char *other)
{
    (void)one, (void)other;
    errno = EINVAL;
    return -1;
}

static void a_fault_while_replacing_harms_nothing(void **in)
{
    state *s = *in;
    rw_file_calls usual = rw_file_call;
    for (int swaps = 0; swaps < 2; swaps++) {
        bool struck = true;
        state_save(s, 2, 2);
        if (!swaps) rw_file_call.exchange = no_exchange;
        for (long n = 1; struck; n++) {
            state_fill(s, 2);
            arm(n, EIO, false);
            (void)rw_checkpoint_save(&s->layout, s->dir, &s->meta, s->tensors, STATE_TENSORS, 2);
            struck = disarm();
            rw_clear_message();
            state_expect_newest(s, 2);
        }
        rw_file_call = usual;
        state_save(s, 2, 2);
        assert_int_equal(folder_count(s->dir, "step-"), 1);
    }
}

static void the_end_at_any_call_harms_nothing(void **in)
{
    state *s = *in;
    state_save(s, 1, 2);
    int ended = 42;
    for (long n = 1; ended == 42; n++) {
        fflush(NULL);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            state_fill(s, 2);
            fault_exits = true;
            arm(n, 0, false);
            _exit(rw_checkpoint_write(s->dir, &s->meta, s->tensors, STATE_TENSORS, 2) != RW_OK);
        }
        int how;
        assert_int_equal(waitpid(child, &how, 0), child);
        assert_true(WIFEXITED(how));
        ended = WEXITSTATUS(how);
        state_expect(s, join(s->dir, "step-00000001"), 1);
        state_expect_newest(
            s,
            folder_count(s->dir, "step-00000002") > folder_count(s->dir, "step-00000002.") ? 2 : 1);
    }
    assert_int_equal(ended, 0);
    state_save(s, 3, 3);
    assert_int_equal(folder_count(s->dir, ".tmp."), 0);
}

static ssize_t interrupted_read(int file, void *buffer, size_t bytes)
{
    static int turn;
    errno = EINTR;
    return turn++ % 2 ? -1 : read(file, buffer, bytes > 100 ? 100 : bytes);
}

static ssize_t interrupted_write(int file, const void *buffer, size_t bytes)
{
    static int turn;
    errno = EINTR;
    return turn++ % 2 ? -1 : write(file, buffer, bytes > 100 ? 100 : bytes);
}

static int interrupted_fsync(int file)
{
    static int turn;
    errno = EINTR;
    return turn++ % 2 ? fsync(file) : -1;
}

static void interrupted_and_short_calls_go_on(void **in)
{
    state *s = *in;
    rw_file_calls usual = rw_file_call;
    rw_file_call.read = interrupted_read;
    rw_file_call.write = interrupted_write;
    rw_file_call.fsync = interrupted_fsync;
    state_save(s, 1, 2);
    state_expect_newest(s, 1);
    rw_file_call = usual;
    state_expect_newest(s, 1);
}

/* What the device holds is not what was written: found before the commit. */
static ssize_t wrong_write(int file, const void *buffer, size_t bytes)
{
    unsigned char *copy = malloc(bytes);
    memcpy(copy, buffer, bytes);
    copy[bytes / 2] ^= 4;
    ssize_t written = write(file, copy, bytes);
    free(copy);
    return written;
}

static void a_lying_device_is_found_out(void **in)
{
    state *s = *in;
    state_save(s, 1, 2);
    state_fill(s, 2);
    rw_file_calls usual = rw_file_call;
    rw_file_call.write = wrong_write;
    rw_status status =
        rw_checkpoint_save(&s->layout, s->dir, &s->meta, s->tensors, STATE_TENSORS, 2);
    rw_file_call = usual;
    expect_failure(status, "is damaged");
    assert_int_equal(folder_count(s->dir, "step-"), 1);
    state_expect_newest(s, 1);
}

/* --- order: nothing gets its final name before it is on the device --- */

static bool unsynced[1024]; /* by descriptor: written since the last fsync */
static int closed_unsynced; /* files closed like that */
static bool folder_synced;  /* the last fsync was of a folder */
static int renames;

static ssize_t watched_write(int file, const void *buffer, size_t bytes)
{
    unsynced[file] = true;
    folder_synced = false;
    return write(file, buffer, bytes);
}

static int watched_fsync(int file)
{
    struct stat about;
    unsynced[file] = false;
    folder_synced = fstat(file, &about) == 0 && S_ISDIR(about.st_mode);
    return 0;
}

static int watched_close(int file)
{
    closed_unsynced += unsynced[file];
    unsynced[file] = false;
    return close(file);
}

static int watched_rename(const char *from, const char *to)
{
    struct stat about;
    assert_int_equal(stat(from, &about), 0);
    assert_int_equal(closed_unsynced, 0);
    if (S_ISDIR(about.st_mode)) assert_true(folder_synced);
    folder_synced = false;
    renames++;
    return rename(from, to);
}

static void names_follow_contents(void **in)
{
    state *s = *in;
    rw_file_calls usual = rw_file_call;
    rw_file_call.write = watched_write;
    rw_file_call.fsync = watched_fsync;
    rw_file_call.close = watched_close;
    rw_file_call.rename = watched_rename;
    for (uint64_t step = 1; step <= 3; step++) {
        renames = 0;
        state_save(s, step, 2);
        assert_int_equal(renames, step == 3 ? 3 : 2); /* step, latest; the one that goes */
        assert_true(folder_synced);
    }
    rw_file_call = usual;
}

/* --- limits of the real file system --- */

static void a_folder_that_cannot_be_written(void **in)
{
    state *s = *in;
    state_fill(s, 1);
    file_put(join(s->root, "file"), "", 0);
    expect_failure(rw_checkpoint_save(&s->layout, join(s->root, "file/checkpoints"), &s->meta,
                                      s->tensors, STATE_TENSORS, 2),
                   "Not a directory");
    expect_failure(
        rw_checkpoint_save(&s->layout, "/proc/checkpoints", &s->meta, s->tensors, STATE_TENSORS, 2),
        "cannot create the folder /proc/checkpoints");
}

static void a_file_size_limit_is_met(void **in)
{
    state *s = *in;
    struct rlimit usual, small;
    state_save(s, 1, 2);
    state_fill(s, 2);
    getrlimit(RLIMIT_FSIZE, &usual);
    small = (struct rlimit){.rlim_cur = 2000, .rlim_max = usual.rlim_max};
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    rw_status status =
        rw_checkpoint_save(&s->layout, s->dir, &s->meta, s->tensors, STATE_TENSORS, 2);
    setrlimit(RLIMIT_FSIZE, &usual);
    signal(SIGXFSZ, handler);
    assert_non_null(strstr(rw_message(), "free some space"));
    expect_failure(status, "data-0.h5: File too large");
    assert_int_equal(folder_count(s->dir, "step-"), 1);
    state_expect_newest(s, 1);
}

/* In a process of its own with a tiny file system that only it sees. Exits
 * with 0 if step 2 met the full disk and left all in order, 77 if there is no
 * right to mount. */
static void fill_disk(state *s)
{
    size_t size = 40000;
    char *ballast = calloc(1, size);
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("tmpfs", s->root, "tmpfs", 0, "size=64k") < 0)
        _exit(77);
    state_fill(s, 1);
    if (rw_checkpoint_write(s->dir, &s->meta, s->tensors, STATE_TENSORS, 2) != RW_OK) _exit(1);
    int file = open(join(s->root, "ballast"), O_WRONLY | O_CREAT, 0666);
    while (write(file, ballast, size) > 0) continue;
    s->meta.step = 2;
    if (rw_checkpoint_write(s->dir, &s->meta, s->tensors, STATE_TENSORS, 2) == RW_OK) _exit(2);
    if (!strstr(rw_message(), "No space left on device")) _exit(3);
    rw_clear_message();
    if (folder_count(s->dir, "step-") != 1) _exit(4);
    bool damaged;
    rw_checkpoint *checkpoint;
    _exit(rw_checkpoint_load(join(s->dir, "step-00000001"), &checkpoint, &damaged) != RW_OK);
}

static void a_full_disk_is_met(void **in)
{
    state *s = *in;
    int how;
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) fill_disk(s);
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_true(WIFEXITED(how));
    if (WEXITSTATUS(how) == 77) skip();
    assert_int_equal(WEXITSTATUS(how), 0);
}

/* --- failing allocations --- */

static void each_failing_allocation_in_a_save(void **in)
{
    state *s = *in;
    state_save(s, 1, 2);
    state_save(s, 2, 2);
    size_t before = rw_memory_allocations();
    state_save(s, 2, 2);
    long allocations = (long)(rw_memory_allocations() - before);
    size_t memory = rw_memory_in_use();
    int64_t objects = hdf5_open_objects();
    for (long n = 1; n <= allocations; n++) {
        state_fill(s, 2);
        rw_memory_fail_after(n);
        rw_status status =
            rw_checkpoint_save(&s->layout, s->dir, &s->meta, s->tensors, STATE_TENSORS, 2);
        rw_memory_fail_after(0);
        if (status != RW_OK) expect_failure(status, "");
        assert_string_equal(rw_message(), "");
        assert_int_equal(rw_memory_in_use(), memory);
        assert_int_equal(hdf5_open_objects(), objects);
        /* A replaced one whose removal failed goes at the next save. */
        assert_int_equal(folder_count(s->dir, "step-") - folder_count(s->dir, ".tmp."), 2);
        state_expect(s, join(s->dir, "step-00000001"), 1);
        state_expect(s, join(s->dir, "step-00000002"), 2);
    }
}

/* Runs one reader of checkpoints; RW_OK if it could do its work. */
static rw_status read_somehow(state *s, int how)
{
    char *path = NULL;
    rw_checkpoint *checkpoint;
    rw_status status;
    FILE *out = fopen("/dev/null", "w");
    switch (how) {
    case 0:
        status = rw_checkpoint_find(&s->layout, s->dir, &path);
        rw_free(&path);
        break;
    case 1:
        status = rw_checkpoint_open(s->dir, &checkpoint);
        if (status == RW_OK) status = rw_checkpoint_read(checkpoint, s->tensors, STATE_TENSORS);
        rw_checkpoint_close(&checkpoint);
        break;
    case 2:
        status = rw_checkpoint_digest(s->dir, out);
        break;
    case 3:
        status = rw_checkpoint_verify(s->dir, out);
        break;
    case 4:
        status = rw_checkpoint_show(s->dir, out);
        break;
    default:
        status = rw_checkpoint_export(s->dir, join(s->root, "weights.h5"), false);
    }
    fclose(out);
    return status;
}

/* Lack of memory is never taken for damage: nothing older is read instead. */
static void each_failing_allocation_in_a_reader(void **in)
{
    state *s = *in;
    state_save(s, 1, 2);
    state_save(s, 2, 2);
    for (int how = 0; how < 6; how++) {
        assert_int_equal(read_somehow(s, how), RW_OK);
        size_t before = rw_memory_allocations(), memory = rw_memory_in_use();
        int64_t objects = hdf5_open_objects();
        assert_int_equal(read_somehow(s, how), RW_OK);
        long allocations = (long)(rw_memory_allocations() - before);
        assert_true(allocations > 3);
        for (long n = 1; n <= allocations; n++) {
            rw_memory_fail_after(n);
            rw_status status = read_somehow(s, how);
            rw_memory_fail_after(0);
            expect_failure(status, "out of memory");
            assert_int_equal(rw_memory_in_use(), memory);
            assert_int_equal(hdf5_open_objects(), objects);
        }
    }
}

/* These tests save hundreds of times, and the machine stays up. */
static int no_fsync(int file)
{
    (void)file;
    return 0;
}

int main(int argc, char **argv)
{
#define CASE(function) cmocka_unit_test_setup_teardown(function, state_setup, state_teardown)
    const struct CMUnitTest tests[] = {
        CASE(a_fault_at_any_call_harms_nothing),
        CASE(a_fault_while_replacing_harms_nothing),
        CASE(the_end_at_any_call_harms_nothing),
        CASE(interrupted_and_short_calls_go_on),
        CASE(a_lying_device_is_found_out),
        CASE(names_follow_contents),
        CASE(a_folder_that_cannot_be_written),
        CASE(a_file_size_limit_is_met),
        CASE(a_full_disk_is_met),
        CASE(each_failing_allocation_in_a_save),
        CASE(each_failing_allocation_in_a_reader),
    };
    rw_file_call.fsync = no_fsync;
    MPI_Init(&argc, &argv);
    int failed = cmocka_run_group_tests_name("checkpoint faults", tests, NULL, NULL);
    MPI_Finalize();
    return failed;
}
