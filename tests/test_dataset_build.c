/* What a build does to what is there: existing files, many inputs, additions,
 * faults of the system while it writes. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* pwrite, mkfifo */
#endif
#include "tests/data_files.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/log.h"
#include "base/memory.h"
#include "storage/durable_file.h"

static void write_text(const char *name, const char *text)
{
    write_file(name, text, strlen(text));
}

static void assert_content(const char *name, const void *expected, size_t count)
{
    size_t bytes;
    uint8_t *content = read_file(name, &bytes);
    assert_int_equal(bytes, count);
    assert_memory_equal(content, expected, count);
    free(content);
}

static void assert_same_file(const char *one, const char *other)
{
    size_t bytes;
    uint8_t *content = read_file(one, &bytes);
    assert_content(other, content, bytes);
    free(content);
}

static rw_status build(const char *out, const char *const *names, int count,
                       rw_dataset_options options)
{
    const char *paths[8] = {NULL};
    for (int i = 0; i < count; i++) paths[i] = in_folder(names[i]);
    return rw_dataset_build(in_folder(out), paths, count, &options);
}
#define BUILD(out, options, ...)                                                                   \
    build(out, (const char *[]){__VA_ARGS__},                                                      \
          (int)(sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *)), options)
#define WITH(...) ((rw_dataset_options){__VA_ARGS__})

static rw_dataset *opened(const char *name)
{
    rw_dataset *dataset;
    if (rw_dataset_open(in_folder(name), &dataset) != RW_OK) fail_msg("%s", rw_message());
    return dataset;
}

static void assert_text(const char *name, const char *expected)
{
    uint8_t tokens[4096] = {0};
    rw_dataset *dataset = opened(name);
    uint64_t count = rw_dataset_describe(dataset)->tokens;
    assert_int_equal(count, strlen(expected));
    assert_int_equal(rw_dataset_read(dataset, 0, count, tokens), RW_OK);
    assert_string_equal((char *)tokens, expected);
    rw_dataset_close(&dataset);
}

static rw_status verify(const char *name)
{
    FILE *out = fopen("/dev/null", "w");
    rw_status status = rw_dataset_verify(in_folder(name), out);
    fclose(out);
    return status;
}

/* ---- What is at the place of the output --------------------------------------- */

static void files_that_are_not_ours_are_kept(void **state)
{
    (void)state;
    write_text("a.txt", "precious");
    write_text("b.txt", "text");
    assert_message(BUILD("a.txt", WITH(0), "b.txt"), RW_ERROR, "comes first");
    assert_message(BUILD("a.txt", WITH(.append = true), "b.txt"), RW_ERROR, "nothing can be app");
    assert_content("a.txt", "precious", 8);
    assert_int_equal(BUILD("a.txt", WITH(.replace = true), "b.txt"), RW_OK);
    assert_text("a.txt", "text");
    assert_int_equal(files_that_begin(""), 4); /* with . and .. */
}

static void inputs_are_never_replaced(void **state)
{
    (void)state;
    write_text("a.txt", "precious");
    write_text("b.txt", "text");
    assert_int_equal(link(in_folder("a.txt"), in_folder("hard.txt")), 0);
    assert_int_equal(symlink("a.txt", in_folder("soft.txt")), 0);
    for (int force = 0; force < 2; force++) {
        const rw_dataset_options options = {.replace = force};
        assert_message(BUILD("a.txt", options, "b.txt", "a.txt"), RW_USAGE, "is an input too");
        assert_message(BUILD("a.txt", options, "hard.txt"), RW_USAGE, "is an input too");
        assert_message(BUILD("a.txt", options, "soft.txt"), RW_USAGE, "is an input too");
        assert_message(BUILD("soft.txt", options, "a.txt"), RW_USAGE, "is an input too");
        assert_content("a.txt", "precious", 8);
    }
    /* Also one that a build adds to. */
    assert_int_equal(BUILD("d.h5", WITH(0), "b.txt"), RW_OK);
    assert_message(BUILD("d.h5", WITH(.append = true), "d.h5"), RW_USAGE, "is an input too");
}

