#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/scalar.h"
#include "measure/bench_run.h"
#include "cli/command.h"
#include "storage/durable_file.h"

enum {
    OPTION_WIDTH = 256,
    OPTION_DP,
    OPTION_SP,
    OPTION_THREADS,
    OPTION_ROUNDS,
    OPTION_LIMIT,
    OPTION_RECOMPUTE,
    OPTION_PRECISION,
    OPTION_ONLY,
    OPTION_JSON,
    OPTION_FORCE
};

static const struct argp_option options[] = {
    {"length", 'l', "L[,L...]", 0, "Sequence lengths, in tokens (default: 4k,16k)", 0},
    {"width", OPTION_WIDTH, "D", 0, "Width of ops and mixers: features per token (default: 256)",
     0},
    {"dp", OPTION_DP, "N", 0, "Ranks that share the batch (default: 1)", 0},
    {"sp", OPTION_SP, "N", 0, "Ranks that share each sequence (default: all)", 0},
    {"threads", OPTION_THREADS, "N", 0, "OpenMP threads of each rank", 0},
    {"rounds", OPTION_ROUNDS, "N", 0, "Timings of each figure; medians are shown (default: 3)", 0},
    {"limit", OPTION_LIMIT, "SECONDS", 0,
     "Leave out lengths at which a step would take longer (default: 30)", 0},
    {"recompute", OPTION_RECOMPUTE, "none|block|chunk", 0,
     "Activations that mixers and steps recompute to save memory (default: none)", 0},
    {"precision", OPTION_PRECISION, "float32|bf16|bf16_emulated", 0,
     "Of products with weights in mixers and steps (default: float32)", 0},
    {"only", OPTION_ONLY, "TEXT", 0, "Run only ops and models with TEXT in the name", 0},
    {"json", OPTION_JSON, "FILE", 0, "Also write the figures to FILE", 0},
    {"force", OPTION_FORCE, NULL, 0, "Replace a FILE that is no record of ropewalk bench", 0},
    {0},
};

typedef struct {
    rw_bench_parts parts;
    int64_t dp, sp, threads;
    const char *json;
    bool force;
} arguments;

static error_t add_all_mixers(rw_bench_parts *parts)
{
    parts->mixer_count = 0;
    for (int i = 0; rw_mixer_registry[i] && i < RW_BENCH_MOST; i++)
        parts->mixers[parts->mixer_count++] = rw_mixer_registry[i];
    return 0;
}

/* Parts with a flag each. */
static const struct {
    const char *name;
    size_t flag;
} parts_by_name[] = {
    {"limits", offsetof(rw_bench_parts, limits)},
    {"ops", offsetof(rw_bench_parts, ops)},
    {"steps", offsetof(rw_bench_parts, steps)},
    {"scaling", offsetof(rw_bench_parts, scaling)},
    {"invariance", offsetof(rw_bench_parts, invariance)},
    {"primitives", offsetof(rw_bench_parts, primitives)},
};

static bool add_flag(rw_bench_parts *parts, const char *name)
{
    for (size_t i = 0; i < sizeof parts_by_name / sizeof *parts_by_name; i++)
        if (strcmp(name, parts_by_name[i].name) == 0) {
            *(bool *)((char *)parts + parts_by_name[i].flag) = true;
            return true;
        }
    return false;
}

static error_t refuse_part(struct argp_state *state, const char *name)
{
    const char *known[RW_BENCH_MOST] = {"mixers"};
    char advice[RW_NAME_ADVICE];
    int count = 1;
    for (size_t i = 0; i < sizeof parts_by_name / sizeof *parts_by_name; i++)
        known[count++] = parts_by_name[i].name;
    for (int i = 0; rw_mixer_registry[i] && count < RW_BENCH_MOST; i++)
        known[count++] = rw_mixer_registry[i]->name;
    argp_error(state, "there is nothing called %.60s to measure%s", name,
               rw_name_advice(name, "parts", known, count, advice));
    return EINVAL;
}

static error_t add_part(struct argp_state *state, rw_bench_parts *parts, const char *name)
{
    const rw_mixer *mixer = rw_mixer_find(name);
    if (add_flag(parts, name)) return 0;
    if (strcmp(name, "mixers") == 0) return add_all_mixers(parts);
    if (mixer && parts->mixer_count < RW_BENCH_MOST)
        parts->mixers[parts->mixer_count++] = mixer;
    else
        return refuse_part(state, name);
    return 0;
}

static int ascending(const void *a, const void *b)
{
    long x = *(const long *)a, y = *(const long *)b;
    return (x > y) - (x < y);
}

static error_t add_lengths(struct argp_state *state, rw_bench_parts *parts, char *list)
{
    char *rest = NULL;
    for (char *word = strtok_r(list, ",", &rest); word; word = strtok_r(NULL, ",", &rest)) {
        int64_t length;
        if (!rw_scalar_int(word, &length) || length < 1 || parts->length_count == RW_BENCH_MOST) {
            argp_error(state, "--length takes numbers such as 1k,16k, not %s", word);
            return EINVAL;
        }
        parts->lengths[parts->length_count++] = (long)length;
    }
    qsort(parts->lengths, (size_t)parts->length_count, sizeof *parts->lengths, ascending);
    int kept = 0;
    for (int i = 0; i < parts->length_count; i++)
        if (kept == 0 || parts->lengths[i] != parts->lengths[kept - 1])
            parts->lengths[kept++] = parts->lengths[i];
    parts->length_count = kept;
    return 0;
}

