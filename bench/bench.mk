# Benchmarks: built and run by `make bench` only. What is measured on whole ops and
# models is part of the program: ropewalk bench.
bench_programs = bench_convolution bench_long_convolution bench_products
EXTRA_PROGRAMS = $(bench_programs)
CLEANFILES += $(bench_programs) bench.json bench_ranks.json bench_peer.json bench_peer_ranks.json
bench_convolution_SOURCES = bench/bench_convolution.c
bench_convolution_LDADD = libropewalk.a $(rw_libs)
bench_long_convolution_SOURCES = bench/bench_long_convolution.c
bench_long_convolution_LDADD = libropewalk.a $(rw_libs)
bench_products_SOURCES = bench/bench_products.c
bench_products_LDADD = libropewalk.a $(rw_libs)
EXTRA_DIST += bench/bench_all.sh bench/exposed_communication.sh bench/learning_rates.sh \
	bench/loss_by_precision.sh \
	bench/peer/check_equal.py \
	bench/peer/compare \
	bench/peer/contenders.py \
	bench/peer/environment.py \
	bench/peer/models.py \
	bench/peer/report.py \
	bench/peer/resident.py \
	bench/peer/worker.py \
	bench/settings.sh

.PHONY: bench bench-peer
bench: ropewalk $(bench_programs)
	@MPIRUN='$(MPIRUN)' $(srcdir)/bench/bench_all.sh

# Training steps beside plain PyTorch's, docs/benchmarks.md. PEER_OPTIONS: those of compare.
bench-peer: ropewalk$(EXEEXT)
	ROPEWALK=./ropewalk$(EXEEXT) $(srcdir)/bench/peer/compare $(PEER_OPTIONS)
