rw_sources += \
	checkpoints/checkpoint.h \
	checkpoints/checkpoint_best.c \
	checkpoints/checkpoint_commit.c checkpoints/checkpoint_commit.h \
	checkpoints/checkpoint_digest.c \
	checkpoints/checkpoint_export.c \
	checkpoints/checkpoint_find.c \
	checkpoints/checkpoint_format.c checkpoints/checkpoint_format.h \
	checkpoints/checkpoint_open.c \
	checkpoints/checkpoint_reader.h \
	checkpoints/checkpoint_report.c \
	checkpoints/checkpoint_save.c \
	checkpoints/chunk_index.c checkpoints/chunk_index.h \
	checkpoints/data_file.c checkpoints/data_file.h \
	checkpoints/hdf5_image.c checkpoints/hdf5_image.h \
	checkpoints/manifest.c checkpoints/manifest.h \
	checkpoints/manifest_read.c \
	checkpoints/manifest_write.c \
	checkpoints/step_folders.c \
	checkpoints/stored_file.c \
	checkpoints/tensor_block.c checkpoints/tensor_block.h \
	checkpoints/tensor_gather.c checkpoints/tensor_gather.h \
	checkpoints/tensor_stream.c checkpoints/tensor_stream.h \
	checkpoints/virtual_index.c checkpoints/virtual_index.h
