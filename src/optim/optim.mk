rw_sources += \
	src/optim/optimizer.c src/optim/optimizer.h \
	src/optim/schedule.c src/optim/schedule.h \
	src/optim/update.c src/optim/update.h
