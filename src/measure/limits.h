/* The measured limits of the machine, for comparison with the speed of a program: in the same run,
 * and if possible in turn. Each function keeps `threads` OpenMP threads busy for about `seconds`
 * and returns the rate of all threads together; 0 without memory. Not collective: the ranks of a
 * host share its cores and its memory, so they should measure at the same time. */
#ifndef RW_LIMITS_H
#define RW_LIMITS_H

/* Operations a second of float products, 512 x 1024 by 1024 x 512, one product
 * a thread at a time. */
double rw_measure_products(int threads, double seconds);

/* Operations a second of multiply-adds in registers, on one thread: the peak of a core with the
 * vectors of this build. */
double rw_measure_peak(double seconds);

/* The same of operands in bfloat16, with float sums; 0 where
 * rw_gemm_stored_missing(RW_STORED_BF16) says why there are none. */
double rw_measure_products_bf16(int threads, double seconds);

/* The time of a multiplication of subnormal numbers over the time with normal numbers, on one
 * thread that does not flush them (base/float_mode.h). Restores the mode of the thread. Near 1 on
 * processors for which subnormal numbers cost nothing. */
double rw_measure_subnormal(double seconds);

/* Bytes a second of a = b + 3 c (STREAM's triad: 12 bytes an element) over float arrays of 32 MiB
 * each, which no cache holds. */
double rw_measure_triad(int threads, double seconds);

/* Operations a second (2.5 n log2 n each, by convention) of real float
 * transforms of n points by FFTW, planned by measuring, one transform a thread at
 * a time. Planning takes up to a second more. */
double rw_measure_fft(int threads, int n, double seconds);

#endif
