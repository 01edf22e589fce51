# Fuzzing: files with random damage are read. A target NAME is
#   tests/fuzz/fuzz_NAME.c   LLVMFuzzerTestOneInput, see tests/fuzz/target.h
#   tests/fuzz/corpus/NAME/  files to begin with, and what was found before
# `make check` replays the corpus and a fixed number of mutations with any compiler.
# `make fuzz` lets libFuzzer search, FUZZ_SECONDS for each target.
fuzz_replays = \
	fuzz_chunks.replay \
	fuzz_dataset.replay \
	fuzz_manifest.replay \
	fuzz_readers.replay \
	fuzz_yaml.replay
FUZZ_SECONDS = 60

fuzz_targets = $(fuzz_replays:fuzz_%.replay=%)
fuzz_searches = $(fuzz_targets:%=fuzz_%.search)

fuzz_compile = $(AM_V_CC)$(MKDIR_P) $(@D) && $(COMPILE) -MMD -MP -c -o $@ $<
fuzz_objects/%.o: tests/fuzz/%.c
	$(fuzz_compile)
-include $(fuzz_targets:%=fuzz_objects/fuzz_%.d) fuzz_objects/replay.d

fuzz_%.replay: fuzz_objects/fuzz_%.o fuzz_objects/replay.o libropewalk.a
	$(AM_V_CCLD)$(LINK) $^ $(rw_libs)
# In a build with clang alone: tests/fuzz/search makes one.
fuzz_%.search: fuzz_objects/fuzz_%.o libropewalk.a
	$(AM_V_CCLD)$(LINK) -fsanitize=fuzzer $^ $(rw_libs)
.SECONDARY: $(fuzz_targets:%=fuzz_objects/fuzz_%.o) fuzz_objects/replay.o

TESTS += $(fuzz_replays)
EXTRA_DIST += $(fuzz_targets:%=tests/fuzz/fuzz_%.c) tests/fuzz/replay.c tests/fuzz/target.h \
	tests/fuzz/search tests/fuzz/corpus
CLEANFILES += $(fuzz_replays) $(fuzz_searches) fuzz_objects/*

fuzz:
	@FUZZ_SECONDS='$(FUZZ_SECONDS)' $(srcdir)/tests/fuzz/search $(fuzz_targets)
.PHONY: fuzz
