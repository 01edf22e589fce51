rw_sources += \
	src/mixers/gated_cell.c src/mixers/gated_cell.h \
	src/mixers/mixer.c src/mixers/mixer.h \
	src/mixers/state_space.c src/mixers/state_space.h
