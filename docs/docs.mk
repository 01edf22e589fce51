# files of docs
EXTRA_DIST += docs/decisions/chunk-convolution.md
