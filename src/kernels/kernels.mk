# files of src/kernels
rw_sources += \
	src/kernels/row_sum.h
