rw_sources += \
	src/ops/graph.c src/ops/graph.h \
	src/ops/layers.h \
	src/ops/op.h
