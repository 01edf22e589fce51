#include "train/settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "mpi/rank_compare.h"
#include "optim/schedule.h"
#include "optim/update.h"

#define SECTION(key, text)                                                                         \
    {                                                                                              \
        .name = key, .type = RW_KEY_MAP, .doc = text                                               \
    }

static const rw_key sections[] = {
    SECTION("model", "the network"),
    SECTION("data", "what it learns from"),
    SECTION("train", "how long, and how"),
    SECTION("optimizer", "how weights are updated"),
    SECTION("schedule", "learning rate over the steps"),
    SECTION("parallel", "ranks and threads"),
    SECTION("checkpoint", "what is kept"),
    SECTION("eval", "evaluation on held-out data"),
    RW_KEYS_END,
};

const rw_key rw_train_keys[] = {
    {.name = "steps",
     .type = RW_KEY_INT,
     .fallback = "500",
     .min = 0,
     .max = 1e12,
     .doc = "optimizer steps of the whole run; the horizon of the schedule"},
    {.name = "seed",
     .type = RW_KEY_INT,
     .fallback = "1",
     .min = 0,
     .max = 9e15,
     .doc = "of weights, data order, dropout and noise"},
    {.name = "precision",
     .type = RW_KEY_STRING,
     .fallback = "float32",
     .choices = "float32|bf16|bf16_emulated|auto",
     .doc =
         "of products with weights. bf16: operands rounded to bfloat16, sums and all else "
         "float32; a machine without such products continues in float32, with a warning. "
         "bf16_emulated: the same rounding on any machine, no faster. auto: a new run times a "
         "small step in float32 and in bf16, and takes bf16 if the step is at least 1.1 times as "
         "fast"},
    {.name = "recompute",
     .type = RW_KEY_STRING,
     .fallback = "none",
     .choices = "none|block|chunk",
     .doc = "saves memory, takes time, same bits. none: all activations are saved. block: block "
            "inputs are saved, and each block runs forward a second time. chunk: block inputs and "
            "carries are saved, and the rest is recomputed chunk by chunk, several times"},
    {.name = "accumulate",
     .type = RW_KEY_INT,
     .fallback = "1",
     .min = 1,
     .max = 1e6,
     .doc = "micro-batches per step: more micro-batches need less memory; same bits"},
    {.name = "rollback",
     .type = RW_KEY_INT,
     .fallback = "0",
     .min = 0,
     .max = 1e6,
     .doc = "times that a spike or a non-finite loss may send the run back to its last good "
            "checkpoint, past the batches since (0: never)"},
    {.name = "spike",
     .type = RW_KEY_REAL,
     .fallback = "2",
     .min = 0,
     .max = 1e6,
     .doc = "with rollback: a loss over this many times its running mean is a spike; above 1, or "
            "0: no loss is a spike"},
    RW_KEYS_END,
};

const rw_key rw_parallel_keys[] = {
    {.name = "dp",
     .type = RW_KEY_STRING,
     .fallback = "auto",
     .doc = "ranks that share the batch: auto, or a number"},
    {.name = "sp",
     .type = RW_KEY_STRING,
     .fallback = "auto",
     .doc = "ranks that share a sequence: auto, or a number"},
    {.name = "threads",
     .type = RW_KEY_STRING,
     .fallback = "auto",
     .doc = "threads of a rank: auto, or a number. auto: the rank's share of the cores that the "
            "ranks of the host may use, and not more than a quota (cgroup) allows"},
    RW_KEYS_END,
};

const rw_key rw_checkpoint_keys[] = {
    {.name = "every",
     .type = RW_KEY_INT,
     .fallback = "100",
     .min = 0,
     .max = 1e12,
     .doc = "steps between checkpoints; 0: only at the end"},
    {.name = "keep",
     .type = RW_KEY_INT,
     .fallback = "3",
     .min = 2,
     .max = 1e6,
     .doc = "newest checkpoints to keep"},
    {.name = "keep_best",
     .type = RW_KEY_INT,
     .fallback = "0",
     .min = 0,
     .max = 1e6,
     .doc = "checkpoints with the lowest held-out loss that are kept as well. An evaluation among "
            "them is saved at once. checkpoints/best names the best checkpoint: `ropewalk eval "
            "RUN/checkpoints/best`"},
    RW_KEYS_END,
};

