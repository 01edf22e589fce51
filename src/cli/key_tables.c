#include "cli/key_tables.h"

#include <stdio.h>
#include <string.h>

#include "blocks/mlp.h"
#include "data_pipeline/source.h"
#include "data_pipeline/task.h"
#include "mixers/mixer.h"
#include "model/model_settings.h"
#include "optim/optimizer.h"
#include "optim/schedule.h"
#include "optim/update.h"
#include "train/settings.h"

/* ---- Tables -------------------------------------------------------------------- */

typedef struct {
    rw_key_table *out;
    int count;
} list;

static void add(list *l, const char *path, const char *owner, const char *summary,
                const char *source, const rw_key *keys)
{
    if (l->count == RW_KEY_TABLES_MOST) return;
    l->out[l->count++] = (rw_key_table){path, owner, summary, source, keys};
}

static void add_blocks(list *l)
{
    for (int i = 0; rw_mixer_registry[i]; i++) {
        const rw_mixer *m = rw_mixer_registry[i];
        add(l, "model.blocks", m->name, m->summary, m->source, m->keys);
    }
    for (int i = 0; rw_mlp_registry[i]; i++) {
        const rw_mlp *m = rw_mlp_registry[i];
        add(l, "model.blocks", m->name, m->summary, m->source, m->keys);
    }
}

static void add_tasks(list *l)
{
    for (int i = 0; rw_task_registry[i]; i++) {
        const rw_task *t = rw_task_registry[i];
        add(l, "data.task", t->name, t->summary, NULL, t->keys);
    }
}

static void add_updates(list *l)
{
    add(l, "optimizer", NULL, "how weights are updated", NULL, rw_update_keys);
    for (int i = 0; rw_optimizer_registry[i]; i++) {
        const rw_optimizer *o = rw_optimizer_registry[i];
        add(l, "optimizer", o->name, o->summary, NULL, o->keys);
    }
    add(l, "schedule", NULL, "learning rate over the steps", NULL, rw_schedule_keys);
    for (int i = 0; rw_schedule_registry[i]; i++) {
        const rw_schedule *s = rw_schedule_registry[i];
        add(l, "schedule", s->name, s->summary, NULL, s->keys);
    }
}

int rw_key_tables(rw_key_table *out)
{
    list l = {out, 0};
    add(&l, "model", NULL, "the network", NULL, rw_model_keys);
    add(&l, "model.blocks", NULL, "a block with a mixer", NULL, rw_mixer_block_keys);
    add(&l, "model.blocks", NULL, "a block with an mlp", NULL, rw_mlp_block_keys);
    add_blocks(&l);
    add(&l, "data", NULL, "training and held-out data", NULL, rw_data_keys);
    add_tasks(&l);
    add(&l, "train", NULL, "length and manner of the training", NULL, rw_train_keys);
    add_updates(&l);
    add(&l, "parallel", NULL, "ranks and threads", NULL, rw_parallel_keys);
    add(&l, "checkpoint", NULL, "which checkpoints are kept", NULL, rw_checkpoint_keys);
    add(&l, "eval", NULL, "evaluation on held-out data", NULL, rw_eval_keys);
    return l.count;
}

/* ---- Cells ----------------------------------------------------------------------- */

/* "1 .. 64", ">= 1", ">= 0"; empty if unlimited. */
static void describe_range(const rw_key *key, char cell[RW_KEY_CELL])
{
    bool above = key->max < key->min || key->max > 1e15, below = key->min < -1e15;
    cell[0] = '\0';
    if (key->min == 0 && key->max == 0) return;
    if (above)
        snprintf(cell, RW_KEY_CELL, " >= %g", key->min);
    else if (below)
        snprintf(cell, RW_KEY_CELL, " <= %.10g", key->max);
    else
        snprintf(cell, RW_KEY_CELL, " %.10g .. %.10g", key->min, key->max);
}

void rw_key_describe_type(const rw_key *key, char cell[RW_KEY_CELL])
{
    static const char *const names[] = {
        [RW_KEY_INT] = "integer", [RW_KEY_REAL] = "real",   [RW_KEY_BOOL] = "true, false",
        [RW_KEY_STRING] = "text", [RW_KEY_MAP] = "mapping", [RW_KEY_LIST] = "list"};
    char range[RW_KEY_CELL];
    describe_range(key, range);
    if (key->choices)
        snprintf(cell, RW_KEY_CELL, "%s", key->choices);
    else
        snprintf(cell, RW_KEY_CELL, "%s%.60s", names[key->type], range);
}

void rw_key_describe_default(const rw_key *key, char cell[RW_KEY_CELL])
{
    snprintf(cell, RW_KEY_CELL, "%s",
             key->fallback   ? key->fallback
             : key->required ? "required"
                             : "-");
}

static int wider(int width, const char *text)
{
    int length = (int)strlen(text);
    return length > width ? length : width;
}

void rw_keys_print(const rw_key *keys)
{
    char type[RW_KEY_CELL], value[RW_KEY_CELL];
    int name_width = 0, type_width = 0, value_width = 0;
    for (const rw_key *key = keys; key && key->name; key++) {
        rw_key_describe_type(key, type);
        rw_key_describe_default(key, value);
        name_width = wider(name_width, key->name);
        type_width = wider(type_width, type);
        value_width = wider(value_width, value);
    }
    for (const rw_key *key = keys; key && key->name; key++) {
        rw_key_describe_type(key, type);
        rw_key_describe_default(key, value);
        printf("    %-*s  %-*s  %-*s  %s\n", name_width, key->name, type_width, type, value_width,
               value, key->doc ? key->doc : "");
    }
}
