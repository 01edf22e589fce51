rw_sources += \
	src/base/barrier.c src/base/barrier.h \
	src/base/config.c src/base/config.h \
	src/base/config_check.c \
	src/base/config_compare.c src/base/config_compare.h \
	src/base/cpu_quota.c src/base/cpu_quota.h \
	src/base/float_mode.c src/base/float_mode.h \
	src/base/log.c src/base/log.h \
	src/base/machine_memory.c src/base/machine_memory.h \
	src/base/memory.c src/base/memory.h \
	src/base/nearest.c \
	src/base/plain_file.c src/base/plain_file.h \
	src/base/random.c src/base/random.h \
	src/base/scalar.c src/base/scalar.h \
	src/base/shown_text.c src/base/shown_text.h \
	src/base/status.c src/base/status.h \
	src/base/terminal_text.c src/base/terminal_text.h \
	src/base/yaml_anchors.c src/base/yaml_anchors.h \
	src/base/yaml_read.c \
	src/base/yaml_tree.c src/base/yaml_tree.h \
	src/base/yaml_write.c