static void a_dataset_is_replaced_only_if_asked(void **state)
{
    (void)state;
    write_text("a", "first");
    write_text("b", "second");
    assert_int_equal(BUILD("out.h5", WITH(0), "a"), RW_OK);
    assert_message(BUILD("out.h5", WITH(0), "b"), RW_ERROR, "--append adds");
    assert_text("out.h5", "first");
    assert_int_equal(BUILD("out.h5", WITH(.replace = true), "b"), RW_OK);
    assert_text("out.h5", "second");
    assert_message(BUILD("out.h5", WITH(.replace = true, .append = true), "a"), RW_USAGE,
                   "choose one");
}

static void only_files_are_replaced(void **state)
{
    (void)state;
    write_text("a", "text");
    assert_int_equal(mkdir(in_folder("folder"), 0777), 0);
    assert_int_equal(mkfifo(in_folder("pipe"), 0666), 0);
    assert_int_equal(symlink("nowhere", in_folder("dangling")), 0);
    const rw_dataset_options force = {.replace = true};
    assert_message(BUILD("folder", force, "a"), RW_ERROR, "is a folder; only a file");
    assert_message(BUILD("pipe", force, "a"), RW_ERROR, "is a pipe; only a file");
    assert_message(BUILD("dangling", force, "a"), RW_ERROR, "is a symbolic link; only a file");
    const char *inputs[] = {in_folder("a")};
    assert_message(rw_dataset_build("/dev/null", inputs, 1, &force), RW_ERROR, "is a device");
    assert_int_equal(rmdir(in_folder("folder")), 0);
}

/* A file in the making that an ended process left behind is removed, one of
 * another that runs is not. */
static void drafts_of_ended_processes_are_removed(void **state)
{
    (void)state;
    char host[65] = "", left[256], busy[256];
    gethostname(host, sizeof host - 1);
    pid_t ended = fork();
    if (ended == 0) _exit(0);
    assert_int_equal(waitpid(ended, NULL, 0), ended);
    snprintf(left, sizeof left, "out.h5.partial.%s.%d", host, (int)ended);
    snprintf(busy, sizeof busy, "out.h5.partial.%s.%d", host, (int)getppid());
    write_text(left, "half");
    write_text(busy, "half");
    write_text("a", "text");
    assert_int_equal(BUILD("out.h5", WITH(0), "a"), RW_OK);
    assert_int_equal(files_that_begin("out.h5.partial"), 1);
    assert_content(busy, "half", 4);
}

/* ---- Inputs ------------------------------------------------------------------- */

static void folders_are_read_in_the_order_of_bytes(void **state)
{
    (void)state;
    static const char *const folders[] = {"in", "in/b", "in/b/.git"};
    static const char *const files[] = {"in/b/z", "in/b/.hidden", "in/b/.git/x",
                                        "in/c",   "in/B",         "in/.x"};
    for (int i = 0; i < 3; i++) assert_int_equal(mkdir(in_folder(folders[i]), 0777), 0);
    for (int i = 0; i < 6; i++) write_text(files[i], strrchr(files[i], '/') + 1);
    assert_int_equal(symlink("..", in_folder("in/b/up")), 0); /* a ring of folders */
    assert_int_equal(symlink("b", in_folder("in/again")), 0);
    assert_int_equal(mkfifo(in_folder("in/pipe"), 0666), 0);
    write_text("last", "last");
    assert_int_equal(BUILD("out.h5", WITH(0), "in", "last"), RW_OK);
    rw_dataset *dataset = opened("out.h5");
    const rw_dataset_index *index = rw_dataset_lists(dataset);
    assert_int_equal(index->source_count, 4);
    assert_string_equal(rw_dataset_index_name(index, 0), in_folder("in/B"));
    rw_dataset_close(&dataset);
    /* The folder b is read once: under whichever name comes first. */
    assert_text("out.h5", "Bzclast");
    for (int i = 0; i < 6; i++) unlink(in_folder(files[i]));
    unlink(in_folder("in/b/up"));
    unlink(in_folder("in/again"));
    unlink(in_folder("in/pipe"));
    for (int i = 2; i >= 0; i--) assert_int_equal(rmdir(in_folder(folders[i])), 0);
}

