EXTRA_DIST += \
	docs/add-a-mixer.md \
	docs/architecture.md \
	docs/benchmarks.md \
	docs/checkpoint-format.md \
	docs/config.md \
	docs/dataset-format.md \
	docs/decisions/0001-short-last-chunk.md \
	docs/decisions/0002-tree-of-gradients.md \
	docs/decisions/0003-key-tables.md \
	docs/decisions/0004-state-space-carry.md \
	docs/decisions/0005-one-checkpoint-writer.md \
	docs/decisions/0006-libraries-not-linked.md \
	docs/decisions/0007-chunk-convolution.md \
	docs/decisions/0008-ssd-chunk.md \
	docs/decisions/0009-pipeline.md \
	docs/decisions/0010-linear-attention.md \
	docs/decisions/0011-threaded-blas.md \
	docs/decisions/0012-overlap.md \
	docs/decisions/0013-scan-by-doubling.md \
	docs/decisions/0014-recompute-by-chunk.md \
	docs/decisions/0015-attention.md \
	docs/decisions/0016-long-convolution.md \
	docs/decisions/0017-global-carry.md \
	docs/decisions/0018-carry-between-steps.md \
	docs/decisions/0019-processors.md \
	docs/decisions/0020-openblas-and-onednn.md \
	docs/decisions/0021-bf16.md \
	docs/decisions/0022-element-wise.md \
	docs/decisions/README.md \
	docs/figures.md \
	docs/memory.md \
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
