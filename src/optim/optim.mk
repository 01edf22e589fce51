# files of src/optim
