rw_sources += \
	src/report/chart.c src/report/chart.h \
	src/report/chart_axis.c src/report/chart_axis.h \
	src/report/chart_curve.c src/report/chart_curve.h \
	src/report/quantity.c src/report/quantity.h \
	src/report/report.c src/report/report.h \
	src/report/report_figures.c \
	src/report/report_page.c src/report/report_page.h \
	src/report/report_style.c \
	src/report/run_config.c src/report/run_config.h \
	src/report/run_metrics.c src/report/run_metrics.h
