/* What `ropewalk bench` has measured, to be shown as tables or written as JSON. */
#ifndef RW_BENCH_RECORD_H
#define RW_BENCH_RECORD_H

#include "measure/mixer_speed.h"
#include "measure/primitive_speed.h"

enum { RW_FFT_SIZES = 2 };

typedef struct {
    double products;      /* operations a second */
    double products_bf16; /* 0: none */
    double triad;         /* bytes a second */
    int fft_size[RW_FFT_SIZES];
    double fft[RW_FFT_SIZES]; /* operations a second */
} rw_limits;

typedef struct {
    const char *mixer;
    rw_mixer_figures figures;
} rw_mixer_row;

typedef struct {
    const rw_primitive *primitive;
    rw_primitive_figures figures;
} rw_primitive_row;

typedef struct {
    int dp, sp, threads, width;
    bool has_limits;
    rw_limits limits;
    rw_mixer_row *mixers;
    size_t mixer_count, mixer_capacity;
    rw_primitive_row *primitives;
    size_t primitive_count, primitive_capacity;
} rw_bench_record;

/* Rows are copied. Not collective. */
rw_status rw_bench_add_mixer(rw_bench_record *record, const rw_mixer_row *row);
rw_status rw_bench_add_primitive(rw_bench_record *record, const rw_primitive_row *row);
void rw_bench_free(rw_bench_record *record);

/* Tables to standard output. Not collective. */
void rw_bench_print(const rw_bench_record *record);
/* One JSON object, to a file of this path. Not collective. */
rw_status rw_bench_write_json(const rw_bench_record *record, const char *path);

#endif
