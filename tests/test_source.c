/* Sources of datasets, and the loader: a sequence depends on its index alone,
 * whatever was read before and in whatever parts. */
#include "tests/sequences.h"

#include <fcntl.h>
#include <math.h>

#include "base/log.h"
#include "base/memory.h"
#include "data_pipeline/loader.h"
#include "data_pipeline/stream_sampler.h"
#include "data_pipeline/window_sampler.h"

#define CHUNK RW_DATASET_CHUNK

/* ---- sampling ---- */

static void a_pass_takes_each_window_once(void **state)
{
    (void)state;
    const uint64_t cases[][2] = {{1, 1},   {10, 10},  {11, 10},  {19, 10},  {20, 10},
                                 {100, 1}, {159, 10}, {160, 10}, {163, 10}, {5000, 7}};
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        uint64_t tokens = cases[c][0], length = cases[c][1];
        rw_window_sampler s = rw_window_sampler_make(tokens, length, 42);
        assert_true(s.windows >= 1);
        for (uint64_t pass = 0; pass < 5; pass++) {
            uint8_t *covered = calloc(tokens, 1);
            for (uint64_t i = 0; i < s.windows; i++) {
                uint64_t start = rw_window_sampler_start(&s, pass * s.windows + i);
                assert_true(start + length <= tokens);
                for (uint64_t t = start; t < start + length; t++) assert_int_equal(covered[t]++, 0);
            }
            free(covered);
        }
    }
}

static void passes_differ_in_order_and_cuts(void **state)
{
    (void)state;
    rw_window_sampler s = rw_window_sampler_make(64000, 64, 1);
    uint64_t moved = 0, shifted = 0;
    for (uint64_t i = 0; i < s.windows; i++) {
        uint64_t first = rw_window_sampler_start(&s, i);
        uint64_t second = rw_window_sampler_start(&s, s.windows + i);
        moved += first / 64 != second / 64;
        shifted += first % 64 != second % 64;
    }
    assert_true(moved > s.windows * 9 / 10);
    assert_int_equal(shifted, s.windows);
}

/* A pass goes once through all streams, window after window, wherever it begins. */
static void streams_go_on_from_step_to_step(void **state)
{
    (void)state;
    const uint64_t cases[][3] = {{1, 1, 1}, {30, 10, 3}, {35, 10, 3}, {163, 10, 4}, {5000, 7, 5}};
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        uint64_t tokens = cases[c][0], length = cases[c][1], batch = cases[c][2];
        rw_stream_sampler s = rw_stream_sampler_make(tokens, length, batch, 42);
        uint64_t last[5], all = s.windows * batch, steps = s.windows;
        assert_true(steps >= 1 && tokens - all * length < batch * length);
        for (uint64_t step = 0; step < 3 * steps; step++)
            for (uint64_t b = 0; b < batch; b++) {
                bool begins;
                uint64_t start = rw_stream_sampler_start(&s, step * batch + b, &begins);
                assert_true(start + length <= tokens);
                assert_int_equal(begins, step % steps == 0);
                if (!begins) assert_int_equal(start, last[b] + length);
                if (begins && b > 0) assert_int_equal(start, last[b - 1] + steps * length);
                last[b] = start;
            }
    }
}

static void streams_that_are_too_short_have_no_windows(void **state)
{
    (void)state;
    assert_int_equal(rw_stream_sampler_make(29, 10, 3, 1).windows, 0);
}

/* ---- datasets ---- */

static void targets_are_the_next_tokens(void **state)
{
    (void)state;
    const long length = 50000;
    const uint64_t train = 2 * CHUNK + 100;
    uint8_t *bytes = build_bytes(train + 5000, 5000);
    rw_source *source;
    assert_int_equal(open_source(NULL, length, 3, &source), RW_OK);
    assert_int_equal(rw_source_tokens(source), train);
    assert_true(rw_source_is_bytes(source));
    assert_null(rw_source_alphabet(source));
    rw_window_sampler sampler = rw_window_sampler_make(train, (uint64_t)length, 3);
    rw_sequence s = new_sequence(rw_source_format(source), length);
    for (uint64_t index = 0; index < 3 * sampler.windows; index++) {
        uint64_t start = rw_window_sampler_start(&sampler, index);
        assert_int_equal(rw_source_read(source, RW_TRAIN, index, 0, length, &s), RW_OK);
        for (long i = 0; i < length; i++) {
            uint64_t at = start + (uint64_t)i;
            int32_t target = at + 1 < train ? bytes[at + 1] : RW_IGNORE;
            if (s.tokens[i] != bytes[at] || s.targets[i] != target)
                fail_msg("sequence %d, token %ld", (int)index, i);
        }
        assert_parts_equal_whole(source, RW_TRAIN, index, length);
    }
    free_sequence(&s);
    rw_source_close(&source);
    assert_same_by_index(NULL, length, RW_TRAIN);
    free(bytes);
}

