rw_sources += \
	src/ops/attention_heads.c \
	src/ops/attention_mask.c src/ops/attention_mask.h \
	src/ops/attention_pass.c src/ops/attention_pass.h \
	src/ops/attention_ring.c \
	src/ops/attention_route.c src/ops/attention_route.h \
	src/ops/elementwise.h \
	src/ops/long_by_channels.c src/ops/long_by_transform.c src/ops/long_paths.h \
	src/ops/projected_loss.c src/ops/projected_loss.h \
	src/ops/row_norm.h \
	src/ops/weight_product.c src/ops/weight_product.h
