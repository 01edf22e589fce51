dist_pkgdata_SCRIPTS = jobs/train.sbatch

# The installed script finds the program that is installed with it, wherever the two are
# moved together: as a path from its own folder.
install-data-hook:
	program=$$(echo ropewalk | sed '$(program_transform_name)')$(EXEEXT) && \
	from=$$(realpath -ms --relative-to='$(pkgdatadir)' "$(bindir)/$$program") && \
	sed "s|^installed=[^#]*|installed='$$from' |" $(srcdir)/jobs/train.sbatch \
		>'$(DESTDIR)$(pkgdatadir)/train.sbatch'
EXTRA_DIST += jobs/cluster docs/slurm.md
