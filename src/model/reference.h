/* The model by the naive references of its ops, for tests: plain loops over whole sequences. All
 * other forms of the model are compared with this form. */
#ifndef RW_REFERENCE_H
#define RW_REFERENCE_H

#include "model/model.h"

/* Sum of the losses over one sequence of `length` tokens. Slow. */
rw_status rw_reference_loss(const rw_model *model, long length, const rw_sequence *data,
                            double *loss);

#endif
