rw_sources += \
	mpi/layout.c mpi/layout.h \
	mpi/pipeline.c mpi/pipeline.h \
	mpi/shift.c mpi/shift.h \
	mpi/tree.c mpi/tree.h \
	mpi/tree_reduce.c mpi/tree_reduce.h \
	mpi/tree_scan.c mpi/tree_scan.h
