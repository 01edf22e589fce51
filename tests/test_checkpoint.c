/* Checkpoints that meet no fault: what was saved is read back, on which terms
 * digests are equal, and which checkpoints stay. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <hdf5.h>
#include <mpi.h>

#include "base/memory.h"
#include "checkpoints/checkpoint_format.h"
#include "checkpoints/tensor_block.h"
#include "storage/hdf5_access.h"
#include "tests/checkpoint_fixture.h"

/* Chunks: their runs lie end to end, cover the block, and none is too large. */
static void chunks_tile_the_block(void **unused)
{
    static const rw_block blocks[] = {
        {"a", 4, 1, {1}},          {"a", 8, 1, {100000}},       {"a", 4, 2, {7, 33}},
        {"a", 4, 2, {1, 5000}},    {"a", 8, 3, {3, 2, 700}},    {"a", 4, 4, {2, 3, 5, 7}},
        {"a", 4, 4, {1, 1, 1, 1}}, {"a", 4, 4, {4, 300, 2, 9}}, {"a", 4, 3, {9, 9, 1}},
    };
    (void)unused;
    for (size_t b = 0; b < sizeof blocks / sizeof blocks[0]; b++)
        for (size_t limit = 8; limit <= 1 << 20; limit *= 4) {
            rw_chunks chunks;
            rw_chunks_plan(&blocks[b], limit, &chunks);
            assert_in_range(chunks.bytes, 1, limit);
            assert_int_equal(rw_shape_size(blocks[b].dims, chunks.shape) * blocks[b].element,
                             chunks.bytes);
            size_t end = 0;
            for (size_t i = 0; i < chunks.count; i++) {
                rw_chunk chunk = rw_chunk_at(&blocks[b], &chunks, i);
                assert_int_equal(chunk.begin, end);
                assert_in_range(chunk.bytes, 1, chunks.bytes);
                end += chunk.bytes;
                for (int d = 0; d < blocks[b].dims; d++) {
                    assert_in_range(chunk.offset[d], 0, blocks[b].shape[d] - 1);
                    assert_int_equal(chunk.offset[d] % chunks.shape[d], 0);
                }
            }
            assert_int_equal(end,
                             rw_shape_size(blocks[b].dims, blocks[b].shape) * blocks[b].element);
        }
}

