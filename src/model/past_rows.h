/* What a global op sees of the step before (plan option `carry`): its inputs there,
 * the last `memory` rows of them, set before those of this step, as keys and values
 * are in Dai et al. 2019, Transformer-XL, section 3.2. No gradient goes back to them.
 *
 *   rows of the op   | memory | rows of the step                        |
 *   ranks            | 0                   | 1           | 2            |
 *
 * The op knows nothing of this: the first rank copies its rows behind the memory and
 * what was made of them back, the others count theirs from another row on. */
#ifndef RW_PAST_ROWS_H
#define RW_PAST_ROWS_H

#include "model/pass.h"

/* `span` with so many rows before. */
rw_span rw_past_rows_extend(const rw_span *span, long past);

/* Allocates the copies and the documents of the longer sequences. Not collective. */
rw_status rw_past_rows_allocate(rw_engine *engine);

/* The call of the op with the memory before the rows of `own`; to be closed after it,
 * which also keeps the rows that the next step is to see. Not collective. */
rw_global rw_past_rows_open(const rw_pass *pass, const rw_global *own, bool mirrored);
void rw_past_rows_close(const rw_pass *pass, const rw_global *own, const rw_global *extended,
                        bool mirrored);

#endif
