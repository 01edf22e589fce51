/* Past rows (plan option `carry`): a global op also reads the last rows of its inputs in earlier
 * steps, like the keys and values of Transformer-XL (Dai et al. 2019, section 3.2). No gradient
 * goes back to past rows.
 *
 *   rows of the op   | past rows | rows of the step                     |
 *   ranks            | 0                      | 1          | 2          |
 *
 * The op does not know which rows are past. The first rank copies its rows after the past rows, and
 * the results back. The other ranks count their rows from a later row on. */
#ifndef RW_PAST_ROWS_H
#define RW_PAST_ROWS_H

#include "model/pass.h"

/* `span` with so many rows before. */
rw_span rw_past_rows_extend(const rw_span *span, long past);

/* Allocates the copies and the documents of the longer sequences. Not collective. */
rw_status rw_past_rows_allocate(rw_engine *engine);

/* Opens the call of the op with past rows before the rows of `own`. Close the call after the op:
 * closing also keeps the past rows of the next step. Not collective. */
rw_global rw_past_rows_open(const rw_pass *pass, const rw_global *own, bool mirrored);
void rw_past_rows_close(const rw_pass *pass, const rw_global *own, const rw_global *extended,
                        bool mirrored);

#endif
