rw_sources += src/objectives/objective.c src/objectives/objective.h
