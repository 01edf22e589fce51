rw_sources += \
	mpi/butterfly.c mpi/butterfly.h \
	mpi/halo.c mpi/halo.h \
	mpi/host_memory.c mpi/host_memory.h \
	mpi/slab_exchange.c mpi/slab_exchange.h \
	mpi/layout.c mpi/layout.h \
	mpi/pipeline.c mpi/pipeline.h \
	mpi/rank_compare.c mpi/rank_compare.h \
	mpi/rank_cores.c mpi/rank_cores.h \
	mpi/ring.c mpi/ring.h \
	mpi/row_exchange.c mpi/row_exchange.h \
	mpi/shards.c mpi/shards.h \
	mpi/shift.c mpi/shift.h \
	mpi/span.c mpi/span.h \
	mpi/swap.c mpi/swap.h \
	mpi/tree.c mpi/tree.h \
	mpi/tree_reduce.c mpi/tree_reduce.h \
	mpi/tree_scan.c mpi/tree_scan.h
