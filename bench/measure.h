/* What the benchmarks share: time, medians, and the limits of the machine
 * measured in the same run. */
#ifndef RW_MEASURE_H
#define RW_MEASURE_H

enum { RW_ROUNDS_MAX = 64 };

/* Figures of several rounds. */
typedef struct {
    double value[RW_ROUNDS_MAX];
    int count;
} rw_rounds;

double rw_seconds(void);
void rw_rounds_add(rw_rounds *rounds, double value);
double rw_rounds_median(const rw_rounds *rounds);

/* Float products of 512 x 1024 by 1024 x 512, on every OpenMP thread at once:
 * operations a second, all threads together, over about 50 ms. */
double rw_measure_gemm(void);

#endif
