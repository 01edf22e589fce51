rw_sources += \
	src/measure/limits.c src/measure/limits.h \
	src/measure/mixer_speed.c src/measure/mixer_speed.h \
	src/measure/primitive_speed.c src/measure/primitive_speed.h \
	src/measure/primitives.c src/measure/primitives.h \
	src/measure/rounds.c src/measure/rounds.h
