/* The floating-point mode of a thread: subnormal ("denormal") numbers are flushed to
 * zero. Decays and gradients underflow in normal work, and many processors take some
 * 150 cycles for each operation on a subnormal number
 * (docs/decisions/0026-denormal-numbers.md).
 *
 * A new thread inherits the mode of the thread that starts it (Linux, x86 and ARM), so
 * a program sets the mode once, before it starts threads. rw_layout_new() sets the mode
 * again in every OpenMP thread of the layout, for threads that a library started before.
 *
 * All functions: not collective. */
#ifndef RW_FLOAT_MODE_H
#define RW_FLOAT_MODE_H

#include <stdbool.h>

/* Makes the calling thread flush: subnormal results become zero, and subnormal operands count as
 * zero. Does nothing on processors other than x86-64 and 64-bit ARM. */
void rw_float_mode_flush(void);

/* The opposite: the calling thread computes with subnormal numbers (for measurements). */
void rw_float_mode_keep(void);

/* Does the calling thread flush results and operands? Found by computing. */
bool rw_float_mode_flushes(void);

#endif
