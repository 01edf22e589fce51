#include "blocks/norm.h"

const rw_norm rw_norm_rms = {
    .name = "rms",
    .summary = "x / rms(x), times a weight",
    .source = "Zhang and Sennrich 2019, Root mean square layer normalization, equation 4",
    .build = rw_rms_norm,
};
