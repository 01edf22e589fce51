/* Exchanges move on while chunks are computed. Inside src/model. */
#ifndef RW_PROGRESS_H
#define RW_PROGRESS_H

#include "model/pass.h"

/* Every thread calls this function after each chunk. The thread that calls MPI moves on the sums of
 * gradients and the carries in flight. Does not wait. */
void rw_pass_progress(const rw_pass *pass);

#endif