static error_t set_count(struct argp_state *state, const char *option, const char *value, int *out)
{
    int64_t number;
    error_t error = rw_command_count(state, option, value, 1, &number);
    *out = (int)number;
    return error;
}

static error_t set_recompute(struct argp_state *state, rw_bench_parts *parts, const char *value)
{
    rw_recompute known;
    parts->recompute = value;
    if (rw_bench_recompute(value, &known)) return 0;
    argp_error(state, "--recompute takes none, block or chunk, not %.60s", value);
    return EINVAL;
}

static error_t set_precision(struct argp_state *state, rw_bench_parts *parts, const char *value)
{
    const char *missing = NULL;
    if (!rw_precision_find(value, &parts->precision))
        argp_error(state, "--precision takes float32, bf16 or bf16_emulated, not %.60s", value);
    else if ((missing = rw_precision_missing(parts->precision)))
        argp_error(state, "no products in %s: %s", value, missing);
    else
        return 0;
    return EINVAL;
}

static error_t parse(int key, char *value, struct argp_state *state)
{
    arguments *a = state->input;
    switch (key) {
    case 'l':
        return add_lengths(state, &a->parts, value);
    case OPTION_WIDTH:
        return set_count(state, "width", value, &a->parts.width);
    case OPTION_DP:
        return rw_command_count(state, "dp", value, 1, &a->dp);
    case OPTION_SP:
        return rw_command_count(state, "sp", value, 1, &a->sp);
    case OPTION_THREADS:
        return rw_command_count(state, "threads", value, 1, &a->threads);
    case OPTION_ROUNDS:
        return set_count(state, "rounds", value, &a->parts.rounds);
    case OPTION_LIMIT:
        return rw_command_number(state, "limit", value, 0, INFINITY, &a->parts.limit);
    case OPTION_RECOMPUTE:
        return set_recompute(state, &a->parts, value);
    case OPTION_PRECISION:
        return set_precision(state, &a->parts, value);
    case OPTION_ONLY:
        a->parts.only = value;
        return 0;
    case OPTION_JSON:
        a->json = value;
        return 0;
    case OPTION_FORCE:
        a->force = true;
        return 0;
    case ARGP_KEY_ARG:
        return add_part(state, &a->parts, value);
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp bench_argp = {
    .options = options,
    .parser = parse,
    .args_doc = "[PART...]",
    .doc = "Measures this machine and this build. PART is limits (rates of matrix products, memory "
           "and FFTW), ops (each op alone, forward and backward, against these limits), mixers or "
           "the names of some (training of one block of each), steps (whole training steps of "
           "models), and on several ranks scaling (steps on one rank and on all, in turn), "
           "primitives (bytes and speed of the exchanges between ranks) or invariance (the cost of "
           "equal bits on any layout, in a step). Without a PART: limits, ops, mixers, steps, "
           "and on several ranks primitives. Run the benchmark alone, under mpirun -n N, or under "
           "srun, on an idle machine; without options the benchmark takes some five minutes.",
};

static void choose_defaults(arguments *a, int ranks)
{
    rw_bench_parts *p = &a->parts;
    static const long lengths[] = {1 << 12, 1 << 14};
    if (!p->limits && !p->ops && !p->steps && !p->scaling && !p->invariance && !p->primitives &&
        p->mixer_count == 0) {
        p->limits = p->ops = p->steps = true;
        add_all_mixers(p);
        p->primitives = ranks > 1;
    }
    if (p->length_count == 0) {
        p->length_count = sizeof lengths / sizeof *lengths;
        memcpy(p->lengths, lengths, sizeof lengths);
    }
    /* Unlike in training, the default shares sequences: the exchanges are to be measured. */
    if (a->dp == 0 && a->sp == 0) a->dp = 1;
}

/* Before hours of work: can the figures be written, and do they replace only other figures? */
static rw_status check_json(const arguments *a)
{
    rw_draft draft;
    if (!a->json) return RW_OK;
    RW_TRY(rw_bench_json_replaces(a->json, a->force));
    RW_TRY(rw_draft_begin(a->json, &draft));
    (void)rw_draft_end(RW_ERROR, &draft); /* never published */
    return RW_OK;
}

static rw_status measure(const arguments *a, const rw_layout *layout)
{
    rw_bench_record record = {.dp = 0};
    rw_status status = rw_agree(layout, layout->rank == 0 ? check_json(a) : RW_OK);
    if (status == RW_OK) {
        status = rw_bench_run(&a->parts, layout, &record);
        if (layout->rank == 0) rw_bench_print(&record);
    }
    if (status == RW_OK && layout->rank == 0 && a->json)
        status = rw_bench_write_json(&record, a->json);
    rw_bench_free(&record);
    return status;
}

static rw_status run(int argc, char **argv)
{
    arguments a = {.parts = {.width = 256, .rounds = 3, .limit = 30, .recompute = "none"}};
    rw_layout layout = {0};
    int stop, ranks;
    RW_TRY(rw_command_parse(&bench_argp, argc, argv, &a, &stop));
    if (stop) return RW_OK;
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    choose_defaults(&a, ranks);
    if (a.parts.scaling && ranks == 1)
        return rw_fail(RW_USAGE,
                       "scaling compares one rank with several; start it under mpirun -n N");
    RW_TRY(rw_layout_new((int)a.dp, (int)a.sp, (int)a.threads, &layout));
    rw_status status = measure(&a, &layout);
    rw_layout_free(&layout);
    return status;
}

const rw_command rw_command_bench = {
    .name = "bench",
    .summary = "Measure the machine, ops, mixers, training steps, exchanges",
    .run = run,
};
