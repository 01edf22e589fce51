EXTRA_DIST += \
	docs/checkpoint-format.md \
	docs/dataset-format.md \
	docs/decisions/chunk-convolution.md \
	docs/decisions/linear-attention.md \
	docs/decisions/ssd-chunk.md

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
