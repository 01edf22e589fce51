# files of mpi
