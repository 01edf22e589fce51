/* Files and folders that are changed: locks of one writer, who holds them, what is removed, and
 * that nothing goes through a link or waits for a pipe. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory.h"
#include "base/plain_file.h"
#include "storage/durable_file.h"
#include "storage/lock_holder.h"
#include "storage/writer_lock.h"

static char folder[256];

/* One of four paths in the folder. */
static const char *at(const char *name)
{
    static char paths[4][512];
    static int turn;
    char *path = paths[turn++ % 4];
    snprintf(path, 512, "%s/%s", folder, name);
    return path;
}

static void put(const char *name, const char *text)
{
    FILE *file = fopen(at(name), "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static bool is_there(const char *name)
{
    struct stat about;
    return lstat(at(name), &about) == 0;
}

static void expect_text(const char *name, const char *text)
{
    char found[RW_LOCK_TEXT] = "";
    FILE *file = fopen(at(name), "r");
    assert_non_null(file);
    found[fread(found, 1, sizeof found - 1, file)] = '\0';
    fclose(file);
    assert_string_equal(found, text);
}

static void expect_failure(rw_status status, const char *part)
{
    assert_int_equal(status, RW_ERROR);
    if (!strstr(rw_message(), part)) fail_msg("not '%s' but: %s", part, rw_message());
    rw_clear_message();
}

static int make_folder(void **state)
{
    const char *base = getenv("TMPDIR");
    (void)state;
    snprintf(folder, sizeof folder, "%s/test_storage.XXXXXX", base ? base : "/tmp");
    rw_log_speak(false);
    rw_clear_message();
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    char command[300];
    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

/* ---- Who holds a lock ---------------------------------------------------------------- */

static void a_holder_is_read_as_it_was_written(void **state)
{
    (void)state;
    char text[RW_LOCK_TEXT];
    rw_lock_holder self, read;
    setenv("SLURM_JOB_ID", "77", 1);
    setenv("SLURM_RESTART_COUNT", "2", 1);
    rw_lock_holder_self(&self);
    unsetenv("SLURM_JOB_ID");
    unsetenv("SLURM_RESTART_COUNT");
    rw_lock_holder_print(&self, text);
    assert_true(rw_lock_holder_parse(text, &read));
    assert_string_equal(read.host, self.host);
    assert_string_equal(read.boot, self.boot);
    assert_string_equal(read.space, self.space);
    assert_string_equal(read.job, "/77");
    assert_string_equal(read.id, self.id);
    assert_int_equal(read.process, getpid());
    assert_int_equal(read.attempt, 2);
    assert_true(read.started > 0 && read.started == self.started);
    assert_string_equal(text + strlen(text) - RW_LOCK_BEAT - 1, "0000000000\n");
    assert_non_null(strstr(rw_lock_holder_describe(&read, text, sizeof text), "job 77, attempt 3"));
    assert_false(rw_lock_holder_parse("", &read));
    assert_false(rw_lock_holder_parse("notes: 1\n", &read));
    assert_true(rw_lock_holder_parse("ropewalk lock\nhost: a\033[31mb\nperiod: 1e9\n", &read));
    assert_string_equal(read.host, "a?[31mb");
    assert_true(read.period <= 60);
}

static rw_holder_state judge(const rw_lock_holder *holder, const rw_lock_holder *self)
{
    const char *why;
    rw_holder_state state = rw_lock_holder_judge(holder, self, &why);
    assert_int_equal(state == RW_HOLDER_IS_GONE, why[0] != '\0' && state != RW_HOLDER_LIVES);
    return state;
}

static void a_holder_is_judged(void **state)
{
    (void)state;
    rw_lock_holder self, other;
    rw_lock_holder_self(&self);
    assert_int_equal(judge(&self, &self), RW_HOLDER_LIVES);
    other = self;
    other.started++; /* the number is another process's by now */
    assert_int_equal(judge(&other, &self), RW_HOLDER_IS_GONE);
    other = self;
    other.process = 999999999;
    assert_int_equal(judge(&other, &self), RW_HOLDER_IS_GONE);
    strcpy(other.space, "pid:[1]"); /* numbers of another container */
    assert_int_equal(judge(&other, &self), RW_HOLDER_IS_FAR);
    other = self;
    strcpy(self.host, "node1");
    strcpy(other.host, "node1");
    strcpy(other.boot, "another");
    assert_int_equal(judge(&other, &self), RW_HOLDER_IS_GONE);
    strcpy(self.host, "localhost");
    strcpy(other.host, "localhost");
    assert_int_equal(judge(&other, &self), RW_HOLDER_IS_FAR);
    strcpy(other.host, "node2");
    assert_int_equal(judge(&other, &self), RW_HOLDER_IS_FAR);
    strcpy(self.job, "/5");
    strcpy(other.job, "/5");
    assert_int_equal(judge(&other, &self), RW_HOLDER_IS_FAR);
    self.attempt = 1;
    assert_int_equal(judge(&other, &self), RW_HOLDER_IS_GONE);
    strcpy(other.job, "/6");
    assert_int_equal(judge(&other, &self), RW_HOLDER_IS_FAR);
}

/* ---- Locks ----------------------------------------------------------------------------- */

static rw_status take(rw_writer_lock **lock)
{
    return rw_writer_lock_take(at("lock"), "the run", "choose another", lock);
}

static void one_writer_at_a_time(void **state)
{
    (void)state;
    rw_writer_lock *lock, *second;
    size_t before = rw_memory_in_use();
    assert_int_equal(take(&lock), RW_OK);
    char who[64];
    snprintf(who, sizeof who, "being written by process %ld on host", (long)getpid());
    assert_int_equal(take(&second), RW_ERROR);
    assert_null(second);
    assert_non_null(strstr(rw_message(), "choose another"));
    expect_failure(RW_ERROR, who);
    assert_int_equal(rw_writer_locks_check(), RW_OK);
    assert_false(rw_writer_locks_lost());
    rw_writer_lock_release(&lock);
    assert_false(is_there("lock"));
    assert_int_equal(take(&lock), RW_OK);
    rw_writer_locks_drop();
    assert_false(is_there("lock"));
    rw_writer_lock_release(&lock);
    rw_writer_lock_release(&lock);
    assert_int_equal(rw_memory_in_use(), before);
    expect_failure(rw_writer_lock_take(at("none/lock"), "the run", "", &lock), "cannot create");
    put("lock", "notes\n");
    expect_failure(take(&lock), "no lock of ropewalk");
    expect_text("lock", "notes\n");
    unlink(at("lock"));
    assert_int_equal(mkfifo(at("lock"), 0600), 0);
    expect_failure(take(&lock), "no lock of ropewalk");
}

/* Leaves the lock of a process that has ended, and perhaps nobody has waited for. */
static pid_t leave_lock(void)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        rw_writer_lock *lock;
        _exit(take(&lock) != RW_OK);
    }
    return child;
}

static void the_lock_of_a_dead_process_is_taken_over(void **state)
{
    (void)state;
    rw_writer_lock *lock;
    siginfo_t how;
    pid_t child = leave_lock();
    assert_int_equal(waitid(P_PID, (id_t)child, &how, WEXITED | WNOWAIT), 0); /* a zombie */
    assert_int_equal(how.si_status, 0);
    put("lock.new-0123456789abcdef", ""); /* what dead newcomers left */
    put("lock.after-0123456789abcdef", "");
    put("lock.after-mine", "");
    assert_int_equal(take(&lock), RW_OK);
    assert_false(is_there("lock.new-0123456789abcdef"));
    assert_false(is_there("lock.after-0123456789abcdef"));
    assert_true(is_there("lock.after-mine"));
    rw_writer_lock_release(&lock);
    waitpid(child, NULL, 0);
}

/* Many newcomers find the same stale lock: one gets it. */
static void one_of_many_takes_over(void **state)
{
    enum { NEWCOMERS = 6, ROUNDS = 5 };
    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        pid_t children[NEWCOMERS];
        int go[2], done[2], won = 0;
        waitpid(leave_lock(), NULL, 0);
        assert_true(pipe(go) == 0 && pipe(done) == 0);
        for (int i = 0; i < NEWCOMERS; i++) {
            children[i] = fork();
            assert_true(children[i] >= 0);
            if (children[i]) continue;
            rw_writer_lock *lock;
            char byte;
            close(go[1]);
            bool mine = take(&lock) == RW_OK;
            if (!mine && !strstr(rw_message(), "being written by")) _exit(3);
            if (write(done[1], &byte, 1) != 1) _exit(4);
            /* Holds it until all have tried. */
            if (read(go[0], &byte, 1) != 0) _exit(5);
            if (mine && rw_writer_locks_check() != RW_OK) _exit(6);
            rw_writer_lock_release(&lock);
            _exit(mine ? 0 : 1);
        }
        char bytes[NEWCOMERS];
        for (int got = 0; got < NEWCOMERS; got++) assert_int_equal(read(done[0], bytes, 1), 1);
        close(go[0]), close(go[1]), close(done[0]), close(done[1]);
        for (int i = 0; i < NEWCOMERS; i++) {
            int how;
            assert_int_equal(waitpid(children[i], &how, 0), children[i]);
            assert_true(WIFEXITED(how) && WEXITSTATUS(how) <= 1);
            won += WEXITSTATUS(how) == 0;
        }
        assert_int_equal(won, 1);
        assert_false(is_there("lock"));
    }
}

