# files of src/kernels
rw_sources += \
	src/kernels/convolution.c src/kernels/convolution.h \
	src/kernels/convolution_fftw.c src/kernels/convolution_fftw.h
