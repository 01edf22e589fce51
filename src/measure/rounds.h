/* Time, and the median of several rounds. */
#ifndef RW_ROUNDS_H
#define RW_ROUNDS_H

enum { RW_ROUNDS_MAX = 64 };

/* Figures of several rounds; further ones than RW_ROUNDS_MAX are dropped. */
typedef struct {
    double value[RW_ROUNDS_MAX];
    int count;
} rw_rounds;

/* Seconds since some moment; never goes back. */
double rw_seconds(void);
void rw_rounds_add(rw_rounds *rounds, double value);
/* 0 if there are none. */
double rw_rounds_median(const rw_rounds *rounds);

#endif
