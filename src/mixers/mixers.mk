# files of src/mixers
