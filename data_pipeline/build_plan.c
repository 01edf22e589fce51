#include "data_pipeline/build_plan.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/memory.h"

static bool is_standard_input(const char *name)
{
    return strcmp(name, "-") == 0 || strcmp(name, "/dev/stdin") == 0;
}

static rw_status list_inputs(const char *const *inputs, int count,
                             const rw_dataset_options *options, rw_build_plan *plan)
{
    rw_input_list *list = &plan->inputs;
    for (int i = 0; i < count; i++) RW_TRY(rw_input_list_add(list, inputs[i]));
    if (options->files_from) RW_TRY(rw_input_list_read(list, options->files_from, options->null));
    plan->heldout_from = list->count;
    for (int i = 0; i < options->heldout_file_count; i++)
        RW_TRY(rw_input_list_add(list, options->heldout_files[i]));
    if (list->count == 0)
        return rw_fail(RW_USAGE,
                       "no inputs for %s; name one or more files (text, JSON lines or "
                       "FASTA), folders, or a list with --files-from",
                       plan->path);
    bool taken = options->files_from && is_standard_input(options->files_from);
    for (size_t i = 0; i < list->count && taken; i++)
        if (is_standard_input(list->names[i]))
            return rw_fail(RW_USAGE, "standard input cannot be both an input and the list of "
                                     "inputs; put one of them into a file");
    return RW_OK;
}

/* ---- No file is for training and held out ------------------------------------ */

typedef struct {
    dev_t device;
    ino_t inode;
} identity;

static int by_identity(const void *one, const void *other)
{
    const identity *a = one, *b = other;
    if (a->device != b->device) return a->device < b->device ? -1 : 1;
    return a->inode < b->inode ? -1 : a->inode > b->inode;
}

static bool identify(const char *name, identity *out)
{
    struct stat about;
    if (stat(name, &about) != 0) return false; /* reported when it is opened */
    *out = (identity){about.st_dev, about.st_ino};
    return true;
}

static rw_status check_disjoint(const rw_build_plan *plan)
{
    const rw_input_list *list = &plan->inputs;
    rw_status status = RW_OK;
    identity *held, one;
    size_t count = 0;
    if (plan->heldout_from == list->count) return RW_OK;
    RW_TRY(rw_alloc(list->count - plan->heldout_from, sizeof *held, "held-out files", &held));
    for (size_t i = plan->heldout_from; i < list->count; i++)
        count += identify(list->names[i], &held[count]);
    qsort(held, count, sizeof *held, by_identity);
    for (size_t i = 0; i < plan->heldout_from && status == RW_OK; i++)
        if (identify(list->names[i], &one) && bsearch(&one, held, count, sizeof one, by_identity))
            status = rw_fail(RW_USAGE,
                             "%s is to be trained on and held out at the same time; name it once",
                             list->names[i]);
    rw_free(&held);
    return status;
}

/* ---- The held-out part --------------------------------------------------------- */

static rw_status check_share(double share)
{
    if (share >= 0 && share <= 1) return RW_OK;
    return rw_fail(RW_USAGE,
                   "a held-out share of %g; it must be at least 0 (none) and at most 1 "
                   "(all)",
                   share);
}

static rw_status choose_files_rule(const rw_dataset_options *options, rw_build_plan *plan)
{
    const rw_dataset_facts *old = plan->old ? rw_dataset_describe(plan->old) : NULL;
    plan->rule = (rw_heldout_rule){.by = RW_HELDOUT_FILES};
    if (options->heldout_given || options->heldout_by || options->seed_given)
        return rw_fail(RW_USAGE,
                       "the held-out part of %s is files of its own; leave --heldout and "
                       "--heldout-by away",
                       plan->path);
    if (old && old->heldout_by != RW_HELDOUT_FILES && old->heldout > 0)
        return rw_fail(RW_USAGE,
                       "%s holds out a share of its tokens (%s), so that no files can be held out "
                       "beside it; build it anew",
                       plan->path, rw_heldout_names[old->heldout_by]);
    return RW_OK;
}

