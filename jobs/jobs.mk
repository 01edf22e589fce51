rw_sources += \
	jobs/chart.c jobs/chart.h \
	jobs/chart_axis.c jobs/chart_axis.h \
	jobs/chart_curve.c jobs/chart_curve.h \
	jobs/quantity.c jobs/quantity.h \
	jobs/report.c jobs/report.h \
	jobs/report_figures.c \
	jobs/report_page.c jobs/report_page.h \
	jobs/report_style.c \
	jobs/run_config.c jobs/run_config.h \
	jobs/run_metrics.c jobs/run_metrics.h

dist_pkgdata_SCRIPTS = jobs/train.sbatch

# The installed script finds the program that is installed with it, wherever the two are
# moved together: as a path from its own folder.
install-data-hook:
	program=$$(echo ropewalk | sed '$(program_transform_name)')$(EXEEXT) && \
	from=$$(realpath -ms --relative-to='$(pkgdatadir)' "$(bindir)/$$program") && \
	sed "s|^installed=[^#]*|installed='$$from' |" $(srcdir)/jobs/train.sbatch \
		>'$(DESTDIR)$(pkgdatadir)/train.sbatch'
EXTRA_DIST += jobs/cluster docs/slurm.md
