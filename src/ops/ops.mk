rw_sources += \
	src/ops/attention/attention_heads.c \
	src/ops/attention/attention_mask.c src/ops/attention/attention_mask.h \
	src/ops/attention/attention_pass.c src/ops/attention/attention_pass.h \
	src/ops/attention/attention_ring.c \
	src/ops/attention/attention_route.c src/ops/attention/attention_route.h \
	src/ops/rowwise/activation.h \
	src/ops/rowwise/elementwise.h \
	src/ops/convolution/long_by_channels.c src/ops/convolution/long_by_transform.c src/ops/convolution/long_paths.h \
	src/ops/loss/projected_loss.c src/ops/loss/projected_loss.h \
	src/ops/rowwise/row_norm.h \
	src/ops/projection/weight_product.c src/ops/projection/weight_product.h