/* The tokens of a step are followed by those of the next; a document begins with
 * each stream and nowhere else. */
static void carried_sequences_go_on(void **state)
{
    (void)state;
    enum { LENGTH = 100, BATCH = 3, STEPS = 10 }; /* 3150 tokens: 10 windows a stream */
    char text[5000];
    uint8_t starts[LENGTH], *bytes = build_bytes(3650, 500);
    int32_t next[BATCH] = {0};
    rw_source *source;
    snprintf(text, sizeof text, "{dataset: %s, length: 100, batch: 3, carry: true}",
             in_folder("out.h5"));
    assert_int_equal(open_keys(text, 7, &source), RW_OK);
    assert_true(rw_source_has_documents(source));
    rw_sequence s = new_sequence(rw_source_format(source), LENGTH);
    s.starts = starts;
    for (uint64_t index = 0; index < 2 * STEPS * BATCH; index++) {
        bool begins = index / BATCH % STEPS == 0;
        assert_int_equal(rw_source_read(source, RW_TRAIN, index, 0, LENGTH, &s), RW_OK);
        for (int i = 0; i < LENGTH; i++) assert_int_equal(starts[i], begins && i == 0);
        if (!begins) assert_int_equal(s.tokens[0], next[index % BATCH]);
        next[index % BATCH] = s.targets[LENGTH - 1];
        assert_int_equal(rw_source_read(source, RW_TRAIN, index, 1, LENGTH - 1, &s), RW_OK);
        assert_int_equal(starts[0], 0);
        assert_int_equal(rw_source_position(source, RW_TRAIN, index),
                         index / BATCH % STEPS * LENGTH);
    }
    assert_int_equal(rw_source_position(source, RW_HELDOUT, BATCH), 0);
    free_sequence(&s);
    rw_source_close(&source);
    free(bytes);
}

static void what_cannot_be_carried_is_refused(void **state)
{
    (void)state;
    rw_source *source;
    char text[5000];
    free(build_bytes(3650, 500));
    snprintf(text, sizeof text, "{dataset: %s, length: 1051, batch: 3, carry: true}",
             in_folder("out.h5"));
    assert_message(open_keys(text, 7, &source), RW_USAGE, "3 streams of the 3150");
    assert_message(
        open_keys("{task: {name: mqar}, length: 100, batch: 3, carry: true}", 7, &source), RW_USAGE,
        "carry: sequences of a task");
}

static void the_whole_training_split_may_be_one_sequence(void **state)
{
    (void)state;
    const long length = CHUNK + 3;
    uint8_t *bytes = build_bytes((size_t)length, 0);
    rw_source *source;
    assert_int_equal(open_source(NULL, length, 3, &source), RW_OK);
    rw_sequence s = new_sequence(rw_source_format(source), length);
    for (uint64_t index = 0; index < 2; index++) {
        assert_int_equal(rw_source_read(source, RW_TRAIN, index, 0, length, &s), RW_OK);
        for (long i = 0; i < length; i++) assert_int_equal(s.tokens[i], bytes[i]);
        assert_int_equal(s.targets[length - 2], bytes[length - 1]);
        assert_int_equal(s.targets[length - 1], RW_IGNORE);
    }
    assert_message(rw_source_read(source, RW_HELDOUT, 0, 0, 1, &s), RW_ERROR,
                   "has no held-out tokens");
    rw_source_close(&source);
    assert_message(open_source(NULL, length + 1, 3, &source), RW_USAGE, "longer than the 262147");
    free_sequence(&s);
    free(bytes);
}

