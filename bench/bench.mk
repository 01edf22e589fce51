# Benchmarks: built and run by `make bench` only.
bench_programs = bench_convolution bench_step
EXTRA_PROGRAMS = $(bench_programs)
CLEANFILES += $(bench_programs)
bench_convolution_SOURCES = bench/bench_convolution.c
bench_convolution_LDADD = libropewalk.a $(rw_libs)
bench_step_SOURCES = bench/bench_step.c
bench_step_LDADD = libropewalk.a $(rw_libs)
EXTRA_DIST += bench/exposed_communication.sh

.PHONY: bench
bench: $(bench_programs)
	@for program in $(bench_programs); do echo "== $$program"; ./$$program || exit 1; done
