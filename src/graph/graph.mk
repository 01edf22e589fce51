rw_sources += \
	src/graph/call.h \
	src/graph/graph.c src/graph/graph.h \
	src/graph/layers.h \
	src/graph/node.h \
	src/graph/op.h \
	src/graph/op_cost.c src/graph/op_cost.h
