# files of src/kernels
rw_sources += src/kernels/legs.c src/kernels/legs.h src/kernels/diagonal.c src/kernels/diagonal.h \
	src/kernels/lanes.h