static void held_out_windows_cover_their_split(void **state)
{
    (void)state;
    const long length = 300;
    const uint64_t tokens = 5000, heldout = 1000, begin = tokens - heldout;
    uint8_t *bytes = build_bytes(tokens, heldout);
    rw_source *source;
    assert_int_equal(open_source(NULL, length, 3, &source), RW_OK);
    assert_int_equal(rw_source_heldout_count(source), 4);
    rw_sequence s = new_sequence(rw_source_format(source), length);
    for (uint64_t index = 0; index < 6; index++) {
        assert_int_equal(rw_source_read(source, RW_HELDOUT, index, 0, length, &s), RW_OK);
        for (uint64_t i = 0; i < (uint64_t)length; i++) {
            uint64_t at = begin + index * (uint64_t)length + i;
            assert_int_equal(s.tokens[i], at < tokens ? bytes[at] : 0);
            assert_int_equal(s.targets[i], at + 1 < tokens ? bytes[at + 1] : RW_IGNORE);
        }
        assert_parts_equal_whole(source, RW_HELDOUT, index, length);
    }
    assert_int_equal(rw_source_read(source, RW_HELDOUT, UINT64_MAX, 0, length, &s), RW_OK);
    assert_int_equal(s.targets[0], RW_IGNORE);
    free_sequence(&s);
    rw_source_close(&source);
    free(bytes);
}

static void alphabets_are_told(void **state)
{
    (void)state;
    rw_source *source;
    write_file("in.fa", ">g\nGATTACA\n", 11);
    assert_int_equal(build_from("out.h5", "in.fa", "auto", 0), RW_OK);
    assert_int_equal(open_source(NULL, 7, 1, &source), RW_OK);
    assert_string_equal(rw_source_alphabet(source), "ACGT");
    assert_false(rw_source_is_bytes(source));
    assert_int_equal(rw_source_format(source)->vocab, 4);
    rw_source_close(&source);
}

/* ---- parts of a dataset ---- */

static rw_status open_out(source_use use, const char *keys, rw_source **out)
{
    char text[5000];
    snprintf(text, sizeof text, "{dataset: %s, batch: 2, %s}", in_folder("out.h5"), keys);
    return open_for(use, text, 5, out);
}

/* Documents "a", "bb", "ccc" ... of which the lengths tell how often each letter
 * occurs. */
static void build_documents(int count, const rw_dataset_options *options)
{
    const char *inputs[] = {in_folder("in.jsonl")};
    FILE *file = fopen(in_folder("in.jsonl"), "w");
    for (int i = 0; i < count; i++) {
        fputs("{\"text\": \"", file);
        for (int j = 0; j <= i; j++) fputc('a' + i, file);
        fputs("\"}\n", file);
    }
    fclose(file);
    assert_int_equal(rw_dataset_build(in_folder("out.h5"), inputs, 1, options), RW_OK);
}

/* Reads sequences and counts the letters, and the targets; a letter is only ever
 * predicted from its own kind. */
static void count_letters(rw_source *source, rw_split_name split, uint64_t sequences,
                          int letters[26], uint64_t *targets)
{
    int32_t tokens[7], next[7];
    uint8_t starts[7];
    rw_sequence s = {.tokens = tokens, .targets = next, .starts = starts};
    int last = -1;
    for (uint64_t i = 0; i < sequences; i++) {
        assert_int_equal(rw_source_read(source, split, i, 0, 7, &s), RW_OK);
        for (int j = 0; j < 7 && tokens[j]; j++) {
            letters[tokens[j] - 'a']++;
            if (split == RW_HELDOUT && last >= 0) assert_int_equal(starts[j], tokens[j] != last);
            last = tokens[j];
            if (next[j] == RW_IGNORE) continue;
            assert_int_equal(next[j], tokens[j]);
            ++*targets;
        }
    }
}

/* Training and held-out part share nothing and leave nothing out, wherever the
 * held-out documents are, and no target crosses from one document to another. */
