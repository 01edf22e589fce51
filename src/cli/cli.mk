cli_sources = \
	src/cli/action.c src/cli/action.h \
	src/cli/blas_kernels.c src/cli/blas_kernels.h \
	src/cli/catalog.c src/cli/catalog.h \
	src/cli/command.c src/cli/command.h \
	src/cli/doctor.c src/cli/doctor.h \
	src/cli/doctor_libraries.c \
	src/cli/doctor_machine.c \
	src/cli/doctor_speed.c \
	src/cli/key_names.c src/cli/key_names.h \
	src/cli/key_tables.c src/cli/key_tables.h \
	src/cli/key_text.c src/cli/key_text.h \
	src/cli/launch.c src/cli/launch.h \
	src/cli/overrides.c src/cli/overrides.h \
	src/cli/program.c src/cli/program.h \
	src/cli/prompt_file.c src/cli/prompt_file.h \
	src/cli/rank_processors.c src/cli/rank_processors.h

# The page of the command config: docs/config.in, as lines of C.
config_page.c: $(srcdir)/docs/config.in $(srcdir)/build-aux/text-to-c
	$(AM_V_GEN)$(srcdir)/build-aux/text-to-c rw_config_page $(srcdir)/docs/config.in >$@
BUILT_SOURCES += config_page.c
CLEANFILES += config_page.c
EXTRA_DIST += docs/config.in build-aux/text-to-c
