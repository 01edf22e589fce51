# The program: main() for any processor, and everything else once for each
# instruction set in RW_SETS (src/cli/program.h).
bin_PROGRAMS = ropewalk
ropewalk_SOURCES = src/cli/main.c src/cli/program.h
nodist_ropewalk_SOURCES = registry_program.c
ropewalk_CFLAGS = $(RW_CFLAGS)

noinst_LIBRARIES += libprogram.a
libprogram_a_SOURCES = $(cli_sources) $(command_files)
nodist_libprogram_a_SOURCES = registry_command.c config_page.c
libprogram_a_CPPFLAGS = $(AM_CPPFLAGS) -DRW_SET=$(firstword $(RW_SETS)) \
	-DRW_SET_NAME=$(RW_SET_NAME)

registry_program.c: Makefile
	$(write_registry) rw_program cli/program.h $(RW_SETS) >$@
BUILT_SOURCES += registry_program.c
CLEANFILES += registry_program.c

if DISPATCH
# All sources again with the flags of the set, joined into one object that shows
# nothing but rw_program_SET: so the sets do not see one another's functions.
set_objects = $(patsubst %.c,%.o,$(filter %.c,$(rw_sources) $(cli_sources) $(command_files) \
	$(registries) registry_command.c config_page.c))
compile_set = $(AM_V_CC)$(MKDIR_P) $(@D) && $(COMPILE) -MMD -MP -fno-lto -c -o $@ $<
hide = $(OBJCOPY) --localize-hidden

sets/avx2/%.o: %.c
	$(compile_set) -march=x86-64-v3 -DRW_SET=avx2 -DRW_SET_NAME=avx2
sets/avx512/%.o: %.c
	$(compile_set) -march=x86-64-v4 -DRW_SET=avx512 -DRW_SET_NAME=avx512
sets/portable.o: libprogram.a libropewalk.a
	$(AM_V_GEN)$(MKDIR_P) sets && $(LD) -r --whole-archive $^ -o $@ && $(hide) $@
sets/avx2.o: $(set_objects:%=sets/avx2/%)
	$(AM_V_GEN)$(LD) -r $^ -o $@ && $(hide) $@
sets/avx512.o: $(set_objects:%=sets/avx512/%)
	$(AM_V_GEN)$(LD) -r $^ -o $@ && $(hide) $@
-include $(foreach set,$(RW_SETS),$(set_objects:%.o=sets/$(set)/%.d))

ropewalk_LDADD = $(RW_SETS:%=sets/%.o) $(rw_libs)
ropewalk_DEPENDENCIES = $(RW_SETS:%=sets/%.o)
else
ropewalk_LDADD = libprogram.a libropewalk.a $(rw_libs)
endif
clean-local:
	rm -rf sets fuzz_build