static void scattered_parts_are_read_whole(void **state)
{
    (void)state;
    enum { DOCUMENTS = 20, TOKENS = DOCUMENTS * (DOCUMENTS + 1) / 2 };
    for (uint64_t seed = 1; seed < 6; seed++) {
        rw_source *source;
        int held[26] = {0}, all[26] = {0};
        uint64_t targets = 0, all_targets = 0;
        build_documents(DOCUMENTS, &(rw_dataset_options){.heldout = 0.4,
                                                         .heldout_by = "shuffled",
                                                         .seed = seed,
                                                         .replace = true});
        assert_int_equal(open_out(TO_TRAIN, "length: 7", &source), RW_OK);
        count_letters(source, RW_HELDOUT, rw_source_heldout_count(source), held, &targets);
        assert_int_equal(targets, rw_source_heldout_targets(source));
        uint64_t training = rw_source_tokens(source), seen = 0;
        assert_int_equal(rw_source_overlap(source, rw_source_fingerprint(source)), RW_OVERLAP_NONE);
        rw_window_sampler sampler = rw_window_sampler_make(training, 7, 5);
        int trained[26] = {0};
        count_letters(source, RW_TRAIN, 30 * sampler.windows, trained, &seen);
        for (int i = 0; i < DOCUMENTS; i++) {
            assert_true(held[i] == 0 || held[i] == i + 1);
            assert_int_equal(trained[i] == 0, held[i] != 0);
        }
        rw_source_close(&source);
        assert_int_equal(open_out(TO_EVALUATE_ALL, "length: 7", &source), RW_OK);
        count_letters(source, RW_HELDOUT, rw_source_heldout_count(source), all, &all_targets);
        for (int i = 0; i < DOCUMENTS; i++) assert_int_equal(all[i], i + 1);
        assert_int_equal(all_targets, rw_source_heldout_targets(source));
        assert_int_equal(all_targets, TOKENS - DOCUMENTS);
        assert_int_equal(rw_source_overlap(source, rw_source_fingerprint(source)),
                         RW_OVERLAP_CERTAIN);
        assert_int_equal(rw_source_overlap(source, 1), RW_OVERLAP_POSSIBLE);
        rw_source_close(&source);
    }
}

/* A mean over nothing is refused, with what to do. */
static void parts_with_nothing_to_predict_are_refused(void **state)
{
    (void)state;
    rw_source *source;
    const char *inputs[] = {in_folder("in.jsonl")};
    const char lines[] = "{\"text\": \"a\"}\n{\"text\": \"b\"}\n{\"text\": \"c\"}\n";
    write_file("in.jsonl", lines, strlen(lines));
    rw_dataset_options options = {.heldout = 0.5, .replace = true};
    assert_int_equal(rw_dataset_build(in_folder("out.h5"), inputs, 1, &options), RW_OK);
    assert_message(open_out(TO_TRAIN, "length: 1", &source), RW_ERROR, "no document has two");
    assert_message(open_out(TO_EVALUATE_HELDOUT, "length: 1", &source), RW_ERROR,
                   "nothing to predict in the 1 tokens");
    assert_message(open_out(TO_EVALUATE_ALL, "length: 1", &source), RW_ERROR, "reset_documents");
    assert_int_equal(open_out(TO_TRAIN, "length: 1, reset_documents: false", &source), RW_OK);
    assert_int_equal(rw_source_heldout_targets(source), 0); /* one token */
    int32_t token, target;
    rw_sequence s = {.tokens = &token, .targets = &target};
    assert_message(rw_source_read(source, RW_HELDOUT, 0, 0, 1, &s), RW_ERROR, "nothing to predict");
    rw_source_close(&source);
    assert_int_equal(open_out(TO_EVALUATE_ALL, "length: 9, reset_documents: false", &source),
                     RW_OK);
    assert_int_equal(rw_source_heldout_targets(source), 2);
    rw_source_close(&source);
}

static void datasets_may_be_for_one_end_alone(void **state)
{
    (void)state;
    rw_source *source;
    write_file("in", "0123456789", 10);
    assert_int_equal(build_from("out.h5", "in", "text", 1), RW_OK);
    assert_message(open_out(TO_TRAIN, "length: 4", &source), RW_ERROR, "has no training tokens");
    assert_int_equal(open_out(TO_EVALUATE_HELDOUT, "length: 99", &source), RW_OK);
    assert_int_equal(rw_source_heldout_targets(source), 9);
    assert_int_equal(rw_source_tokens(source), 0);
    assert_int_equal(rw_source_overlap(source, rw_source_fingerprint(source)), RW_OVERLAP_NONE);
    rw_source_close(&source);
    assert_int_equal(build_from("out.h5", "in", "text", 0), RW_OK);
    assert_message(open_out(TO_EVALUATE_HELDOUT, "length: 4", &source), RW_ERROR, "no held-out");
    assert_int_equal(open_out(TO_TRAIN, "length: 4", &source), RW_OK);
    assert_int_equal(rw_source_heldout_targets(source), 0);
    rw_source_close(&source);
}