static void a_lost_lock_is_found_out(void **state)
{
    (void)state;
    rw_writer_lock *lock;
    rw_lock_holder thief;
    char text[RW_LOCK_TEXT];
    assert_int_equal(take(&lock), RW_OK);
    unlink(at("lock")); /* by hand: it is put back */
    assert_int_equal(rw_writer_locks_check(), RW_OK);
    assert_true(is_there("lock"));
    rw_lock_holder_self(&thief);
    strcpy(thief.host, "thief");
    rw_lock_holder_print(&thief, text);
    put("stolen", text);
    assert_int_equal(rename(at("stolen"), at("lock")), 0);
    expect_failure(rw_writer_locks_check(), "taken over by process");
    assert_true(rw_writer_locks_lost());
    expect_failure(rw_writer_locks_check(), "host thief");
    rw_writer_locks_drop();
    rw_writer_lock_release(&lock);
    expect_text("lock", text);
    assert_int_equal(rw_writer_locks_check(), RW_OK);
}

/* The counter of a living holder goes on; a holder elsewhere whose counter stands is gone. */
static void a_living_holder_counts(void **state)
{
    (void)state;
    rw_writer_lock *lock;
    double usual = rw_lock_period;
    const struct timespec rest = {0, 5000000};
    rw_lock_period = 0.02;
    assert_int_equal(take(&lock), RW_OK);
    rw_lock_holder holder = {0};
    while (holder.beat < 3) {
        char *text;
        size_t size;
        assert_int_equal(rw_file_head(at("lock"), RW_LOCK_TEXT, &text, &size), RW_OK);
        assert_true(rw_lock_holder_parse(text, &holder));
        rw_free(&text);
        nanosleep(&rest, NULL);
    }
    rw_writer_lock_release(&lock);
    char text[RW_LOCK_TEXT];
    strcpy(holder.host, "elsewhere");
    strcpy(holder.boot, "other");
    rw_lock_holder_print(&holder, text);
    put("lock", text);
    assert_int_equal(take(&lock), RW_OK);
    rw_writer_lock_release(&lock);
    rw_lock_period = usual;
}

