rw_sources += \
	src/base/config.c src/base/config.h \
	src/base/hdf5_lock.c src/base/hdf5_lock.h \
	src/base/log.c src/base/log.h \
	src/base/memory.c src/base/memory.h \
	src/base/random.c src/base/random.h \
	src/base/status.c src/base/status.h