/* A file built by itself has its own alphabet; a model has that of its training. */
static void letters_are_numbered_as_the_model_does(void **state)
{
    (void)state;
    rw_source *source;
    int32_t tokens[3], targets[3];
    rw_sequence s = {.tokens = tokens, .targets = targets};
    write_file("in.fa", ">g\nTGN\n", 7);
    assert_int_equal(build_from("out.h5", "in.fa", "auto", 1), RW_OK);
    assert_int_equal(open_out(TO_EVALUATE_HELDOUT, "length: 3", &source), RW_OK);
    assert_int_equal(rw_source_read(source, RW_HELDOUT, 0, 0, 3, &s), RW_OK);
    assert_memory_equal(tokens, ((int32_t[]){1, 0, 2}), sizeof tokens);
    assert_message(rw_source_set_alphabet(source, "ACGT"), RW_ERROR, "the letter N, which is not");
    assert_message(rw_source_set_alphabet(source, NULL), RW_ERROR, "holds letters, but");
    assert_int_equal(rw_source_set_alphabet(source, "ACGTNR"), RW_OK);
    assert_int_equal(rw_source_format(source)->vocab, 6);
    assert_int_equal(rw_source_format(source)->target_vocab, 6);
    assert_string_equal(rw_source_alphabet(source), "ACGTNR");
    assert_int_equal(rw_source_read(source, RW_HELDOUT, 0, 0, 3, &s), RW_OK);
    assert_memory_equal(tokens, ((int32_t[]){3, 2, 4}), sizeof tokens);
    assert_memory_equal(targets, ((int32_t[]){2, 4, RW_IGNORE}), sizeof targets);
    rw_source_close(&source);
    write_file("in", "bytes", 5);
    assert_int_equal(build_from("out.h5", "in", "text", 1), RW_OK);
    assert_int_equal(open_out(TO_EVALUATE_HELDOUT, "length: 3", &source), RW_OK);
    assert_message(rw_source_set_alphabet(source, "ACGT"), RW_ERROR, "holds bytes, but");
    assert_int_equal(rw_source_set_alphabet(source, NULL), RW_OK);
    rw_source_close(&source);
}

/* Takes letters from the file's alphabet, so that its tokens no longer fit. */
static void shrink_alphabet(rw_dataset_header *header)
{
    header->alphabet[2] = '\0';
}

static void tokens_outside_the_vocabulary_are_errors(void **state)
{
    (void)state;
    rw_source *source;
    int32_t tokens[7], targets[7];
    rw_sequence s = {.tokens = tokens, .targets = targets};
    write_file("in.fa", ">g\nGATTACA\n", 11);
    assert_int_equal(build_from("out.h5", "in.fa", "auto", 0), RW_OK);
    edit_header("out.h5", shrink_alphabet);
    assert_int_equal(open_source(NULL, 7, 1, &source), RW_OK);
    assert_message(rw_source_read(source, RW_TRAIN, 0, 0, 7, &s), RW_ERROR,
                   "chunk 0 of 1 is damaged: a token is outside the vocabulary");
    rw_source_close(&source);
}

/* ---- the loader ---- */

static void assert_loaded(rw_source *source, rw_split_name split, long batch, rw_range sequences,
                          rw_range rows, uint64_t seen)
{
    const rw_format *f = rw_source_format(source);
    rw_loader *loader;
    const rw_batch *b;
    long count = rows.end - rows.begin;
    rw_sequence direct = new_sequence(f, count);
    assert_int_equal(rw_loader_new(source, split, batch, sequences, rows, seen, &loader), RW_OK);
    for (uint64_t k = 0; k < 5; k++) {
        long counted = 0;
        assert_int_equal(rw_loader_next(loader, &b), RW_OK);
        assert_int_equal(b->sequences, sequences.end - sequences.begin);
        assert_int_equal(b->rows, count);
        const rw_sequence whole = {.tokens = b->tokens,
                                   .targets = b->targets,
                                   .features = b->features,
                                   .target_features = b->target_features};
        for (long i = 0; i < b->sequences; i++) {
            uint64_t index = seen + k * (uint64_t)batch + (uint64_t)(sequences.begin + i);
            assert_int_equal(rw_source_read(source, split, index, rows.begin, count, &direct),
                             RW_OK);
            assert_part(f, &whole, i * count, &direct, count);
            for (long row = 0; row < count; row++)
                counted += f->target_vocab ? direct.targets[row] != RW_IGNORE
                                           : !isnan(direct.target_features[row]);
        }
        assert_int_equal(b->counted, counted);
        assert_true(b->wait_s >= 0);
    }
    rw_loader_destroy(&loader);
    assert_null(loader);
    free_sequence(&direct);
}

