/* The limits of the machine, measured: what a program's speed is held against,
 * in the same run and if possible in turn with it.
 *
 * Each function keeps `threads` OpenMP threads busy for about `seconds` and
 * returns the rate of all of them together; 0 if there is no memory. Not
 * collective: the ranks of a host share its cores and its memory, so they
 * should measure at the same time. */
#ifndef RW_LIMITS_H
#define RW_LIMITS_H

/* Operations a second of float products, 512 x 1024 by 1024 x 512, one product
 * a thread at a time. */
double rw_measure_products(int threads, double seconds);

/* Operations a second of multiply-adds that stay in registers, on one thread: what one core can
 * do at most with the vectors that this program was built for. */
double rw_measure_peak(double seconds);

/* The same of operands in bfloat16, with float sums; 0 where
 * rw_gemm_stored_missing(RW_STORED_BF16) says why there are none. */
double rw_measure_products_bf16(int threads, double seconds);

/* How many times as long one thread takes for multiplications of subnormal numbers as for
 * those of normal numbers, where it does not flush them (base/float_mode.h). The mode of the
 * thread is as before afterwards. Near 1 on processors for which they cost nothing. */
double rw_measure_subnormal(double seconds);

/* Bytes a second of a = b + 3 c (STREAM's triad: 12 bytes an element) over
 * float arrays of 32 MiB each, that no cache holds. */
double rw_measure_triad(int threads, double seconds);

/* Operations a second (2.5 n log2 n each, by convention) of real float
 * transforms of n points by FFTW, planned by measuring, one transform a thread at
 * a time. Planning takes up to a second more. */
double rw_measure_fft(int threads, int n, double seconds);

#endif
