# files of src/kernels
rw_sources += \
	src/kernels/depthwise.c src/kernels/depthwise.h \
	src/kernels/gemm.c src/kernels/gemm.h \
	src/kernels/ssd_chunk.c src/kernels/ssd_chunk.h
