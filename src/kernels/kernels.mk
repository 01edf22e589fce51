rw_sources += \
	src/kernels/depthwise.c src/kernels/depthwise.h \
	src/kernels/elementary.h \
	src/kernels/gemm.h \
	src/kernels/row_sum.h \
	src/kernels/ssd_chunk.c src/kernels/ssd_chunk.h
