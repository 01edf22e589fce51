/* Fixtures of the tests that drive the engine: small models around whatever is
 * registered, and random data for them. A test that loops over test_subjects
 * covers an op, a mixer or an objective from the day it is registered.
 *
 * Functions that return nothing fail the running test (cmocka) on an error. */
#ifndef TESTING_H
#define TESTING_H

#include <stdbool.h>

#include "mixers/mixer.h"
#include "model/engine.h"
#include "objectives/objective.h"
#include "optim/update.h"

/* Data of the tests: tokens and features, targets of both kinds. */
enum { TEST_VOCAB = 11, TEST_FEATURES = 3 };
/* Model width: a multiple of 8, but of no vector or cache line. */
enum { TEST_WIDTH = 24 };

/* True in the short form of the tests: RW_TEST_SCOPE=fast. */
bool test_is_fast(void);

/* ---- Subjects ------------------------------------------------------------- */

enum {
    TEST_OPS = 1,        /* the sample of every op:  features -> linear -> op -> loss */
    TEST_MIXERS = 2,     /* every mixer, likewise */
    TEST_OBJECTIVES = 4, /* every objective, on every kind of data that it accepts */
    TEST_HYBRIDS = 8,    /* whole models with all mixers, of tokens and of features */
    TEST_ALL = 15,
    TEST_CARRYING = 16, /* the hybrid of features, of the mixers that hand on what they have seen
                           from step to step (plan option carry) */
};

typedef struct {
    char name[64];
    const rw_op *op;
    const rw_mixer *mixer;
    const rw_objective *objective;
    rw_format format;   /* of objectives and hybrids */
    bool bidirectional; /* hybrids */
    bool carrying;      /* hybrids: of the mixers that carry */
} test_subject;

/* Writes up to `capacity` subjects of the wanted kinds; returns their number. */
int test_subjects(unsigned kinds, test_subject *out, int capacity);
/* The subject's model, trained; the weights are a function of the subject. */
rw_status test_model_new(const test_subject *subject, int chunk, rw_model **out);

/* Does the op hand on what it has seen from step to step (plan option carry)? */
bool test_op_carries(const rw_op *op);
/* Skips the running test if an op of the subject does not. */
void test_skip_unless_carries(const test_subject *subject);

/* A property that every subject must have: fails the running test otherwise. */
typedef struct {
    const char *name;
    void (*check)(const test_subject *subject);
} test_property;

/* Runs every property on every subject, each pair a test of its own; returns
 * what main does. MPI must be initialised. */
int test_run_properties(const char *group, const test_property *properties, int count,
                        unsigned kinds);

/* ---- Data ----------------------------------------------------------------- */

/* Random tokens, features and targets of both kinds; some targets are ignored. */
void test_batch_new(long sequences, long rows, rw_batch *out);
/* Lets documents begin at random rows, of one token and of several chunks; the
 * first sequence is one document. */
void test_batch_add_documents(rw_batch *batch);
/* A copy of the part that a rank holds. */
void test_batch_part(const rw_batch *whole, rw_range sequences, rw_range rows, rw_batch *out);
void test_batch_free(rw_batch *batch);
/* Sequence `index`, borrowed from the batch. */
rw_sequence test_batch_sequence(const rw_batch *batch, long index);

/* ---- Everything for a step ------------------------------------------------- */

typedef struct {
    rw_layout layout;
    rw_model *model;
    rw_engine *engine;
    rw_batch batch;
} test_rig;

/* The subject on this process alone. The number of threads is that of the rig
 * opened last: close one before opening the next. */
void test_rig_open(const test_subject *subject, const rw_plan_options *options, int threads,
                   test_rig *out);
void test_rig_close(test_rig *rig);
/* One training step (of fixed seed and number); returns the mean loss. */
double test_rig_train(test_rig *rig);

/* An optimizer of all tensors of the model; `keys`: YAML, "key: value, ...".
 * layout: it has its rank's shard alone; NULL: everything. */
void test_updater_new(const rw_model *model, const rw_optimizer *optimizer, const char *keys,
                      const rw_layout *layout, rw_updater **out);

/* Fails with the recorded message unless the status is RW_OK. */
void test_ok(rw_status status);
void *test_alloc(size_t count, size_t size);

#endif
