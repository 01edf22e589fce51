#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/shown_text.h"
#include "cli/command.h"
#include "cli/overrides.h"
#include "mpi/rank_compare.h"
#include "train/evaluation.h"
#include "train/saved_model.h"

enum { OPTION_DATA = 256, OPTION_PART, OPTION_LENGTH, OPTION_BATCH, OPTION_BY_POSITION };

static const struct argp_option options[] = {
    {"data", OPTION_DATA, "FILE", 0,
     "Another dataset, all of whose tokens are evaluated (default: the run's own, its held-out "
     "part)",
     0},
    {"split", OPTION_PART, "heldout|all", 0, "Evaluate the held-out part, or all tokens", 0},
    {"length", OPTION_LENGTH, "L", 0, "Sequence length, in tokens (default: the run's)", 0},
    {"batch", OPTION_BATCH, "B", 0, "Sequences evaluated at a time (default: the run's)", 0},
    {"by-position", OPTION_BY_POSITION, NULL, 0, "Also print the loss by position in the sequence",
     0},
    {0},
};

typedef struct {
    rw_saved_model_options model;
    rw_overrides overrides;
    int by_position;
} arguments;

static error_t parse_part(struct argp_state *state, const char *value, rw_saved_part *out)
{
    *out = strcmp(value, "all") == 0 ? RW_PART_ALL : RW_PART_HELDOUT;
    if (*out == RW_PART_ALL || strcmp(value, "heldout") == 0) return 0;
    argp_error(state, "--split takes heldout or all, not %s", value);
    return EINVAL;
}

static error_t parse(int key, char *value, struct argp_state *state)
{
    arguments *a = state->input;
    switch (key) {
    case OPTION_DATA:
        a->model.data = value;
        return 0;
    case OPTION_PART:
        return parse_part(state, value, &a->model.part);
    case OPTION_LENGTH:
        return rw_overrides_add(&a->overrides, "data.length", value);
    case OPTION_BATCH:
        return rw_overrides_add(&a->overrides, "data.batch", value);
    case OPTION_BY_POSITION:
        a->by_position = 1;
        return 0;
    default:
        return rw_command_argument(key, value, state, "which run folder or checkpoint?",
                                   &a->model.path);
    }
}

static const struct argp eval_argp = {
    .options = options,
    .parser = parse,
    .args_doc = "RUN_OR_CHECKPOINT",
    .doc = "Evaluates a trained model on the whole held-out part of its data (of a generated "
           "task: on 8 batches), or on all tokens of another dataset, and prints one figure a "
           "line. A relative path of the run's dataset is looked up from the working directory, "
           "from the run folder and from the folders above it.",
};

static void print_positions(const rw_by_position *p)
{
    printf("\n%-21s %12s %10s\n", "position", "tokens", "loss");
    for (int k = 0; k < RW_POSITION_BUCKETS; k++) {
        if (p->counted[k] == 0) continue;
        long first = (1L << k) - 1, last = (2L << k) - 2;
        printf("%9ld - %9ld %12.0f %10.5f\n", first, last, p->counted[k],
               p->loss[k] / p->counted[k]);
    }
}

static void print_data(const rw_saved_model *saved)
{
    bool task = !rw_config_has(saved->settings.data, "dataset");
    rw_print_line(stdout, "%s %s", task ? "task" : "data", rw_source_name(saved->source));
    printf("evaluated %s\n", task ? "8 batches" : saved->all ? "all tokens" : "held-out tokens");
}

static void print(const rw_saved_model *saved, const rw_loss *loss, const rw_by_position *positions)
{
    const rw_format *format = rw_source_format(saved->source);
    printf("step %llu\n", (unsigned long long)saved->step);
    print_data(saved);
    printf("tokens %.0f\n", loss->counted);
    printf("loss %.9g\n", loss->loss);
    if (format->target_vocab > 0) {
        printf("perplexity %.4f\n", exp(loss->loss));
        printf("accuracy %.4f\n", loss->correct / loss->counted);
    }
    if (rw_source_is_bytes(saved->source)) printf("bits_per_byte %.4f\n", loss->loss / M_LN2);
    if (positions) print_positions(positions);
}

static rw_status evaluate(const arguments *a, rw_saved_model *saved, const rw_layout *layout)
{
    rw_evaluation *evaluation = NULL;
    rw_by_position positions;
    rw_loss loss;
    rw_settings_precision(&saved->settings, layout);
    rw_plan_options plan = rw_settings_plan(&saved->settings, saved->model->chunk, false);
    plan.accumulate = 1;
    rw_status status = rw_agree(
        layout, rw_evaluation_new(saved->model, layout, saved->source, &plan, NULL, &evaluation));
    if (status == RW_OK)
        status = rw_evaluation_run(evaluation, 0, a->by_position ? &positions : NULL, &loss);
    if (status == RW_OK && loss.counted == 0)
        status = rw_fail(RW_ERROR,
                         "nothing to predict in the evaluated tokens of %s; evaluate more "
                         "(--split all), or another dataset (--data FILE)",
                         rw_source_name(saved->source));
    if (status == RW_OK && !isfinite(loss.loss))
        status = rw_fail(RW_ERROR,
                         "%s: the held-out loss is not finite: the training diverged; name "
                         "an older checkpoint (step-N)",
                         a->model.path);
    if (status == RW_OK && layout->rank == 0)
        print(saved, &loss, a->by_position ? &positions : NULL);
    rw_evaluation_destroy(&evaluation);
    return status;
}

static rw_status open_and_evaluate(arguments *a)
{
    rw_saved_model saved;
    rw_layout layout = {0};
    a->model.evaluates = true;
    a->model.overrides = a->overrides.text;
    a->model.override_count = a->overrides.count;
    rw_status status = rw_agree_comm(MPI_COMM_WORLD, rw_saved_model_open(&a->model, &saved));
    if (status == RW_OK) status = rw_settings_compare(&saved.settings);
    if (status == RW_OK)
        status = rw_rank_compare(MPI_COMM_WORLD, "checkpoint", saved.identity,
                                 "the checkpoint must be the same on all hosts");
    if (status == RW_OK) status = rw_source_compare(saved.source, MPI_COMM_WORLD);
    /* The layout of the run was for its own ranks: share the batch first, then sequences. */
    if (status == RW_OK)
        status = rw_agree_comm(MPI_COMM_WORLD, rw_settings_forget_layout(&saved.settings));
    if (status == RW_OK) status = rw_settings_layout(&saved.settings, &layout);
    if (status == RW_OK) status = evaluate(a, &saved, &layout);
    rw_layout_free(&layout);
    rw_saved_model_free(&saved);
    return status;
}

static rw_status run(int argc, char **argv)
{
    arguments a = {0};
    int stop;
    rw_status status = rw_command_parse(&eval_argp, argc, argv, &a, &stop);
    if (status == RW_OK) status = a.overrides.status;
    if (status == RW_OK && !stop) status = open_and_evaluate(&a);
    rw_overrides_free(&a.overrides);
    return status;
}

const rw_command rw_command_eval = {
    .name = "eval",
    .summary = "Evaluate a trained model on held-out data",
    .run = run,
};
