/* The model by its ops' naive references: what every other form is compared
 * with. Plain loops over whole sequences; for tests. */
#ifndef RW_REFERENCE_H
#define RW_REFERENCE_H

#include "model/model.h"

/* Sum of the losses over one sequence of `length` tokens. Slow. */
rw_status rw_reference_loss(const rw_model *model, long length, const rw_sequence *data,
                            double *loss);

#endif