/* ---- What is removed --------------------------------------------------------------------- */

static void links_are_removed_themselves(void **state)
{
    (void)state;
    mkdir(at("outside"), 0700);
    put("outside/precious", "1");
    mkdir(at("going"), 0700);
    put("going/file", "1");
    assert_int_equal(symlink(at("outside/precious"), at("going/to_file")), 0);
    assert_int_equal(symlink(at("outside"), at("going/to_folder")), 0);
    assert_int_equal(mkfifo(at("going/pipe"), 0600), 0);
    assert_int_equal(rw_folder_remove(at("going")), RW_OK);
    assert_false(is_there("going"));
    assert_int_equal(symlink(at("outside"), at("going")), 0);
    assert_int_equal(rw_folder_remove(at("going")), RW_OK);
    assert_false(is_there("going"));
    assert_int_equal(symlink("nowhere", at("going")), 0);
    assert_int_equal(rw_folder_remove(at("going")), RW_OK);
    assert_false(is_there("going"));
    expect_text("outside/precious", "1");
    assert_int_equal(rw_folder_remove(at("going")), RW_OK);
    mkdir(at("going"), 0700);
    mkdir(at("going/inner"), 0700);
    expect_failure(rw_folder_remove(at("going")), "going/inner");
    expect_failure(rw_folder_remove(at("outside/precious")), "outside/precious");
    expect_text("outside/precious", "1");
}