static void names_are_checked(void **unused)
{
    static const char *const good[] = {"param/a", "a", "opt/m/blocks.0.w", "a..b/c"};
    static const char *const bad[] = {"", "/a", "a/", "a//b", "a/./b", "../a", "a b", "a\n"};
    uint64_t step;
    bool aside;
    (void)unused;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_true(rw_tensor_name_valid(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(rw_tensor_name_valid(bad[i]));
    assert_true(rw_step_parse("step-00000042", &step, &aside) && step == 42 && !aside);
    assert_true(rw_step_parse("step-123456789.old", &step, &aside) && step == 123456789 && aside);
    assert_false(rw_step_parse("step-42", &step, &aside));
    assert_false(rw_step_parse("step-00000042.tmp.7", &step, &aside));
    assert_true(rw_is_leftover("step-00000042.tmp.7"));
    assert_true(rw_is_leftover("latest.tmp.7"));
    assert_false(rw_is_leftover("latest"));
}

static void what_was_saved_is_read(void **in)
{
    state *s = *in;
    rw_checkpoint *checkpoint;
    state_save(s, 7, 2);
    state_expect(s, join(s->dir, "step-00000007"), 7);
    state_expect(s, s->dir, 7);
    state_expect(s, join(s->root, "run"), 7);
    state_expect_newest(s, 7);
    state_fill(s, 7);
    assert_int_equal(rw_checkpoint_open(s->dir, &checkpoint), RW_OK);
    const rw_checkpoint_meta *about = rw_checkpoint_about(checkpoint);
    assert_int_equal(about->seed, s->meta.seed);
    assert_int_equal(about->sequences_seen, s->meta.sequences_seen);
    assert_int_equal(about->skipped_steps, s->meta.skipped_steps);
    assert_int_equal(about->data_fingerprint, s->meta.data_fingerprint);
    assert_string_equal(about->config, s->meta.config);
    assert_string_equal(about->model, s->meta.model);
    assert_string_equal(about->tokens.kind, "letters");
    assert_string_equal(about->tokens.alphabet, "ACGT");
    assert_int_equal(about->tokens.vocab, 4);
    assert_int_equal(about->tokens.target_vocab, 4);
    rw_tensor kernel = rw_checkpoint_tensor(checkpoint, 2);
    assert_string_equal(kernel.name, "param/blocks/0/kernel");
    assert_int_equal(kernel.dims, 3);
    assert_int_equal(kernel.shape[2], 5);
    rw_checkpoint_close(&checkpoint);
}

/* Checkpoints of before this entry have none, and are read. */
static void tokens_may_be_unknown(void **in)
{
    state *s = *in;
    rw_checkpoint *checkpoint;
    state_fill(s, 7);
    s->meta.tokens = (rw_checkpoint_tokens){0};
    assert_int_equal(rw_checkpoint_save(&s->layout, s->dir, &s->meta, s->tensors, STATE_TENSORS, 2),
                     RW_OK);
    size_t size;
    unsigned char *text = file_contents(join(s->dir, "step-00000007/manifest.json"), &size);
    assert_null(strstr((char *)text, "\"tokens\""));
    free(text);
    assert_int_equal(rw_checkpoint_open(s->dir, &checkpoint), RW_OK);
    assert_null(rw_checkpoint_about(checkpoint)->tokens.kind);
    rw_checkpoint_close(&checkpoint);
}

/* Three million elements over several files, some tensors cut by rows, chunks
 * with padding; read whole, and one tensor of them alone. */
static void large_tensors_span_files(void **in)
{
    state *s = *in;
    enum { SIZE = 3000000 };
    real *saved = malloc(SIZE * sizeof(real)), *read = malloc(SIZE * sizeof(real));
    for (int i = 0; i < SIZE; i++) saved[i] = (real)(i % 1237) * (real)0.37;
    rw_tensor tensors[] = {
        {.name = "param/wide", .dims = 2, .shape = {3, 300000}, .data = saved},
        {.name = "param/one", .dims = 1, .shape = {1}, .data = saved + 900000},
        {.name = "opt/m/deep", .dims = 4, .shape = {7, 2, 100, 1499}, .data = saved + 900001},
        {.name = "opt/v/long", .dims = 1, .shape = {SIZE - 2998601}, .data = saved + 2998601}};
    rw_checkpoint *checkpoint;
    rw_image_target_bytes = 2 << 20;
    state_fill(s, 1);
    assert_int_equal(rw_checkpoint_save(&s->layout, s->dir, &s->meta, tensors, 4, 2), RW_OK);
    rw_image_target_bytes = RW_IMAGE_TARGET_BYTES;
    assert_true(folder_count(join(s->dir, "step-00000001"), "data-") > 4);
    for (int i = 0; i < 4; i++) tensors[i].data = read + (tensors[i].data - saved);
    assert_int_equal(rw_checkpoint_open(s->dir, &checkpoint), RW_OK);
    assert_int_equal(rw_checkpoint_read(checkpoint, tensors, 4), RW_OK);
    assert_memory_equal(read, saved, SIZE * sizeof(real));
    memset(read, 0, SIZE * sizeof(real));
    assert_int_equal(rw_checkpoint_read(checkpoint, &tensors[2], 1), RW_OK);
    assert_memory_equal(read + 900001, saved + 900001, 2098600 * sizeof(real));
    assert_true(read[900000] == 0 && read[2998602] == 0);
    rw_checkpoint_close(&checkpoint);
    free(saved);
    free(read);
}

/* The text that `rw_checkpoint_digest` prints; free() it. */
static char *digest_of(const char *path)
{
    char *text;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    rw_status status = rw_checkpoint_digest(path, out);
    fclose(out);
    assert_string_equal(rw_message(), "");
    assert_int_equal(status, RW_OK);
    return text;
}

/* The same of the state as it is, saved in a folder of its own. */
static char *digest_after_save(state *s, int folder_number)
{
    char folder[512];
    snprintf(folder, sizeof folder, "%s/other-%d", s->root, folder_number);
    rw_status status =
        rw_checkpoint_save(&s->layout, folder, &s->meta, s->tensors, STATE_TENSORS, 2);
    assert_int_equal(status, RW_OK);
    return digest_of(folder);
}

static void digests_tell_states_apart(void **in)
{
    state *s = *in;
    state_fill(s, 5);
    char *first = digest_after_save(s, 0);
    assert_non_null(strstr(first, "opt/m/embedding " RW_REAL_NAME " 16x3 "));
    assert_non_null(strstr(first, "\ndigest "));
    s->meta.dp = 4, s->meta.threads = 3, s->meta.config = "other: text\n";
    rw_tensor swapped = s->tensors[0];
    s->tensors[0] = s->tensors[4], s->tensors[4] = swapped;
    rw_image_target_bytes = 256;
    char *same = digest_after_save(s, 1);
    rw_image_target_bytes = RW_IMAGE_TARGET_BYTES;
    assert_string_equal(first, same);
    free(same);
    swapped = s->tensors[0];
    s->tensors[0] = s->tensors[4], s->tensors[4] = swapped;
    for (int change = 0; change < 5; change++) {
        state_fill(s, 5);
        if (change == 0) ((unsigned char *)s->tensors[3].data)[0] ^= 1;
        s->meta.step += change == 1;
        s->meta.seed += change == 2;
        s->meta.sequences_seen += change == 3;
        s->meta.data_fingerprint += change == 4;
        char *other = digest_after_save(s, 2 + change);
        assert_string_not_equal(first, other);
        free(other);
    }
    free(first);
}

/* Nothing but what was given is in the files: no times, no stale memory. */
static void equal_states_make_equal_files(void **in)
{
    static const char *const files[] = {"data-0.h5", "index.h5", "manifest.json"};
    state *s = *in;
    char other[512];
    state_save(s, 3, 2);
    snprintf(other, sizeof other, "%s/other", s->root);
    assert_int_equal(rw_checkpoint_save(&s->layout, other, &s->meta, s->tensors, STATE_TENSORS, 2),
                     RW_OK);
    for (int i = 0; i < 3; i++) {
        size_t size, other_size;
        unsigned char *one = file_contents(join(join(s->dir, "step-00000003"), files[i]), &size);
        unsigned char *two =
            file_contents(join(join(other, "step-00000003"), files[i]), &other_size);
        assert_int_equal(size, other_size);
        assert_memory_equal(one, two, size);
        free(one);
        free(two);
    }
}

static void saving_a_step_again_replaces_it(void **in)
{
    state *s = *in;
    state_save(s, 4, 2);
    state_fill(s, 9);
    s->meta.step = 4;
    assert_int_equal(rw_checkpoint_save(&s->layout, s->dir, &s->meta, s->tensors, STATE_TENSORS, 2),
                     RW_OK);
    assert_int_equal(folder_count(s->dir, ""), 2);
    rw_checkpoint *checkpoint;
    assert_int_equal(rw_checkpoint_open(s->dir, &checkpoint), RW_OK);
    assert_int_equal(rw_checkpoint_about(checkpoint)->step, 4);
    assert_int_equal(rw_checkpoint_about(checkpoint)->sequences_seen, 72);
    rw_checkpoint_close(&checkpoint);
}

static void only_the_newest_are_kept(void **in)
{
    state *s = *in;
    for (uint64_t step = 1; step <= 5; step++) state_save(s, step, 3);
    assert_int_equal(folder_count(s->dir, "step-"), 3);
    state_save(s, 6, 0);
    assert_int_equal(folder_count(s->dir, "step-"), 2);
    state_expect(s, join(s->dir, "step-00000005"), 5);
    size_t size;
    unsigned char *latest = file_contents(join(s->dir, "latest"), &size);
    assert_string_equal((char *)latest, "step-00000006\n");
    free(latest);
}

/* Damaged ones do not count as what a run can fall back to. */
static void pruning_leaves_two_undamaged(void **in)
{
    state *s = *in;
    for (uint64_t step = 1; step <= 3; step++) state_save(s, step, 3);
    assert_int_equal(unlink(join(s->dir, "step-00000003/index.h5")), 0);
    assert_int_equal(unlink(join(s->dir, "step-00000002/data-0.h5")), 0);
    state_save(s, 4, 2);
    assert_int_equal(folder_count(s->dir, "step-"), 4);
    state_expect(s, join(s->dir, "step-00000001"), 1);
    state_save(s, 5, 2);
    state_expect(s, join(s->dir, "step-00000004"), 4);
    assert_int_equal(folder_count(s->dir, "step-"), 2);
}

static void expect_hint(state *s, const char *hint, const char *name)
{
    size_t size;
    char line[80];
    unsigned char *text = file_contents(join(s->dir, hint), &size);
    snprintf(line, sizeof line, "%s\n", name);
    assert_string_equal((char *)text, line);
    free(text);
}

/* A checkpoint of this held-out loss; NaN: it was not evaluated. */
static void save_evaluated(state *s, uint64_t step, double loss)
{
    state_fill(s, step);
    s->meta.evaluated = loss == loss;
    s->meta.heldout_loss = loss == loss ? loss : 0;
    rw_status status =
        rw_checkpoint_save(&s->layout, s->dir, &s->meta, s->tensors, STATE_TENSORS, RW_KEEP_ALL);
    assert_string_equal(rw_message(), "");
    assert_int_equal(status, RW_OK);
}

static void the_best_are_kept(void **in)
{
    state *s = *in;
    const double losses[] = {3, 1.5, 2, NAN, 1.25, NAN, 4, 2.5};
    bool yes;
    for (uint64_t step = 1; step <= 8; step++) {
        save_evaluated(s, step, losses[step - 1]);
        rw_checkpoint_prune(s->dir, step, 2, 1, 2);
    }
    /* The two newest, and the two best: 1.5 and 1.25. */
    assert_int_equal(folder_count(s->dir, "step-"), 4);
    state_expect(s, join(s->dir, "step-00000002"), 2);
    state_expect(s, join(s->dir, "step-00000007"), 7);
    expect_hint(s, "best", "step-00000005");
    state_expect(s, join(s->dir, "best"), 5);
    state_expect(s, join(s->dir, "latest"), 8);
    state_expect_newest(s, 8);
    const struct {
        double loss;
        bool best;
    } cases[] = {{1, true}, {1.4, true}, {1.5, false}, {2, false}, {NAN, false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(rw_checkpoint_is_best(&s->layout, s->dir, 2, cases[i].loss, &yes), RW_OK);
        assert_int_equal(yes, cases[i].best);
    }
    assert_int_equal(rw_checkpoint_is_best(&s->layout, s->dir, 0, 1, &yes), RW_OK);
    assert_false(yes);
    /* Without the key they are as any other. */
    rw_checkpoint_prune(s->dir, 8, 2, 1, 0);
    assert_int_equal(folder_count(s->dir, "step-"), 2);
    assert_int_equal(folder_count(s->dir, "best"), 0);
    rw_checkpoint *checkpoint;
    expect_failure(rw_checkpoint_open(join(s->dir, "best"), &checkpoint), "best is not a folder");
    file_put(join(s->dir, "best"), "../../etc\n", 10);
    expect_failure(rw_checkpoint_open(join(s->dir, "best"), &checkpoint), "does not name");
}

/* What a rollback goes back to: however often a run was interrupted since. */
static void regular_steps_are_kept(void **in)
{
    state *s = *in;
    char *path;
    const uint64_t steps[] = {0, 5, 10, 11, 15, 16, 17, 18};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        save_evaluated(s, steps[i], NAN);
        rw_checkpoint_prune(s->dir, steps[i], 2, 5, 0);
    }
    assert_int_equal(folder_count(s->dir, "step-"), 4);
    state_expect(s, join(s->dir, "step-00000010"), 10);
    state_expect(s, join(s->dir, "step-00000015"), 15);
    assert_int_equal(rw_checkpoint_find_before(&s->layout, s->dir, 18, 5, &path), RW_OK);
    assert_string_equal(path, join(s->dir, "step-00000015"));
    rw_free(&path);
    assert_int_equal(rw_checkpoint_find_before(&s->layout, s->dir, 15, 5, &path), RW_OK);
    assert_string_equal(path, join(s->dir, "step-00000010"));
    rw_free(&path);
    assert_int_equal(rw_checkpoint_find_before(&s->layout, s->dir, 15, 0, &path), RW_OK);
    assert_null(path);
}

static void what_is_set_aside_is_not_found(void **in)
{
    state *s = *in;
    uint64_t moved;
    char *path;
    save_evaluated(s, 1, 2);
    save_evaluated(s, 2, NAN);
    save_evaluated(s, 3, 1);
    rw_checkpoint_prune(s->dir, 3, 3, 1, 1);
    expect_hint(s, "best", "step-00000003");
    assert_int_equal(rw_checkpoint_find_before(&s->layout, s->dir, 3, 1, &path), RW_OK);
    assert_string_equal(path, join(s->dir, "step-00000002"));
    rw_free(&path);
    assert_int_equal(rw_checkpoint_find_before(&s->layout, s->dir, 1, 1, &path), RW_OK);
    assert_null(path);
    assert_int_equal(rw_checkpoint_set_aside(s->dir, 2, &moved), RW_OK);
    assert_int_equal(moved, 2);
    state_expect_newest(s, 1);
    expect_hint(s, "latest", "step-00000001");
    expect_hint(s, "best", "step-00000001");
    state_expect(s, join(s->dir, "set-aside-step-00000003"), 3);
    /* Another state of the same step gets another name, the same state none. */
    save_evaluated(s, 3, NAN);
    assert_int_equal(rw_checkpoint_set_aside(s->dir, 3, &moved), RW_OK);
    assert_int_equal(folder_count(s->dir, "set-aside-step-00000003"), 1);
    s->meta.sequences_seen++;
    assert_int_equal(rw_checkpoint_save(&s->layout, s->dir, &s->meta, s->tensors, STATE_TENSORS, 3),
                     RW_OK);
    assert_int_equal(rw_checkpoint_set_aside(s->dir, 2, &moved), RW_OK);
    assert_int_equal(moved, 1);
    assert_int_equal(folder_count(s->dir, "set-aside-step-00000003"), 2);
}

/* Counters and losses come back as they were; what an older program did not say is not made up. */
static void progress_is_read_back(void **in)
{
    state *s = *in;
    rw_checkpoint *checkpoint;
    state_fill(s, 7);
    rw_checkpoint_meta *m = &s->meta;
    assert_int_equal(rw_checkpoint_save(&s->layout, s->dir, m, s->tensors, STATE_TENSORS, 2),
                     RW_OK);
    assert_int_equal(rw_checkpoint_open(s->dir, &checkpoint), RW_OK);
    assert_false(rw_checkpoint_about(checkpoint)->counts_tokens);
    assert_false(rw_checkpoint_about(checkpoint)->evaluated);
    rw_checkpoint_close(&checkpoint);
    m->counts_tokens = m->evaluated = true;
    m->tokens_seen = (uint64_t)1 << 52;
    m->skipped_in_a_row = 3;
    m->known_good = true;
    m->rollbacks = 2;
    m->skipped_sequences = 48;
    m->running_count = 7;
    m->running_loss = 0.1 + 0.2;
    m->running_jump = 1.0 / 3;
    m->last_loss = 1e-300;
    m->heldout_loss = 2;
    assert_int_equal(rw_checkpoint_save(&s->layout, s->dir, m, s->tensors, STATE_TENSORS, 2),
                     RW_OK);
    assert_int_equal(rw_checkpoint_open(s->dir, &checkpoint), RW_OK);
    const rw_checkpoint_meta *read = rw_checkpoint_about(checkpoint);
    assert_true(read->counts_tokens && read->evaluated && read->known_good);
    assert_int_equal(read->tokens_seen, m->tokens_seen);
    assert_int_equal(read->skipped_in_a_row, 3);
    assert_int_equal(read->rollbacks, 2);
    assert_int_equal(read->skipped_sequences, 48);
    assert_int_equal(read->running_count, 7);
    assert_true(read->running_loss == m->running_loss && read->running_jump == m->running_jump);
    assert_true(read->last_loss == m->last_loss && read->heldout_loss == 2);
    rw_checkpoint_close(&checkpoint);
    m->running_loss = INFINITY;
    expect_failure(rw_checkpoint_save(&s->layout, s->dir, m, s->tensors, STATE_TENSORS, 2),
                   "not finite");
}

static void leftovers_are_cleared(void **in)
{
    state *s = *in;
    state_save(s, 1, 2);
    assert_int_equal(mkdir(join(s->dir, "step-00000002.tmp.99"), 0777), 0);
    file_put(join(s->dir, "step-00000002.tmp.99/data-0.h5"), "half", 4);
    file_put(join(s->dir, "latest.tmp.99"), "half", 4);
    file_put(join(s->dir, "notes.txt"), "mine", 4);
    assert_int_equal(rename(join(s->dir, "step-00000001"), join(s->dir, "step-00000001.old")), 0);
    state_expect_newest(s, 1);
    state_save(s, 3, 2);
    assert_int_equal(folder_count(s->dir, ".tmp."), 0);
    assert_int_equal(folder_count(s->dir, ".old"), 0);
    assert_int_equal(folder_count(s->dir, "notes.txt"), 1);
    state_expect(s, join(s->dir, "step-00000001"), 1);
}

static void nothing_saved_is_no_error(void **in)
{
    state *s = *in;
    char *path = (char *)"";
    rw_checkpoint *checkpoint;
    assert_int_equal(rw_checkpoint_find(&s->layout, s->dir, &path), RW_OK);
    assert_null(path);
    expect_failure(rw_checkpoint_open(s->root, &checkpoint), "no undamaged checkpoint");
    expect_failure(rw_checkpoint_open(join(s->root, "absent"), &checkpoint), "not a folder");
    assert_null(checkpoint);
}

static void another_model_is_refused(void **in)
{
    state *s = *in;
    rw_checkpoint *checkpoint;
    state_save(s, 1, 2);
    rw_tensor turned = {
        .name = "param/embedding", .dims = 2, .shape = {3, 16}, .data = s->tensors[0].data};
    rw_tensor absent = {
        .name = "param/absent", .dims = 1, .shape = {4}, .data = s->tensors[0].data};
    rw_tensor twice[2] = {s->tensors[0], s->tensors[0]};
    assert_int_equal(rw_checkpoint_open(s->dir, &checkpoint), RW_OK);
    rw_status status = rw_checkpoint_read(checkpoint, &turned, 1);
    assert_non_null(strstr(rw_message(), "16x3"));
    assert_non_null(strstr(rw_message(), "3x16"));
    expect_failure(status, "another model");
    expect_failure(rw_checkpoint_read(checkpoint, &absent, 1), "no tensor param/absent");
    expect_failure(rw_checkpoint_read(checkpoint, twice, 2), "twice");
    rw_checkpoint_close(&checkpoint);
}

static void impossible_tensors_are_refused(void **in)
{
    state *s = *in;
    real one = 1;
    const rw_tensor bad[] = {{.name = "param/a", .dims = 0, .shape = {0}, .data = &one},
                             {.name = "param/a", .dims = 2, .shape = {3, 0}, .data = &one},
                             {.name = "param/a", .dims = 5, .shape = {1, 1, 1, 1}, .data = &one},
                             {.name = "param/a b", .dims = 1, .shape = {1}, .data = &one}};
    const rw_tensor twins[] = {{.name = "a", .dims = 1, .shape = {1}, .data = &one},
                               {.name = "a", .dims = 1, .shape = {1}, .data = &one}};
    const rw_tensor nested[] = {{.name = "a", .dims = 1, .shape = {1}, .data = &one},
                                {.name = "a/b", .dims = 1, .shape = {1}, .data = &one}};
    state_fill(s, 1);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        expect_failure(rw_checkpoint_save(&s->layout, s->dir, &s->meta, &bad[i], 1, 2),
                       "cannot be saved");
    expect_failure(rw_checkpoint_save(&s->layout, s->dir, &s->meta, twins, 2, 2), "two tensors");
    expect_failure(rw_checkpoint_save(&s->layout, s->dir, &s->meta, nested, 2, 2), "HDF5 cannot");
    s->meta.config = "\xff\xfe";
    expect_failure(rw_checkpoint_save(&s->layout, s->dir, &s->meta, twins, 1, 2), "UTF-8");
    assert_int_equal(folder_count(s->dir, ""), 0);
}

static void export_is_plain_hdf5(void **in)
{
    state *s = *in;
    const char *path = join(s->root, "weights.h5");
    real values[48];
    state_save(s, 2, 2);
    assert_int_equal(rw_checkpoint_export(s->dir, path, false), RW_OK);
    rw_hdf5_lock();
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    hid_t dataset = H5Dopen2(file, "param/embedding", H5P_DEFAULT);
    hid_t type = sizeof(real) == 8 ? H5T_NATIVE_DOUBLE : H5T_NATIVE_FLOAT;
    assert_true(H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0);
    assert_memory_equal(values, s->tensors[0].data, sizeof values);
    assert_true(H5Lexists(file, "opt", H5P_DEFAULT) == 0);
    H5Dclose(dataset);
    H5Fclose(file);
    rw_hdf5_unlock();
    expect_failure(rw_checkpoint_export(s->dir, join(s->root, "absent/weights.h5"), false),
                   "create");
    assert_int_equal(folder_count(s->root, "weights"), 1);
}

static void standard_tools_see_single_tensors(void **in)
{
    state *s = *in;
    char command[600], text[20000];
    if (system("h5dump --version >/dev/null 2>&1") != 0) skip();
    rw_image_target_bytes = 128;
    state_save(s, 2, 2);
    rw_image_target_bytes = RW_IMAGE_TARGET_BYTES;
    assert_true(folder_count(join(s->dir, "step-00000002"), "data-") > 2);
    snprintf(command, sizeof command, "h5dump -H '%s/step-00000002/index.h5' 2>&1", s->dir);
    FILE *out = popen(command, "r");
    text[fread(text, 1, sizeof text - 1, out)] = '\0';
    assert_int_equal(pclose(out), 0);
    assert_non_null(strstr(text, "DATASET \"embedding\""));
    assert_non_null(strstr(text, "( 16, 3 )"));
    assert_non_null(strstr(text, "( 2, 1, 3, 2 )"));
    assert_non_null(strstr(text, "ATTRIBUTE \"step\""));
}

static void reports_name_what_is_there(void **in)
{
    state *s = *in;
    char *text;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    state_save(s, 2, 2);
    state_save(s, 3, 2);
    assert_int_equal(unlink(join(s->dir, "step-00000003/data-0.h5")), 0);
    assert_int_equal(rw_checkpoint_list(s->dir, out), RW_OK);
    assert_int_equal(rw_checkpoint_show(join(s->dir, "step-00000002"), out), RW_OK);
    expect_failure(rw_checkpoint_verify(s->dir, out), "1 of 2 checkpoints");
    expect_failure(rw_checkpoint_digest(s->dir, out), "data-0.h5");
    fclose(out);
    assert_non_null(strstr(text, "step-00000003    damaged: "));
    assert_non_null(strstr(text, "param/blocks/0/filter"));
    assert_non_null(strstr(text, "step-00000002: ok, 5 tensors"));
    assert_non_null(strstr(text, "  width: 3\n"));
    free(text);
}

int main(int argc, char **argv)
{
#define CASE(function) cmocka_unit_test_setup_teardown(function, state_setup, state_teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chunks_tile_the_block),
        cmocka_unit_test(names_are_checked),
        CASE(what_was_saved_is_read),
        CASE(tokens_may_be_unknown),
        CASE(large_tensors_span_files),
        CASE(digests_tell_states_apart),
        CASE(equal_states_make_equal_files),
        CASE(saving_a_step_again_replaces_it),
        CASE(only_the_newest_are_kept),
        CASE(pruning_leaves_two_undamaged),
        CASE(the_best_are_kept),
        CASE(regular_steps_are_kept),
        CASE(what_is_set_aside_is_not_found),
        CASE(progress_is_read_back),
        CASE(leftovers_are_cleared),
        CASE(nothing_saved_is_no_error),
        CASE(another_model_is_refused),
        CASE(impossible_tensors_are_refused),
        CASE(export_is_plain_hdf5),
        CASE(standard_tools_see_single_tensors),
        CASE(reports_name_what_is_there),
    };
    MPI_Init(&argc, &argv);
    int failed = cmocka_run_group_tests_name("checkpoint", tests, NULL, NULL);
    MPI_Finalize();
    return failed;
}
