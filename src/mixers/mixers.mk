rw_sources += \
	src/mixers/mixer.c src/mixers/mixer.h \
	src/mixers/state_space.c src/mixers/state_space.h