/* Writes a list of names of files in the folder, each ended by `end`. */
static void write_list(const char *const *names, int count, const char *end, size_t end_bytes)
{
    FILE *file = fopen(in_folder("list"), "wb");
    for (int i = 0; i < count; i++) {
        fputs(names[i][0] ? in_folder(names[i]) : "", file);
        fwrite(end, 1, end_bytes, file);
    }
    assert_int_equal(fclose(file), 0);
}

static void names_come_from_lists(void **state)
{
    (void)state;
    const char *list = in_folder("list"), *const names[] = {"b", "", "a b", "c\nd"};
    write_text("a", "one ");
    write_text("b", "two ");
    write_text("a b", "three ");
    write_text("c\nd", "four ");
    const rw_dataset_options lines = {.files_from = list, .replace = true};
    const rw_dataset_options zeros = {.files_from = list, .replace = true, .null = true};
    write_list(names, 3, "\n", 1);
    assert_int_equal(BUILD("out.h5", lines, "a"), RW_OK);
    assert_text("out.h5", "one two three ");
    write_list(names, 3, "\r\n", 2);
    assert_int_equal(build("out.h5", NULL, 0, lines), RW_OK);
    assert_text("out.h5", "two three ");
    write_list(names, 4, "", 1);
    assert_int_equal(build("out.h5", NULL, 0, zeros), RW_OK);
    assert_text("out.h5", "two three four ");
    assert_message(build("out.h5", NULL, 0, lines), RW_USAGE, "add --null");
    write_list(names + 1, 1, "\n", 1);
    assert_message(build("out.h5", NULL, 0, lines), RW_USAGE, "holds no names");
    write_list((const char *[]){"absent"}, 1, "\n", 1);
    assert_message(build("out.h5", NULL, 0, lines), RW_ERROR, "absent: No such file");
    assert_message(build("out.h5", NULL, 0, WITH(.files_from = "no/list")), RW_ERROR, "no/list");
    assert_message(build("out.h5", NULL, 0, WITH(0)), RW_USAGE, "no inputs");
    assert_text("out.h5", "two three four ");
}

/* ---- Additions ------------------------------------------------------------------ */

static void additions_equal_a_build_of_all(void **state)
{
    (void)state;
    static const char *const ways[] = {"tail", "document", "shuffled"};
    const size_t count = RW_DATASET_CHUNK - 3; /* so that a chunk is joined in its middle */
    uint8_t *bytes = make_bytes(count, 3);
    for (size_t i = 0; i < count; i++) bytes[i] = (uint8_t)(' ' + bytes[i] % 64); /* text */
    write_file("a", bytes, count);
    write_text("b", "");
    write_text("c", "the third");
    write_text("d.jsonl", "{\"text\": \"four\"}\n{\"text\": \"\"}\n{\"text\": \"five\"}\n");
    for (int i = 0; i < 3; i++) {
        rw_dataset_options all = {.heldout = 0.2, .heldout_by = ways[i], .seed = 3};
        rw_dataset_options first = all, more = {.append = true, .heldout = 0.9};
        all.replace = first.replace = true;
        if (i == 0) /* also where there is nothing yet */
            unlink(in_folder("out.h5")), first.replace = false, first.append = true;
        assert_int_equal(BUILD("out.h5", first, "a", "c"), RW_OK);
        assert_int_equal(BUILD("all.h5", all, "a", "c", "b", "d.jsonl"), RW_OK);
        assert_int_equal(BUILD("out.h5", more, "b"), RW_OK);
        assert_int_equal(BUILD("out.h5", more, "d.jsonl"), RW_OK);
        assert_same_file("out.h5", "all.h5");
        assert_int_equal(verify("out.h5"), RW_OK);
    }
    free(bytes);
}

