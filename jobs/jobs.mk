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
EXTRA_DIST += jobs/cluster docs/slurm.md
