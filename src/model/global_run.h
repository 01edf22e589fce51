/* The exchange of a global carry: the op itself, on all rows of this rank. */
#ifndef RW_GLOBAL_RUN_H
#define RW_GLOBAL_RUN_H

#include "model/pass.h"

/* Allocates the memory of global ops outside the arena. Not collective. */
rw_status rw_global_allocate(rw_engine *engine);

/* Gathers the document starts of whole sequences of the micro-batch for global ops. Collective over
 * layout->sp_comm. */
void rw_global_find_documents(const rw_pass *pass);

/* Runs node i over the micro-batch (mirrored: backward). Collective over
 * layout->sp_comm. */
void rw_global_run(const rw_pass *pass, int i, bool mirrored);

#endif