static void additions_may_bring_letters(void **state)
{
    (void)state;
    write_text("a.fa", ">a\nTTC\n");
    write_text("b.fa", ">b\nANG\n");
    write_text("t.txt", "text");
    assert_int_equal(BUILD("all.h5", WITH(0), "a.fa", "b.fa"), RW_OK);
    assert_int_equal(BUILD("out.h5", WITH(0), "a.fa"), RW_OK);
    assert_int_equal(BUILD("out.h5", WITH(.append = true), "b.fa"), RW_OK);
    assert_same_file("out.h5", "all.h5");
    assert_message(BUILD("out.h5", WITH(.append = true), "t.txt"), RW_USAGE, "holds letters but");
    assert_int_equal(BUILD("t.h5", WITH(0), "t.txt"), RW_OK);
    assert_message(BUILD("t.h5", WITH(.append = true), "a.fa"), RW_USAGE, "holds bytes but");
    assert_same_file("out.h5", "all.h5");
}

static void held_out_files_stay_held_out(void **state)
{
    (void)state;
    const char *val[] = {in_folder("v")}, *more[] = {in_folder("w")};
    write_text("a", "aaa");
    write_text("b", "bb");
    write_text("v", "vvvv");
    write_text("w", "w");
    const char *both[] = {in_folder("v"), in_folder("w")};
    const rw_dataset_options all = {.heldout_files = both, .heldout_file_count = 2};
    rw_dataset_options first = {.heldout_files = val, .heldout_file_count = 1};
    const rw_dataset_options second = {
        .heldout_files = more, .heldout_file_count = 1, .append = true};
    assert_int_equal(BUILD("all.h5", all, "a", "b"), RW_OK);
    assert_int_equal(BUILD("out.h5", first, "a"), RW_OK);
    assert_int_equal(BUILD("out.h5", WITH(.append = true, .heldout = 0.1), "b"), RW_OK);
    assert_int_equal(build("out.h5", NULL, 0, second), RW_OK);
    assert_same_file("out.h5", "all.h5");
    assert_text("out.h5", "aaabbvvvvw");
    rw_dataset *dataset = opened("out.h5");
    const rw_dataset_index *index = rw_dataset_lists(dataset);
    assert_int_equal(index->heldout_count, 1);
    assert_int_equal(index->heldout[0].begin, 5);
    assert_int_equal(index->heldout[0].end, 10);
    rw_dataset_close(&dataset);
    first.heldout_given = true;
    assert_message(BUILD("x.h5", first, "a"), RW_USAGE, "leave --heldout");
    first.heldout_given = false;
    assert_message(BUILD("x.h5", first, "a", "v"), RW_USAGE, "trained on and held out");
    assert_int_equal(BUILD("tail.h5", WITH(.heldout = 0.5), "a"), RW_OK);
    first.append = true;
    assert_message(BUILD("tail.h5", first, "b"), RW_USAGE, "holds out a share");
}

/* What is not asked for stays as it is. */
static void additions_keep_the_way_to_hold_out(void **state)
{
    (void)state;
    const char lines[] = "{\"text\": \"one\"}\n{\"text\": \"two!\"}\n{\"text\": \"three\"}\n";
    write_text("a.jsonl", lines);
    const rw_dataset_options first = {.heldout = 0.4, .heldout_by = "shuffled", .seed = 7};
    rw_dataset_options more = {.heldout = 0.1, .seed = 1, .append = true};
    for (int asked = 0; asked < 4; asked++) {
        more.heldout_given = asked == 1;
        more.heldout_by = asked == 2 ? "document" : NULL;
        more.seed_given = asked == 3;
        unlink(in_folder("out.h5"));
        assert_int_equal(BUILD("out.h5", first, "a.jsonl"), RW_OK);
        assert_int_equal(BUILD("out.h5", more, "a.jsonl"), RW_OK);
        rw_dataset *dataset = opened("out.h5");
        const rw_dataset_facts *f = rw_dataset_describe(dataset);
        assert_true(f->heldout_share == (asked == 1 ? 0.1 : 0.4));
        assert_int_equal(f->heldout_by, asked == 2 ? RW_HELDOUT_DOCUMENT : RW_HELDOUT_SHUFFLED);
        assert_int_equal(f->seed, asked == 2 ? 0 : asked == 3 ? 1 : 7);
        rw_dataset_close(&dataset);
    }
}

