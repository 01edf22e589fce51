/* A new start from given weights: --init. Weights alone are taken, by name; step, optimizer,
 * schedule and data begin anew. */
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/memory.h"
#include "train/settings_changes.h"
#include "train/training.h"

#define PREFIX "param/" /* of weights, among the names of a checkpoint's tensors */

typedef enum { TAKEN, NEW, NO_WEIGHT } fate;

struct rw_given {
    const rw_train_options *options;
    rw_checkpoint *checkpoint;
    rw_tensor *wanted; /* the taken tensors */
    int count;
    fate *fates; /* of each tensor of the state */
};
typedef struct rw_given transfer;

/* Without the prefix: as in the report and in the patterns. */
static const char *short_name(const char *name)
{
    return name + strlen(PREFIX);
}

static bool is_weight(const char *name)
{
    return strncmp(name, PREFIX, strlen(PREFIX)) == 0;
}

static bool matches(const char *const *patterns, int count, const char *name)
{
    for (int i = 0; i < count; i++)
        if (fnmatch(patterns[i], name, 0) == 0) return true;
    return false;
}

static bool is_wanted(const rw_train_options *o, const char *name)
{
    if (o->init_only_count && !matches(o->init_only, o->init_only_count, name)) return false;
    return !matches(o->init_skip, o->init_skip_count, name);
}

/* A pattern that matches nothing is an error of the user. */
static rw_status check_pattern(const transfer *x, const char *option, const char *pattern)
{
    for (int i = 0; i < rw_checkpoint_count(x->checkpoint); i++) {
        rw_tensor stored = rw_checkpoint_tensor(x->checkpoint, i);
        if (is_weight(stored.name) && fnmatch(pattern, short_name(stored.name), 0) == 0)
            return RW_OK;
    }
    return rw_fail(
        RW_USAGE,
        "%s %.100s: no weight of %s has such a name; `ropewalk checkpoint show` lists them "
        "(names without " PREFIX ")",
        option, pattern, rw_checkpoint_path(x->checkpoint));
}

static rw_status check_patterns(const transfer *x)
{
    const rw_train_options *o = x->options;
    for (int i = 0; i < o->init_only_count; i++)
        RW_TRY(check_pattern(x, "--init-only", o->init_only[i]));
    for (int i = 0; i < o->init_skip_count; i++)
        RW_TRY(check_pattern(x, "--init-skip", o->init_skip[i]));
    return RW_OK;
}

static bool find(const transfer *x, const char *name, rw_tensor *out)
{
    for (int i = 0; i < rw_checkpoint_count(x->checkpoint); i++) {
        *out = rw_checkpoint_tensor(x->checkpoint, i);
        if (strcmp(out->name, name) == 0) return true;
    }
    return false;
}

static void shape_text(const rw_tensor *t, char text[96])
{
    int used = 0;
    for (int d = 0; d < t->dims; d++)
        used += snprintf(text + used, 96 - (size_t)used, "%s%zu", d ? "x" : "", t->shape[d]);
}

static rw_status check_shape(const rw_tensor *own, const rw_tensor *given)
{
    char one[96], other[96];
    bool same = own->dims == given->dims;
    for (int d = 0; same && d < own->dims; d++) same = own->shape[d] == given->shape[d];
    if (same) return RW_OK;
    shape_text(given, one);
    shape_text(own, other);
    return rw_fail(
        RW_ERROR,
        "--init: %s has shape %s there and %s here; leave it new with --init-skip '%s', or "
        "change the model",
        short_name(own->name), one, other, short_name(own->name));
}

/* The fate of a tensor of this model. */
static rw_status decide(const transfer *x, const rw_tensor *own, fate *out)
{
    rw_tensor given;
    *out = NEW;
    if (!is_wanted(x->options, short_name(own->name)) || !find(x, own->name, &given)) return RW_OK;
    *out = TAKEN;
    return check_shape(own, &given);
}

static rw_status choose(transfer *x, const rw_state *state)
{
    for (int i = 0; i < state->count; i++) {
        x->fates[i] = NO_WEIGHT; /* a moment */
        if (!is_weight(state->tensors[i].name)) continue;
        RW_TRY(decide(x, &state->tensors[i], &x->fates[i]));
        if (x->fates[i] == TAKEN) x->wanted[x->count++] = state->tensors[i];
    }
    if (x->count) return RW_OK;
    return rw_fail(
        RW_ERROR,
        "--init %s: no weight of it has a name of this model; name a run of a model that "
        "shares some",
        rw_checkpoint_path(x->checkpoint));
}

/* ---- The report ------------------------------------------------------------------ */

/* Names, several a line. */
typedef struct {
    const char *what;
    char line[160];
    int count;
} listing;

static void end_line(listing *l)
{
    if (l->line[0]) rw_info("  %s: %s", l->what, l->line);
    l->line[0] = '\0';
}

