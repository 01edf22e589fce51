# files of src/objectives
