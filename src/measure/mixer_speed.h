/* How fast a mixer trains: one block of it, with norm, residual, embedding and
 * loss as in a model of bytes, at one length after another. */
#ifndef RW_MIXER_SPEED_H
#define RW_MIXER_SPEED_H

#include "mixers/mixer.h"
#include "mpi/layout.h"

typedef struct {
    const rw_layout *layout;
    const rw_mixer *mixer;
    int width;    /* D; the mixer's own keys have their defaults */
    int rounds;   /* timings of each length, of which medians are taken */
    double limit; /* seconds: a longer step is not tried */
    /* Called before each round (1, 2, ...) of a length; NULL: silence. */
    void (*progress)(const char *mixer, long length, int round, int rounds);
    /* The last two lengths that were run: what the next one is judged by. */
    struct {
        long length;
        double seconds, bytes; /* of a step, memory of a rank; a token */
    } known[2];
    int known_count;
} rw_mixer_speed;

/* The same on every rank. */
typedef struct {
    long length, batch;               /* tokens of a sequence, sequences of a step */
    double forward, step;             /* seconds: evaluation; training step without the update */
    double forward_share, step_share; /* of the rate of products measured in turn with them */
    double forward_bytes, step_bytes; /* sent by all ranks, a token of the step */
    double memory;                    /* bytes that the fullest rank holds, a token of its own */
    int rounds;                       /* 0: not measured, see `reason` */
    char reason[160];
} rw_mixer_figures;

/* Measures sequences of `length` tokens, as many as make at least 4096 tokens a
 * step. Lengths must ascend: what one will take is estimated from shorter ones
 * (tried shortly if nobody asked for them), and one that takes longer than limit,
 * or more memory than there is, is left out with a reason; so is one that the
 * mixer does not fit. Collective over the layout. */
rw_status rw_mixer_speed_run(rw_mixer_speed *speed, long length, rw_mixer_figures *out);

#endif
