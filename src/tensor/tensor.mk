rw_sources += src/tensor/real.h src/tensor/target.h
