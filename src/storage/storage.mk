rw_sources += \
	src/storage/content_hash.c src/storage/content_hash.h \
	src/storage/draft_guard.c src/storage/draft_guard.h \
	src/storage/durable_file.c src/storage/durable_file.h \
	src/storage/hdf5_access.c src/storage/hdf5_access.h \
	src/storage/lock_holder.c src/storage/lock_holder.h \
	src/storage/writer_lock.c src/storage/writer_lock.h \
	src/storage/zstd_frame.c src/storage/zstd_frame.h
