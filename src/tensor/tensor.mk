rw_sources += src/tensor/real.h
