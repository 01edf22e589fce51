# files of src/ops
