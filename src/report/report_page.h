/* The page of a report, from the files of the run. */
#ifndef RW_REPORT_PAGE_H
#define RW_REPORT_PAGE_H

#include <stdio.h>

#include "base/status.h"
#include "report/run_config.h"
#include "report/run_metrics.h"

typedef struct {
    const char *run_dir;
    const rw_run_metrics *metrics;
    rw_run_config *config;
} rw_report;

/* Writes the whole HTML page. Errors: RW_ERROR without memory; those of `out`
 * are left to ferror(). Not collective. */
rw_status rw_report_page(const rw_report *report, FILE *out);

/* Parts of the page. The figures: all charts with values. */
rw_status rw_report_figures(const rw_report *report, FILE *out);
/* A line in the head of every page by ropewalk. */
#define RW_REPORT_MARK "<meta name=\"generator\" content=\"ropewalk report\"/>\n"
/* The tokens of the evaluations during training, e.g. "first 8 batches". Empty if unknown. */
#define RW_REPORT_PART 64
void rw_report_part(const rw_report *report, char text[RW_REPORT_PART]);
/* Text with the special characters of HTML escaped. */
void rw_report_text(const char *text, FILE *out);
/* The style sheet. */
extern const char rw_report_style[];

#endif