/* Whatever makes an addition fail, the dataset is as it was before. */
static void failed_additions_lose_nothing(void **state)
{
    (void)state;
    write_text("a", "text");
    write_text("bad.jsonl", "{\"text\": \"fine\"}\n{\"text\": \n");
    assert_int_equal(BUILD("out.h5", WITH(0), "a"), RW_OK);
    assert_int_equal(BUILD("copy.h5", WITH(0), "a"), RW_OK);
    assert_int_equal(BUILD("out.h5", WITH(.append = true, .format = "jsonl"), "bad.jsonl"),
                     RW_ERROR);
    rw_clear_message();
    assert_int_equal(BUILD("out.h5", WITH(.append = true), "a", "absent"), RW_ERROR);
    rw_clear_message();
    assert_same_file("out.h5", "copy.h5");
    assert_int_equal(files_that_begin("out.h5"), 1);
    rw_dataset *dataset = opened("out.h5");
    uint64_t at = rw_dataset_lists(dataset)->chunk_offsets[0] + 20;
    rw_dataset_close(&dataset);
    FILE *file = fopen(in_folder("out.h5"), "r+b");
    assert_int_equal(fseek(file, (long)at, SEEK_SET), 0);
    fputc('!', file);
    fclose(file);
    assert_message(BUILD("out.h5", WITH(.append = true), "a"), RW_ERROR, "chunk 0 of 1 is damaged");
    assert_int_equal(files_that_begin("out.h5"), 1);
}

/* ---- The held-out part ------------------------------------------------------------ */

/* Documents of 1, 2 ... 9 tokens; the ranges that are held out, as text. */
static void assert_held_out(rw_dataset_options options, const char *expected)
{
    char ranges[256] = "", *end = ranges;
    options.replace = true;
    FILE *file = fopen(in_folder("in.jsonl"), "w");
    for (int i = 1; i <= 9; i++) fprintf(file, "{\"text\": \"%.*s\"}\n", i, "123456789");
    fclose(file);
    assert_int_equal(BUILD("out.h5", options, "in.jsonl"), RW_OK);
    rw_dataset *dataset = opened("out.h5");
    const rw_dataset_index *index = rw_dataset_lists(dataset);
    for (size_t i = 0; i < index->heldout_count; i++)
        end += sprintf(end, "%d-%d ", (int)index->heldout[i].begin, (int)index->heldout[i].end);
    assert_string_equal(ranges, expected);
    rw_dataset_close(&dataset);
}

static void held_out_parts_are_what_was_asked_for(void **state)
{
    (void)state;
    static const char *const ways[] = {"tail", "document", "shuffled"};
    for (int i = 0; i < 3; i++) {
        assert_held_out(WITH(.heldout = 0, .heldout_by = ways[i]), "");
        assert_held_out(WITH(.heldout = 1, .heldout_by = ways[i]), "0-45 ");
    }
    assert_held_out(WITH(.heldout = 0.1), "41-45 ");
    assert_held_out(WITH(.heldout = 0.1, .heldout_by = "document"), "36-45 ");
    assert_held_out(WITH(.heldout = 0.3, .heldout_by = "document"), "28-45 "); /* 17 or 9 of 13.5 */
    assert_held_out(WITH(.heldout = 0.999, .heldout_by = "document"), "1-45 ");
    assert_held_out(WITH(.heldout = 0.001, .heldout_by = "shuffled"), "0-1 ");
}

static void drawn_documents_are_whole_and_near_the_share(void **state)
{
    (void)state;
    char text[64];
    uint64_t first_of[20];
    FILE *file = fopen(in_folder("in.jsonl"), "w");
    for (int i = 0; i < 200; i++) {
        snprintf(text, sizeof text, "document number %d %.*s", i, i % 30,
                 "..............................");
        fprintf(file, "{\"text\": \"%s\"}\n", text);
    }
    fclose(file);
    for (int seed = 0; seed < 20; seed++) {
        const rw_dataset_options options = {
            .heldout = 0.25, .heldout_by = "shuffled", .seed = (uint64_t)seed, .replace = true};
        assert_int_equal(BUILD("out.h5", options, "in.jsonl"), RW_OK);
        rw_dataset *dataset = opened("out.h5");
        const rw_dataset_index *index = rw_dataset_lists(dataset);
        const rw_dataset_facts *f = rw_dataset_describe(dataset);
        uint64_t wanted = f->tokens / 4; /* within half a document */
        if (f->heldout + 24 < wanted || f->heldout > wanted + 24)
            fail_msg("%d of %d tokens", (int)f->heldout, (int)f->tokens);
        assert_true(index->heldout_count > 20);
        first_of[seed] = index->heldout[0].begin * 10000 + index->heldout[1].begin;
        size_t borders = 0;
        for (size_t i = 0; i < index->heldout_count; i++)
            for (size_t d = 0; d < index->document_count; d++) {
                uint64_t at = index->documents[d];
                borders += at == index->heldout[i].begin;
                borders += at == index->heldout[i].end;
            }
        bool at_end = index->heldout[index->heldout_count - 1].end == f->tokens;
        assert_int_equal(borders + at_end, 2 * index->heldout_count);
        rw_dataset_close(&dataset);
    }
    int same = 0;
    for (int i = 1; i < 20; i++) same += first_of[i] == first_of[0];
    assert_true(same < 5);
}

static void impossible_parts_are_refused(void **state)
{
    (void)state;
    write_text("a", "one document");
    for (int i = 0; i < 2; i++) {
        const rw_dataset_options whole = {.heldout = 0.1,
                                          .heldout_by = i ? "shuffled" : "document"};
        assert_message(BUILD("out.h5", whole, "a"), RW_USAGE, "only one document");
    }
    assert_message(BUILD("out.h5", WITH(.heldout_by = "half"), "a"), RW_USAGE, "unknown way");
    assert_message(BUILD("out.h5", WITH(.heldout = -0.1), "a"), RW_USAGE, "at least 0");
    assert_int_equal(files_that_begin("out.h5"), 0);
}

/* ---- Faults ------------------------------------------------------------------------ */

static rw_file_calls real_calls;
static long calls_left; /* until the fault */

static bool strikes(void)
{
    errno = EIO;
    return --calls_left == 0;
}

static int faulty_open(const char *path, int flags, mode_t mode)
{
    return strikes() ? -1 : real_calls.open(path, flags, mode);
}

static ssize_t faulty_write(int file, const void *buffer, size_t bytes)
{
    return strikes() ? -1 : real_calls.write(file, buffer, bytes);
}

static int faulty_fsync(int file)
{
    return strikes() ? -1 : real_calls.fsync(file);
}

static int faulty_close(int file)
{
    bool fails = strikes();
    int result = real_calls.close(file);
    errno = EIO;
    return fails ? -1 : result;
}

static int faulty_rename(const char *from, const char *to)
{
    return strikes() ? -1 : real_calls.rename(from, to);
}

/* A build that fails at any call says so, and leaves nothing half-written. */
static void a_fault_at_any_call_is_told(void **state)
{
    (void)state;
    write_text("a", "some text");
    write_text("b", "other text");
    assert_int_equal(BUILD("out.h5", WITH(0), "a"), RW_OK);
    assert_int_equal(BUILD("new.h5", WITH(0), "b"), RW_OK);
    real_calls = rw_file_call;
    rw_status status = RW_ERROR;
    long n = 1;
    for (; status != RW_OK; n++) {
        assert_true(n < 100);
        calls_left = n;
        rw_file_call.open = faulty_open;
        rw_file_call.write = faulty_write;
        rw_file_call.fsync = faulty_fsync;
        rw_file_call.close = faulty_close;
        rw_file_call.rename = faulty_rename;
        status = BUILD("out.h5", WITH(.replace = true), "b");
        rw_file_call = real_calls;
        if (status != RW_OK) assert_string_not_equal(rw_message(), "");
        rw_clear_message();
        assert_int_equal(files_that_begin("out.h5"), 1);
        rw_dataset *dataset = opened("out.h5");
        bool old = rw_dataset_describe(dataset)->tokens == strlen("some text");
        rw_dataset_close(&dataset);
        assert_true(!old || status != RW_OK);
        if (!old) assert_same_file("out.h5", "new.h5");
        assert_int_equal(BUILD("out.h5", WITH(.replace = true), "a"), RW_OK);
    }
    assert_true(n > 8); /* open, close, header, flushes, rename, folder */
}

/* A disk with room for so many bytes of a file; in a process of its own, which
 * ends without the exit handlers: HDF5 cannot close a file under this limit. */
static void build_with_room(rlim_t bytes)
{
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){bytes, bytes});
    rw_status status = BUILD("out.h5", WITH(.heldout_by = "document", .heldout = 0.5), "in.jsonl");
    _exit(status == RW_OK ? 0 : rw_message()[0] ? 1 : 2);
}

static void every_size_of_a_full_disk_is_told(void **state)
{
    (void)state;
    write_text("in.jsonl", "{\"text\": \"one\"}\n{\"text\": \"two\"}\n");
    assert_int_equal(BUILD("whole.h5", WITH(.heldout_by = "document", .heldout = 0.5), "in.jsonl"),
                     RW_OK);
    size_t size;
    free(read_file("whole.h5", &size));
    for (size_t room = 0; room < size; room += 96) {
        pid_t child = fork();
        if (child == 0) build_with_room(room);
        int result;
        assert_int_equal(waitpid(child, &result, 0), child);
        assert_true(WIFEXITED(result));
        if (WEXITSTATUS(result) != 1 || files_that_begin("out.h5") != 0)
            fail_msg("room for %zu of %zu bytes: exit %d, %d files", room, size,
                     WEXITSTATUS(result), files_that_begin("out.h5"));
    }
}

static off_t lie_at;

/* A device that says that it has stored all, and has not. */
static int lying_fsync(int file)
{
    char path[64], byte;
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    int again = open(path, O_RDWR);
    if (again >= 0 && pread(again, &byte, 1, lie_at) == 1) {
        byte ^= 1;
        assert_int_equal(pwrite(again, &byte, 1, lie_at), 1);
    }
    if (again >= 0) close(again);
    return real_calls.fsync(file);
}

static void what_was_not_stored_is_found(void **state)
{
    (void)state;
    write_text("a", "some text");
    assert_int_equal(BUILD("out.h5", WITH(0), "a"), RW_OK);
    size_t size;
    free(read_file("out.h5", &size));
    unlink(in_folder("out.h5"));
    real_calls = rw_file_call;
    for (lie_at = 5; lie_at < (off_t)size; lie_at += 97) {
        rw_file_call.fsync = lying_fsync;
        rw_status status = BUILD("out.h5", WITH(0), "a");
        rw_file_call = real_calls;
        assert_message(status, RW_ERROR, "what was read back is not what was written");
        assert_int_equal(files_that_begin("out.h5"), 0);
    }
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void)
{
    rw_log_speak(false);
    const struct CMUnitTest tests[] = {
        IN_FOLDER(files_that_are_not_ours_are_kept),
        IN_FOLDER(inputs_are_never_replaced),
        IN_FOLDER(a_dataset_is_replaced_only_if_asked),
        IN_FOLDER(only_files_are_replaced),
        IN_FOLDER(drafts_of_ended_processes_are_removed),
        IN_FOLDER(folders_are_read_in_the_order_of_bytes),
        IN_FOLDER(names_come_from_lists),
        IN_FOLDER(additions_equal_a_build_of_all),
        IN_FOLDER(additions_may_bring_letters),
        IN_FOLDER(held_out_files_stay_held_out),
        IN_FOLDER(additions_keep_the_way_to_hold_out),
        IN_FOLDER(failed_additions_lose_nothing),
        IN_FOLDER(held_out_parts_are_what_was_asked_for),
        IN_FOLDER(drawn_documents_are_whole_and_near_the_share),
        IN_FOLDER(impossible_parts_are_refused),
        IN_FOLDER(a_fault_at_any_call_is_told),
        IN_FOLDER(every_size_of_a_full_disk_is_told),
        IN_FOLDER(what_was_not_stored_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