static void the_loader_gives_what_direct_reads_give(void **state)
{
    (void)state;
    const rw_range sequences[] = {{0, 4}, {2, 3}, {1, 1}}, rows[] = {{0, 100}, {33, 66}, {5, 5}};
    const char *const tasks[] = {NULL, "{name: mqar}", "{name: delay}"};
    free(build_bytes(3000, 1000));
    size_t before = rw_memory_in_use();
    for (int t = 0; t < 3; t++) {
        rw_source *source;
        assert_int_equal(open_source(tasks[t], 100, 9, &source), RW_OK);
        for (int i = 0; i < 9; i++) {
            assert_loaded(source, RW_TRAIN, 4, sequences[i / 3], rows[i % 3], (uint64_t)i);
            assert_loaded(source, RW_HELDOUT, 4, sequences[i / 3], rows[i % 3], 0);
        }
        rw_source_close(&source);
    }
    assert_int_equal(rw_memory_in_use(), before);
}

static void steps_allocate_nothing(void **state)
{
    (void)state;
    rw_source *source;
    rw_loader *loader;
    const rw_batch *b;
    free(build_bytes(3 * CHUNK, 1000));
    assert_int_equal(open_source(NULL, 1000, 9, &source), RW_OK);
    assert_int_equal(
        rw_loader_new(source, RW_TRAIN, 4, (rw_range){0, 4}, (rw_range){0, 500}, 0, &loader),
        RW_OK);
    size_t before = rw_memory_allocations();
    for (int i = 0; i < 20; i++) assert_int_equal(rw_loader_next(loader, &b), RW_OK);
    assert_int_equal(rw_memory_allocations(), before);
    rw_loader_destroy(&loader);
    rw_source_close(&source);
}

/* Overwrites the middle of the file, where its chunks are. */
static void damage_file(void)
{
    int file = open(in_folder("out.h5"), O_RDWR);
    off_t middle = lseek(file, 0, SEEK_END) / 2;
    assert_int_equal(pwrite(file, "damage", 6, middle), 6);
    close(file);
}

static void errors_of_the_thread_reach_the_caller(void **state)
{
    (void)state;
    rw_source *source;
    rw_loader *loader;
    const rw_batch *b;
    free(build_bytes(CHUNK, 0));
    damage_file();
    assert_int_equal(open_source(NULL, 1000, 9, &source), RW_OK);
    for (int again = 0; again < 2; again++) {
        assert_int_equal(
            rw_loader_new(source, RW_TRAIN, 1, (rw_range){0, 1}, (rw_range){0, 1000}, 0, &loader),
            RW_OK);
        assert_message(rw_loader_next(loader, &b), RW_ERROR, "chunk 0 of 1 is damaged");
        assert_int_equal(rw_loader_next(loader, &b), RW_ERROR);
        assert_null(b);
        rw_loader_destroy(&loader);
    }
    rw_source_close(&source);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void)
{
    rw_log_speak(false);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pass_takes_each_window_once),
        cmocka_unit_test(passes_differ_in_order_and_cuts),
        cmocka_unit_test(streams_go_on_from_step_to_step),
        cmocka_unit_test(streams_that_are_too_short_have_no_windows),
        IN_FOLDER(targets_are_the_next_tokens),
        IN_FOLDER(carried_sequences_go_on),
        IN_FOLDER(what_cannot_be_carried_is_refused),
        IN_FOLDER(the_whole_training_split_may_be_one_sequence),
        IN_FOLDER(held_out_windows_cover_their_split),
        IN_FOLDER(alphabets_are_told),
        IN_FOLDER(scattered_parts_are_read_whole),
        IN_FOLDER(parts_with_nothing_to_predict_are_refused),
        IN_FOLDER(datasets_may_be_for_one_end_alone),
        IN_FOLDER(letters_are_numbered_as_the_model_does),
        IN_FOLDER(tokens_outside_the_vocabulary_are_errors),
        IN_FOLDER(the_loader_gives_what_direct_reads_give),
        IN_FOLDER(steps_allocate_nothing),
        IN_FOLDER(errors_of_the_thread_reach_the_caller),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