static rw_status choose_rule(const rw_dataset_options *options, rw_build_plan *plan)
{
    const rw_dataset_facts *old = plan->old ? rw_dataset_describe(plan->old) : NULL;
    rw_heldout_rule *rule = &plan->rule;
    *rule = (rw_heldout_rule){.share = options->heldout, .seed = options->seed};
    if (options->heldout_by) RW_TRY(rw_heldout_find(options->heldout_by, &rule->by));
    RW_TRY(check_share(options->heldout));
    if (options->heldout_file_count > 0 || (old && old->heldout_by == RW_HELDOUT_FILES))
        return choose_files_rule(options, plan);
    if (!old) return RW_OK;
    if (!options->heldout_given) rule->share = old->heldout_share;
    if (!options->heldout_by) rule->by = old->heldout_by;
    if (!options->seed_given && old->heldout_by == RW_HELDOUT_SHUFFLED) rule->seed = old->seed;
    return RW_OK;
}

/* ---- The sources --------------------------------------------------------------- */

static void add_old_names(rw_build_plan *plan, bool heldout)
{
    if (!plan->old) return;
    const rw_dataset_index *index = rw_dataset_lists(plan->old);
    for (size_t i = 0; i < index->source_count; i++)
        if (index->source_heldout[i] == heldout)
            plan->names[plan->sources++] = rw_dataset_index_name(index, i);
}

static void add_names(rw_build_plan *plan, size_t begin, size_t end)
{
    for (size_t i = begin; i < end; i++) plan->names[plan->sources++] = plan->inputs.names[i];
}

static rw_status name_sources(rw_build_plan *plan)
{
    size_t count = plan->inputs.count;
    if (plan->old) count += rw_dataset_lists(plan->old)->source_count;
    RW_TRY(rw_alloc(count, sizeof(char *), "names of inputs", &plan->names));
    add_old_names(plan, false);
    add_names(plan, 0, plan->heldout_from);
    add_old_names(plan, true);
    add_names(plan, plan->heldout_from, plan->inputs.count);
    for (int i = 0; i < plan->sources; i++)
        if (strlen(plan->names[i]) >= RW_DATASET_NAME)
            return rw_fail(RW_USAGE, "the name of an input is longer than %d bytes: %.60s...",
                           RW_DATASET_NAME - 1, plan->names[i]);
    return RW_OK;
}

rw_status rw_build_plan_make(const char *path, const char *const *inputs, int count,
                             const rw_dataset_options *options, rw_build_plan *out)
{
    rw_status status;
    bool exists;
    *out = (rw_build_plan){.path = path};
    out->mode = options->append    ? RW_OUTPUT_APPEND
                : options->replace ? RW_OUTPUT_REPLACE
                                   : RW_OUTPUT_NEW;
    if (options->append && options->replace)
        return rw_fail(RW_USAGE, "--append keeps what is in %s and --force replaces it; choose one",
                       path);
    RW_TRY_DONE(list_inputs(inputs, count, options, out));
    RW_TRY_DONE(check_disjoint(out));
    RW_TRY_DONE(rw_dataset_output_check(path, &out->inputs, out->mode, &exists));
    if (options->append && exists) RW_TRY_DONE(rw_dataset_open(path, &out->old));
    RW_TRY_DONE(choose_rule(options, out));
    RW_TRY_DONE(name_sources(out));
done:
    if (status != RW_OK) rw_build_plan_free(out);
    return status;
}

void rw_build_plan_free(rw_build_plan *plan)
{
    rw_free(&plan->names);
    rw_dataset_close(&plan->old);
    rw_input_list_free(&plan->inputs);
}

rw_status rw_build_plan_recheck(const rw_build_plan *plan)
{
    bool exists;
    RW_TRY(rw_dataset_output_check(plan->path, &plan->inputs, plan->mode, &exists));
    if (plan->mode != RW_OUTPUT_APPEND || exists == (plan->old != NULL)) return RW_OK;
    return rw_fail(RW_ERROR, "%s has come or gone since the build began; append again", plan->path);
}
