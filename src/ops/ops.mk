# files of src/ops
rw_sources += \
	src/ops/elementwise.h \
	src/ops/row_norm.h