static void add_name(listing *l, const char *name)
{
    size_t used = strlen(l->line);
    if (used && used + strlen(name) + 2 > 100) {
        end_line(l);
        used = 0;
    }
    snprintf(l->line + used, sizeof l->line - used, "%s%.100s", used ? ", " : "", name);
    l->count++;
}

static int list_fate(const transfer *x, const rw_state *state, fate which, const char *what)
{
    listing l = {.what = what};
    for (int i = 0; i < state->count; i++)
        if (x->fates[i] == which) add_name(&l, short_name(state->tensors[i].name));
    end_line(&l);
    return l.count;
}

static bool has(const rw_tensor *tensors, int count, const char *name)
{
    for (int i = 0; i < count; i++)
        if (strcmp(tensors[i].name, name) == 0) return true;
    return false;
}

/* Weights of the checkpoint that are not taken: known to this model, or unknown. */
static int list_left(const transfer *x, const rw_state *state, bool here, const char *what)
{
    listing l = {.what = what};
    for (int i = 0; i < rw_checkpoint_count(x->checkpoint); i++) {
        rw_tensor stored = rw_checkpoint_tensor(x->checkpoint, i);
        if (is_weight(stored.name) && !has(x->wanted, x->count, stored.name) &&
            has(state->tensors, state->count, stored.name) == here)
            add_name(&l, short_name(stored.name));
    }
    end_line(&l);
    return l.count;
}

/* Another model may have the same weights: allowed here, and reported. */
static void tell_model(const rw_training *t, const transfer *x)
{
    char text[RW_CHANGES_TEXT];
    rw_settings_pair pair;
    rw_changes changes = {0};
    rw_status status =
        rw_settings_pair_read(rw_checkpoint_about(x->checkpoint)->config,
                              rw_checkpoint_path(x->checkpoint), &t->settings, &pair);
    if (status == RW_OK)
        status = rw_settings_compare_model(&pair, rw_source_format(t->source), &changes);
    if (status == RW_OK && *rw_changes_text(&changes, false, text))
        rw_warn("the weights were trained in another model: %s", text);
    if (status != RW_OK) {
        rw_warn("the models cannot be compared: %s", rw_message());
        rw_clear_message();
    }
    rw_changes_free(&changes);
    rw_settings_pair_free(&pair);
}

void rw_training_tell_given(rw_training *t)
{
    const transfer *x = t->given;
    rw_run_folder *f = &t->folder;
    if (!x) return;
    unsigned long long step = rw_checkpoint_about(x->checkpoint)->step;
    tell_model(t, x);
    rw_info("weights from %s, step %llu:", rw_checkpoint_path(x->checkpoint), step);
    int taken = list_fate(x, &t->state, TAKEN, "taken"),
        fresh = list_fate(x, &t->state, NEW, "new");
    int left = list_left(x, &t->state, true, "left, as asked");
    left += list_left(x, &t->state, false, "left, not in this model");
    rw_metrics_begin(f, t->step);
    rw_metrics_text(f, "event", "init");
    rw_metrics_text(f, "from", rw_checkpoint_path(x->checkpoint));
    rw_metrics_number(f, "from_step", (double)step);
    rw_metrics_number(f, "taken", taken);
    rw_metrics_number(f, "new", fresh);
    rw_metrics_number(f, "left", left);
    rw_metrics_end(f);
}

static rw_status transfer_weights(rw_training *t, transfer *x)
{
    RW_TRY(rw_checkpoint_open(x->options->init, &x->checkpoint));
    RW_TRY(check_patterns(x));
    RW_TRY(choose(x, &t->state));
    RW_TRY(rw_checkpoint_read(x->checkpoint, x->wanted, x->count));
    const char *bad = rw_state_not_finite(x->wanted, x->count);
    if (!bad) return RW_OK;
    return rw_fail(RW_ERROR, "--init %s: %s is not finite; name an older checkpoint",
                   rw_checkpoint_path(x->checkpoint), short_name(bad));
}

rw_status rw_training_initialise(rw_training *t)
{
    size_t count = (size_t)t->state.count;
    RW_TRY(rw_alloc(1, sizeof *t->given, "the weights to take", &t->given));
    transfer *x = t->given;
    x->options = t->options;
    RW_TRY(rw_alloc(count, sizeof *x->wanted, "the weights to take", &x->wanted));
    RW_TRY(rw_alloc(count, sizeof *x->fates, "the weights to take", &x->fates));
    return transfer_weights(t, x);
}

void rw_training_forget_given(rw_training *t)
{
    if (!t->given) return;
    rw_checkpoint_close(&t->given->checkpoint);
    rw_free(&t->given->wanted);
    rw_free(&t->given->fates);
    rw_free(&t->given);
}
