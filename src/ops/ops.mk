rw_sources += \
	src/ops/elementwise.h \
	src/ops/graph.c src/ops/graph.h \
	src/ops/layers.h \
	src/ops/long_by_channels.c src/ops/long_by_transform.c src/ops/long_paths.h \
	src/ops/op.h \
	src/ops/row_norm.h
