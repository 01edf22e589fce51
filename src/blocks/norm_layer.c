#include "blocks/norm.h"

const rw_norm rw_norm_layer = {
    .name = "layer",
    .summary = "(x - mean(x)) / deviation(x), times a weight, plus a bias",
    .source = "Ba, Kiros, Hinton 2016, Layer normalization, equation 4",
    .build = rw_layer_norm,
};
