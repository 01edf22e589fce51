# files of src/kernels
