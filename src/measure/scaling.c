#include "measure/scaling.h"

#include <stdio.h>
#include <time.h>

#include "measure/rounds.h"
#include "measure/trainee.h"

enum { STEP_TOKENS = 4096 };

enum { ALONE, DP, SP, WAYS };

typedef struct {
    rw_layout layout[WAYS];
    rw_trainee trainee[WAYS]; /* ALONE: of rank 0 */
} contest;

static rw_status open_ways(const rw_layout *all, const rw_step_model *model,
                           const rw_scaling_figures *f, contest *c)
{
    rw_plan_options options = {.length = f->length,
                               .batch = f->batch,
                               .chunk = rw_trainee_chunk(f->length, all->size),
                               .accumulate = 1,
                               .training = true};
    RW_TRY(rw_layout_new(all->size, 1, all->threads, &c->layout[DP]));
    RW_TRY(rw_layout_new(1, all->size, all->threads, &c->layout[SP]));
    RW_TRY(rw_agree(all, rw_layout_alone(all->threads, &c->layout[ALONE])));
    rw_status status = RW_OK;
    for (int way = all->rank == 0 ? ALONE : DP; way < WAYS && status == RW_OK; way++)
        status = rw_trainee_open(&c->layout[way], model->blocks, &options, true, &c->trainee[way]);
    return rw_agree(all, status);
}

static void close_ways(contest *c)
{
    for (int way = 0; way < WAYS; way++) {
        rw_trainee_close(&c->trainee[way]);
        rw_layout_free(&c->layout[way]);
    }
}

/* Sleeps until rank 0 is done: a rank that waits in MPI takes a core. */
static void sleep_until_done(const rw_layout *all)
{
    MPI_Request request;
    int done = 0;
    MPI_Ibarrier(all->world, &request);
    while (!done) {
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        MPI_Test(&request, &done, MPI_STATUS_IGNORE);
    }
}

static double step_alone(const rw_layout *all, contest *c, uint64_t step)
{
    double seconds = 0;
    if (all->rank == 0) seconds = rw_trainee_step(&c->trainee[ALONE], step);
    sleep_until_done(all);
    MPI_Bcast(&seconds, 1, MPI_DOUBLE, 0, all->world);
    return seconds;
}

static void run_rounds(const rw_layout *all, contest *c, int rounds, rw_scaling_figures *out)
{
    rw_rounds seconds[WAYS] = {{.count = 0}}, gain[WAYS] = {{.count = 0}};
    for (int i = 0; i <= rounds; i++) {
        double took[WAYS] = {[ALONE] = step_alone(all, c, (uint64_t)i)};
        for (int way = DP; way < WAYS; way++)
            took[way] = rw_trainee_step(&c->trainee[way], (uint64_t)i);
        if (i == 0) continue; /* warms up */
        for (int way = 0; way < WAYS; way++) {
            rw_rounds_add(&seconds[way], took[way]);
            rw_rounds_add(&gain[way], took[ALONE] / took[way]);
        }
    }
    out->alone = rw_rounds_median(&seconds[ALONE]);
    out->dp = rw_rounds_median(&seconds[DP]);
    out->sp = rw_rounds_median(&seconds[SP]);
    out->dp_gain = rw_rounds_median(&gain[DP]);
    out->sp_gain = rw_rounds_median(&gain[SP]);
    out->rounds = rounds;
}

rw_status rw_scaling_run(const rw_layout *layout, const rw_step_model *model, long length,
                         int rounds, rw_scaling_figures *out)
{
    contest c = {.layout = {{0}}};
    *out = (rw_scaling_figures){.length = length};
    out->batch = rw_trainee_batch(length, STEP_TOKENS, layout->size);
    rw_status status = open_ways(layout, model, out, &c);
    if (status == RW_OK) run_rounds(layout, &c, rounds, out);
    close_ways(&c);
    if (status != RW_USAGE) return status;
    snprintf(out->reason, sizeof out->reason, "%.*s", (int)sizeof out->reason - 1, rw_message());
    rw_clear_message();
    return RW_OK;
}
