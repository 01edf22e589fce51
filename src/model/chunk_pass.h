/* The pass over one chunk: all nodes of a segment, forward or backward. Inside src/model.
 *
 * Example: two blocks, each a norm, an op k with a tree carry and a residual; three chunks.
 *
 *   nodes      n0 k1 r2 | n3 k4 r5 | loss
 *   segments   s0 = n0, closed by k1     s1 = k1 r2     s2 = n3, closed by k4     s3 = k4 r5
 *              s4 = loss
 *
 *   rw_chunk_forward(s0)  on chunks 0, 1, 2:   n0.forward, k1.summary
 *   exchange of k1                             -> state_in of chunks 0, 1, 2
 *   rw_chunk_forward(s1)  on chunks 0, 1, 2:   k1.forward, r2.forward
 *   rw_chunk_forward(s2), exchange of k4, rw_chunk_forward(s3) likewise
 *   rw_chunk_backward(s4) on chunks 0, 1, 2:   loss.backward, which computes the loss as well
 *   rw_chunk_backward(s3) on chunks 0, 1, 2:   r5.backward, k4.adjoint
 *   mirrored exchange of k4                    -> dstate_out of chunks 0, 1, 2
 *   rw_chunk_backward(s2) on chunks 0, 1, 2:   k4.backward, n3.backward
 *   ...
 */
#ifndef RW_CHUNK_PASS_H
#define RW_CHUNK_PASS_H

#include "model/pass.h"

/* All of segment s on chunk c (absolute) of sequence b of the micro-batch: forward, with the
 * summary that closes the segment; backward, in reverse order, with the adjoint of the op that
 * opens the segment. The recomputation that the plan asks for comes first. The gradients of
 * parameters are added to `leaf`. Called in parallel on different chunks. */
void rw_chunk_forward(const rw_pass *pass, const rw_segment *segment, long b, long c);
void rw_chunk_backward(const rw_pass *pass, const rw_segment *segment, real *leaf, long b, long c);

#endif