static void only_the_dead_leave_temporaries(void **state)
{
    (void)state;
    char alive[64];
    snprintf(alive, sizeof alive, "a.h5.tmp.%ld", (long)getpid());
    const char *const stay[] = {
        alive, "a.h5.tmp.", "a.h5.tmp.9x", "b.h5.tmp.999999999", "a.h5.tmp.0999", "a.h5.tmp.note"};
    for (size_t i = 0; i < sizeof stay / sizeof *stay; i++) put(stay[i], "");
    put("a.h5.tmp.999999999", "");
    mkdir(at("a.h5.tmp.999999998"), 0700);
    assert_int_equal(symlink("b", at("a.h5.tmp.999999997")), 0);
    rw_temporaries_clean(at("a.h5"));
    assert_false(is_there("a.h5.tmp.999999999"));
    assert_true(is_there("a.h5.tmp.999999998"));
    assert_true(is_there("a.h5.tmp.999999997"));
    for (size_t i = 0; i < sizeof stay / sizeof *stay; i++) assert_true(is_there(stay[i]));
}

/* ---- Links and pipes in the place of files ------------------------------------------------- */

static void nothing_is_written_through_a_link(void **state)
{
    (void)state;
    char *temporary;
    rw_draft draft;
    put("precious", "1");
    assert_int_equal(rw_path_temporary(at("a"), &temporary), RW_OK);
    assert_int_equal(symlink(at("precious"), temporary), 0);
    assert_int_equal(rw_file_replace(at("a"), "2", 1), RW_OK);
    expect_text("precious", "1");
    expect_text("a", "2");
    assert_int_equal(symlink(at("precious"), temporary), 0);
    assert_int_equal(rw_draft_begin(at("a"), &draft), RW_OK);
    fputs("3", draft.stream);
    assert_int_equal(rw_draft_end(RW_OK, &draft), RW_OK);
    expect_text("precious", "1");
    expect_text("a", "3");
    rw_free(&temporary);
    assert_int_equal(symlink(at("precious"), at("link")), 0);
    expect_failure(rw_file_write(at("link"), "4", 1), "link");
    expect_failure(rw_log_open(at("link"), ""), "it is a link");
    expect_text("precious", "1");
}

static void nobody_waits_for_a_pipe(void **state)
{
    (void)state;
    unsigned char *bytes;
    char *head;
    size_t size;
    bool damaged;
    const char *why;
    assert_int_equal(mkfifo(at("pipe"), 0600), 0);
    expect_failure(rw_file_read(at("pipe"), 100, &bytes, &size, &damaged), "pipe");
    assert_true(damaged);
    assert_int_equal(rw_file_head(at("pipe"), 100, &head, &size), RW_OK);
    assert_null(head);
    expect_failure(rw_log_open(at("pipe"), ""), "pipe");
    assert_null(rw_plain_open(at("pipe"), &why));
    assert_int_equal(errno, EINVAL);
    assert_non_null(strstr(why, "it is a pipe"));
    assert_null(rw_plain_open(folder, &why));
    assert_non_null(strstr(why, "it is a folder"));
    assert_null(rw_plain_open("/dev/null", &why));
    assert_non_null(strstr(why, "it is a device"));
    assert_null(rw_plain_open(at("none"), &why));
    assert_int_equal(errno, ENOENT);
    /* One that speaks may be a configuration. */
    int ends[2];
    char path[64];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "a: 1\n", 5), 5);
    close(ends[1]);
    snprintf(path, sizeof path, "/dev/fd/%d", ends[0]);
    FILE *stream = rw_plain_open_or_pipe(path, &why);
    assert_non_null(stream);
    assert_int_equal(fgetc(stream), 'a');
    fclose(stream);
    close(ends[0]);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(a_holder_is_read_as_it_was_written),
        IN_FOLDER(a_holder_is_judged),
        IN_FOLDER(one_writer_at_a_time),
        IN_FOLDER(the_lock_of_a_dead_process_is_taken_over),
        IN_FOLDER(one_of_many_takes_over),
        IN_FOLDER(a_lost_lock_is_found_out),
        IN_FOLDER(a_living_holder_counts),
        IN_FOLDER(links_are_removed_themselves),
        IN_FOLDER(only_the_dead_leave_temporaries),
        IN_FOLDER(nothing_is_written_through_a_link),
        IN_FOLDER(nobody_waits_for_a_pipe),
    };
    return cmocka_run_group_tests_name("storage", tests, NULL, NULL);
}