const rw_key rw_eval_keys[] = {
    {.name = "every",
     .type = RW_KEY_INT,
     .fallback = "100",
     .min = 0,
     .max = 1e12,
     .doc = "steps between evaluations; 0: only at the end"},
    {.name = "batches",
     .type = RW_KEY_INT,
     .fallback = "8",
     .min = 1,
     .max = 1e9,
     .doc = "held-out batches of an evaluation"},
    RW_KEYS_END,
};

static rw_status check_section(rw_config *section, const rw_key *keys, const rw_key *more)
{
    return rw_config_check(section, (const rw_key *const[]){keys, more}, more ? 2 : 1);
}

/* Appends a name to the list of known names. */
static void list(char known[256], const char *name)
{
    size_t used = strlen(known);
    snprintf(known + used, 256 - used, "%s%s", used ? ", " : "", name);
}

static rw_status check_optimizer(const rw_settings *s)
{
    const char *name = rw_config_raw(s->optimizer, "name");
    const rw_optimizer *o = rw_optimizer_find(name ? name : "adamw");
    if (o) return check_section(s->optimizer, rw_update_keys, o->keys);
    char known[256] = "";
    for (int i = 0; rw_optimizer_registry[i]; i++) list(known, rw_optimizer_registry[i]->name);
    return rw_config_fail(s->optimizer, "name", "unknown optimizer %s; known: %s", name, known);
}

/* base_width and base_depth scale learning rates as Adam needs it. */
static rw_status check_growth(const rw_settings *s)
{
    const char *const keys[] = {"base_width", "base_depth"};
    const char *name = rw_config_string(s->optimizer, "name");
    if (strcmp(name, "adamw") == 0) return RW_OK;
    for (int i = 0; i < 2; i++) {
        const char *base = rw_config_raw(s->model, keys[i]);
        if (base && strcmp(base, "0") != 0)
            return rw_config_fail(s->model, keys[i],
                                  "learning rates are scaled as adamw needs it, and the optimizer "
                                  "is %s; choose adamw, or leave %s out",
                                  name, keys[i]);
    }
    return RW_OK;
}

static rw_status check_schedule(const rw_settings *s)
{
    const char *name = rw_config_raw(s->schedule, "name");
    const rw_schedule *c = rw_schedule_find(name ? name : "cosine");
    if (c) return check_section(s->schedule, rw_schedule_keys, c->keys);
    char known[256] = "";
    for (int i = 0; rw_schedule_registry[i]; i++) list(known, rw_schedule_registry[i]->name);
    return rw_config_fail(s->schedule, "name", "unknown schedule %s; known: %s", name, known);
}

static rw_status check_spike(const rw_config *train)
{
    double spike = rw_config_real(train, "spike");
    if (spike == 0 || spike > 1) return RW_OK;
    return rw_config_fail(train, "spike",
                          "%g times the running mean is no spike; give more than 1, "
                          "such as 2, or 0 for none",
                          spike);
}

static rw_status check(rw_settings *s)
{
    RW_TRY(rw_config_check(s->root, (const rw_key *const[]){sections}, 1));
    s->model = rw_config_map(s->root, "model");
    s->data = rw_config_map(s->root, "data");
    s->train = rw_config_map(s->root, "train");
    s->optimizer = rw_config_map(s->root, "optimizer");
    s->schedule = rw_config_map(s->root, "schedule");
    s->parallel = rw_config_map(s->root, "parallel");
    s->checkpoint = rw_config_map(s->root, "checkpoint");
    s->eval = rw_config_map(s->root, "eval");
    RW_TRY(check_section(s->data, rw_data_keys, NULL));
    RW_TRY(check_section(s->train, rw_train_keys, NULL));
    RW_TRY(check_spike(s->train));
    RW_TRY(check_section(s->parallel, rw_parallel_keys, NULL));
    RW_TRY(check_section(s->checkpoint, rw_checkpoint_keys, NULL));
    RW_TRY(check_section(s->eval, rw_eval_keys, NULL));
    RW_TRY(check_optimizer(s));
    RW_TRY(check_growth(s));
    RW_TRY(check_schedule(s));
    s->length = rw_config_int(s->data, "length");
    s->batch = rw_config_int(s->data, "batch");
    s->seed = (uint64_t)rw_config_int(s->train, "seed");
    s->steps = (uint64_t)rw_config_int(s->train, "steps");
    s->precision = RW_PRECISION_FLOAT32;
    s->precision_open = !rw_precision_find(rw_config_string(s->train, "precision"), &s->precision);
    return RW_OK;
}

static rw_status keep_if_right(rw_settings *s)
{
    rw_status status = check(s);
    if (status != RW_OK) rw_settings_free(s);
    return status;
}

