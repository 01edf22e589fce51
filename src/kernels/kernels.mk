rw_sources += \
	src/kernels/attention_block.c src/kernels/attention_block.h \
	src/kernels/convolution.c src/kernels/convolution.h \
	src/kernels/convolution_fftw.c src/kernels/convolution_fftw.h \
	src/kernels/dense.h \
	src/kernels/depthwise.c src/kernels/depthwise.h \
	src/kernels/diagonal.c src/kernels/diagonal.h \
	src/kernels/elementary.c src/kernels/elementary.h \
	src/kernels/dnnl_version.h \
	src/kernels/gemm.c src/kernels/gemm.h \
	src/kernels/gemm_check.c src/kernels/gemm_check.h \
	src/kernels/gemm_bf16.c src/kernels/gemm_bf16.h \
	src/kernels/lanes.h \
	src/kernels/legs.c src/kernels/legs.h \
	src/kernels/linear_attention_chunk.c src/kernels/linear_attention_chunk.h \
	src/kernels/linear_attention_decay.c src/kernels/linear_attention_decay.h \
	src/kernels/linear_attention_pairs.c src/kernels/linear_attention_pairs.h \
	src/kernels/linear_attention_recurrence.c \
	src/kernels/long_fft.c src/kernels/long_fft.h \
	src/kernels/moving_average.c src/kernels/moving_average.h \
	src/kernels/packed_product.c src/kernels/packed_product.h \
	src/kernels/panel_product.c src/kernels/panel_product.h \
	src/kernels/polynomial_ring.h \
	src/kernels/rounded_product.c src/kernels/rounded_product.h \
	src/kernels/row_sum.h \
	src/kernels/ssd_chunk.c src/kernels/ssd_chunk.h \
	src/kernels/ssd_decay.c src/kernels/ssd_decay.h \
	src/kernels/ssd_recurrence.c \
	src/kernels/tile_product.c src/kernels/tile_product.h
