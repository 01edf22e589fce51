rw_sources += src/data/batch.h src/data/documents.h src/data/target.h
