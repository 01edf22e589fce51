# files of bench
noinst_PROGRAMS += bench_convolution
bench_convolution_SOURCES = bench/bench_convolution.c
bench_convolution_LDADD = libropewalk.a $(rw_libs)
