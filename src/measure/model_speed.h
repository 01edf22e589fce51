/* The training speed of a model, by sequence length. */
#ifndef RW_MODEL_SPEED_H
#define RW_MODEL_SPEED_H

#include "model/plan.h"
#include "mpi/layout.h"

typedef struct {
    const rw_layout *layout;
    const char *name;
    const char *blocks; /* the model, as for rw_trainee_open */
    int rounds;         /* timings of each length; the median counts */
    double limit;       /* seconds: a longer step is not tried */
    rw_recompute recompute;
    rw_precision precision;
    bool updates; /* whole steps, with the optimizer's update, and no evaluations */
    /* Called before each round (1, 2, ...) of a length; NULL: silence. */
    void (*progress)(const char *name, long length, int round, int rounds);
    /* The last two measured lengths, for the estimate of the next. */
    struct {
        long length;
        double seconds, bytes; /* of a step, memory of a rank; a token */
    } known[2];
    int known_count;
} rw_model_speed;

/* Evaluation, or training step: seconds, and shares of the limits measured in turn. */
typedef struct {
    double seconds;
    double products;   /* operations over the operations at the rate of products */
    double limits;     /* see rw_roofline_model */
    double sent_bytes; /* by all ranks, a token */
} rw_pass_figures;

/* The same on every rank. */
typedef struct {
    long length, batch;            /* tokens of a sequence, sequences of a step */
    rw_pass_figures forward, step; /* forward: not with `updates` */
    double flops;                  /* of a step, a token, nothing recomputed */
    double memory;                 /* bytes on the fullest rank, for each of its tokens */
    int rounds;                    /* 0: not measured, see `reason` */
    char reason[160];
} rw_model_figures;

/* Measures sequences of `length` tokens, as many as make at least 4096 tokens a step. Lengths must
 * ascend: the time of a length is estimated from shorter lengths (tried briefly if they were not
 * asked for). A length that takes longer than limit, or more memory than there is, or that the
 * model does not fit, is left out with a reason. Collective over the layout. */
rw_status rw_model_speed_run(rw_model_speed *speed, long length, rw_model_figures *out);

#endif