rw_status rw_settings_load(const char *path, const char *const *overrides, int count,
                           rw_settings *out)
{
    memset(out, 0, sizeof *out);
    RW_TRY(rw_config_load(path, overrides, count, &out->root));
    return keep_if_right(out);
}

rw_status rw_settings_parse(const char *text, const char *name, const char *const *overrides,
                            int count, rw_settings *out)
{
    memset(out, 0, sizeof *out);
    RW_TRY(rw_config_parse(text, name, overrides, count, &out->root));
    return keep_if_right(out);
}

void rw_settings_free(rw_settings *settings)
{
    rw_config_destroy(&settings->root);
    memset(settings, 0, sizeof *settings);
}

rw_status rw_settings_compare(const rw_settings *s)
{
    char *text = NULL;
    RW_TRY(rw_agree_comm(MPI_COMM_WORLD, rw_config_write(s->root, &text)));
    rw_status status =
        rw_rank_compare(MPI_COMM_WORLD, "configuration", text, "give all hosts the same file");
    rw_free(&text);
    return status;
}

/* A number of ranks or threads: auto is 0. */
static rw_status ranks_of(const rw_config *parallel, const char *key, int *out)
{
    const char *text = rw_config_string(parallel, key);
    char *end;
    *out = 0;
    if (strcmp(text, "auto") == 0) return RW_OK;
    long n = strtol(text, &end, 10);
    if (*end || n < 1 || n > 1000000)
        return rw_config_fail(parallel, key, "%s is neither auto nor a positive number", text);
    *out = (int)n;
    return RW_OK;
}

rw_status rw_settings_layout(const rw_settings *s, rw_layout *out)
{
    int dp = 0, sp = 0, threads = 0, size;
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    rw_status status = ranks_of(s->parallel, "dp", &dp);
    if (status == RW_OK) status = ranks_of(s->parallel, "sp", &sp);
    if (status == RW_OK) status = ranks_of(s->parallel, "threads", &threads);
    RW_TRY(rw_agree_comm(MPI_COMM_WORLD, status));
    if (!dp && !sp)
        for (dp = size; dp > 1 && (size % dp || dp > s->batch);) dp--;
    return rw_layout_new(dp, sp, threads, out);
}

rw_status rw_settings_set_precision(rw_settings *s, rw_precision precision)
{
    s->precision = precision;
    s->precision_open = false;
    return rw_config_set(s->train, "precision", rw_precision_name(precision));
}

bool rw_settings_lack_bf16(const rw_layout *layout, char why[RW_WHY_SIZE])
{
    const char *missing = rw_precision_missing(RW_PRECISION_BF16);
    int rank = missing ? layout->rank : layout->size, first;
    MPI_Allreduce(&rank, &first, 1, MPI_INT, MPI_MIN, layout->world);
    if (first == layout->size) return false;
    if (missing) snprintf(why, RW_WHY_SIZE, "%.140s (rank %d)", missing, layout->rank);
    MPI_Bcast(why, RW_WHY_SIZE, MPI_CHAR, first, layout->world);
    return true;
}

void rw_settings_precision(rw_settings *s, const rw_layout *layout)
{
    char why[RW_WHY_SIZE] = "";
    if (s->precision != RW_PRECISION_BF16 || !rw_settings_lack_bf16(layout, why)) return;
    if (layout->rank == 0) rw_warn("no products in bf16: %s; all ranks go on in float32", why);
    s->precision = RW_PRECISION_FLOAT32;
}

rw_status rw_settings_forget_layout(rw_settings *s)
{
    RW_TRY(rw_config_set(s->parallel, "dp", "auto"));
    RW_TRY(rw_config_set(s->parallel, "sp", "auto"));
    return rw_config_set(s->parallel, "threads", "auto");
}

static rw_recompute recompute_of(const rw_settings *s)
{
    const char *name = rw_config_string(s->train, "recompute");
    if (strcmp(name, "block") == 0) return RW_RECOMPUTE_BLOCK;
    return strcmp(name, "chunk") == 0 ? RW_RECOMPUTE_CHUNK : RW_RECOMPUTE_NONE;
}

rw_plan_options rw_settings_plan(const rw_settings *s, int chunk, bool training)
{
    return (rw_plan_options){
        .chunk = chunk,
        .length = s->length,
        .batch = s->batch,
        .accumulate = (int)rw_config_int(s->train, "accumulate"),
        .training = training,
        .recompute = recompute_of(s),
        .carry = training && rw_config_bool(s->data, "carry"),
        .precision = s->precision,
    };
}
