rw_sources += src/tensor/documents.h src/tensor/real.h src/tensor/target.h
