#include "cli/key_tables.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "blocks/mlp.h"
#include "blocks/norm.h"
#include "data_pipeline/source.h"
#include "data_pipeline/task.h"
#include "mixers/mixer.h"
#include "model/model_settings.h"
#include "objectives/objective.h"
#include "optim/optimizer.h"
#include "optim/schedule.h"
#include "optim/update.h"
#include "train/settings.h"

/* ---- Tables -------------------------------------------------------------------- */

typedef struct {
    rw_key_table *out;
    int count;
    bool in_list; /* of the tables that are added next */
} list;

static void add(list *l, const char *path, const char *owner, const char *summary,
                const char *source, const rw_key *keys)
{
    assert(l->count < RW_KEY_TABLES_MOST);
    if (l->count == RW_KEY_TABLES_MOST) return;
    l->out[l->count++] = (rw_key_table){path, l->in_list, owner, summary, source, keys};
}

static void add_blocks(list *l)
{
    l->in_list = true;
    add(l, "model.blocks", NULL, "a block with a mixer", NULL, rw_mixer_block_keys);
    add(l, "model.blocks", NULL, "a block with an mlp", NULL, rw_mlp_block_keys);
    for (int i = 0; rw_mixer_registry[i]; i++) {
        const rw_mixer *m = rw_mixer_registry[i];
        add(l, "model.blocks", m->name, m->summary, m->source, m->keys);
    }
    for (int i = 0; rw_mlp_registry[i]; i++) {
        const rw_mlp *m = rw_mlp_registry[i];
        add(l, "model.blocks", m->name, m->summary, m->source, m->keys);
    }
    l->in_list = false;
}

static void add_tasks(list *l)
{
    add(l, "data.task", NULL, "a generated task", NULL, rw_task_keys);
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
    list l = {.out = out};
    add(&l, "model", NULL, "the network", NULL, rw_model_keys);
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

/* ---- Choices ---------------------------------------------------------------------- */

#define NAMES_OF(part)                                                                             \
    static const char *name_of_##part(int index)                                                   \
    {                                                                                              \
        return rw_##part##_registry[index] ? rw_##part##_registry[index]->name : NULL;             \
    }
NAMES_OF(mixer)
NAMES_OF(mlp)
NAMES_OF(norm)
NAMES_OF(objective)
NAMES_OF(optimizer)
NAMES_OF(schedule)
NAMES_OF(task)

/* Keys whose values are the names of a registry. */
static const struct {
    const char *path, *key;
    const char *(*name)(int index);
} registered[] = {
    {"model", "norm", name_of_norm},          {"model", "objective", name_of_objective},
    {"model.blocks", "mixer", name_of_mixer}, {"model.blocks", "mlp", name_of_mlp},
    {"data.task", "name", name_of_task},      {"optimizer", "name", name_of_optimizer},
    {"schedule", "name", name_of_schedule},
};

/* A default that the registry lacks, such as auto, is a choice too. */
static void list_names(const rw_key *key, const char *(*name)(int index), char out[RW_KEY_CELL])
{
    bool known = !key->fallback;
    for (int i = 0; name(i); i++) known = known || strcmp(name(i), key->fallback) == 0;
    snprintf(out, RW_KEY_CELL, "%s", known ? "" : key->fallback);
    for (int i = 0; name(i); i++) {
        size_t used = strlen(out);
        snprintf(out + used, RW_KEY_CELL - used, "%s%s", used ? "|" : "", name(i));
    }
}

bool rw_key_choices(const char *path, const rw_key *key, char out[RW_KEY_CELL])
{
    snprintf(out, RW_KEY_CELL, "%s",
             key->choices               ? key->choices
             : key->type == RW_KEY_BOOL ? "true|false"
                                        : "");
    for (size_t i = 0; path && i < sizeof registered / sizeof *registered; i++)
        if (strcmp(registered[i].path, path) == 0 && strcmp(registered[i].key, key->name) == 0)
            list_names(key, registered[i].name, out);
    return out[0] != '\0';
}
