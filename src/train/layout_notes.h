/* Advice to the user about cores and threads of a run. */
#ifndef RW_LAYOUT_NOTES_H
#define RW_LAYOUT_NOTES_H

#include "mpi/layout.h"

/* Rank 0 prints a line for each of these: OpenMP gives a rank fewer threads than wanted; the
 * launcher bound the ranks of a host to a part of its cores; the threads of a host are more than
 * its cores or its quota; other work keeps a host busy. Collective over layout->world. */
void rw_layout_notes(const rw_layout *layout);

#endif
