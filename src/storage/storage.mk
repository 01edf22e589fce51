rw_sources += \
	src/storage/content_hash.c src/storage/content_hash.h \
	src/storage/durable_file.c src/storage/durable_file.h \
	src/storage/hdf5_access.c src/storage/hdf5_access.h \
	src/storage/zstd_frame.c src/storage/zstd_frame.h
