rw_sources += \
	src/blocks/mlp.c src/blocks/mlp.h \
	src/blocks/norm.c src/blocks/norm.h
