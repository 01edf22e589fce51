# Benchmarks: built and run by `make bench` only; those in bench_mpi on two ranks.
bench_programs = bench_convolution
bench_mpi = bench_long_convolution
EXTRA_PROGRAMS = $(bench_programs) $(bench_mpi)
CLEANFILES += $(bench_programs) $(bench_mpi)
bench_convolution_SOURCES = bench/bench_convolution.c
bench_convolution_LDADD = libropewalk.a $(rw_libs)
bench_long_convolution_SOURCES = bench/bench_long_convolution.c
bench_long_convolution_LDADD = libropewalk.a $(rw_libs)
EXTRA_DIST += bench/exposed_communication.sh

.PHONY: bench
bench: $(bench_programs) $(bench_mpi)
	@for program in $(bench_programs); do echo "== $$program"; ./$$program || exit 1; done
	@for program in $(bench_mpi); do echo "== $$program, 2 ranks"; \
		MPIRUN='$(MPIRUN)' $(srcdir)/tests/mpi_runner $${program}_2.np || exit 1; done
