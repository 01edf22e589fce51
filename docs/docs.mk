EXTRA_DIST += \
	docs/add-a-mixer.md \
	docs/architecture.md \
	docs/benchmarks.md \
	docs/checkpoint-format.md \
	docs/config.md \
	docs/dataset-format.md \
	docs/decisions \
	docs/figures.md \
	docs/glossary.md \
	docs/memory.md \
	docs/processors.md \
	docs/run.png \
	examples/genome-whole.yaml \
	examples/genome.yaml \
	examples/quickstart.yaml \
	examples/text-streams.yaml

# Man pages, from the program's own help: one for it and one for each command.
man_pages = docs/man/ropewalk.1 $(command_files:src/cli/command_%.c=docs/man/ropewalk-%.1)
man1_MANS = $(man_pages)
CLEANFILES += $(man_pages)
EXTRA_DIST += build-aux/make-man

write_man = $(AM_V_GEN)$(MKDIR_P) docs/man && $(srcdir)/build-aux/make-man ./ropewalk$(EXEEXT)
docs/man/ropewalk.1: ropewalk$(EXEEXT) $(srcdir)/build-aux/make-man
	$(write_man) >$@
docs/man/ropewalk-%.1: ropewalk$(EXEEXT) $(srcdir)/build-aux/make-man
	$(write_man) $* >$@

# The page of the configuration, from the keys.
man5_MANS = docs/man/ropewalk-config.5
CLEANFILES += $(man5_MANS)
EXTRA_DIST += build-aux/make-config-man
docs/man/ropewalk-config.5: ropewalk$(EXEEXT) $(srcdir)/build-aux/make-config-man
	$(AM_V_GEN)$(MKDIR_P) docs/man && $(srcdir)/build-aux/make-config-man ./ropewalk$(EXEEXT) >$@

# Completion for bash, from the program's own help.
completiondir = $(datadir)/bash-completion/completions
completion_DATA = completion/ropewalk
CLEANFILES += $(completion_DATA)
EXTRA_DIST += build-aux/make-completion
completion/ropewalk: ropewalk$(EXEEXT) $(srcdir)/build-aux/make-completion
	$(AM_V_GEN)$(MKDIR_P) completion && $(srcdir)/build-aux/make-completion ./ropewalk$(EXEEXT) >$@

# docs/config.md in the source tree, after a change of docs/config.in or of a key.
update-config-page: ropewalk$(EXEEXT)
	$(MKDIR_P) docs && ./ropewalk$(EXEEXT) config --markdown >docs/config.md.new
	mv docs/config.md.new $(srcdir)/docs/config.md
.PHONY: update-config-page

# A failed command leaves no half-written page.
.DELETE_ON_ERROR:
