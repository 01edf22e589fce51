#include "kernels/elementary.h"

#ifndef RW_DOUBLE
const float rw_exp_least = -87.0f;
const float rw_exp_most = 88.0f;
const float rw_exp2_least = -126.0f;
#endif
