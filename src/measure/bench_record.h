/* The measurements of `ropewalk bench`, for tables and for JSON. */
#ifndef RW_BENCH_RECORD_H
#define RW_BENCH_RECORD_H

#include "measure/invariance.h"
#include "measure/model_speed.h"
#include "measure/op_speed.h"
#include "measure/primitive_speed.h"
#include "measure/scaling.h"

enum { RW_FFT_SIZES = 2 };

typedef struct {
    rw_rates rates;
    double products_bf16; /* operations a second; 0: none */
    double subnormal;     /* time of a subnormal operation over a normal one, if not flushed */
    int fft_size[RW_FFT_SIZES];
    double fft[RW_FFT_SIZES]; /* operations a second */
} rw_limits;

typedef struct {
    const char *op;
    const char *where; /* the mixer that holds the op, "mlp" or "sample" */
    rw_op_figures figures;
} rw_op_row;

/* Of a mixer, or of a model's whole steps. */
typedef struct {
    const char *name;
    rw_model_figures figures;
} rw_model_row;

typedef struct {
    const char *name;
    rw_scaling_figures figures;
} rw_scaling_row;

typedef struct {
    const char *name;
    rw_invariance_figures figures;
} rw_invariance_row;

typedef struct {
    const rw_primitive *primitive;
    rw_primitive_figures figures;
} rw_primitive_row;

/* Rows of a kind. */
typedef struct {
    void *rows;
    size_t count, capacity;
} rw_bench_rows;

typedef struct {
    int dp, sp, threads, width, chunk; /* chunk: of ops */
    const char *recompute, *precision; /* of mixers and steps */
    bool has_limits;
    rw_limits limits;
    rw_bench_rows ops, mixers, steps, scaling, invariance, primitives;
} rw_bench_record;

/* A copy of the row (size bytes) becomes the last. Not collective. */
rw_status rw_bench_add(rw_bench_rows *rows, const void *row, size_t size);
void rw_bench_free(rw_bench_record *record);

/* Seconds of a training step without its forward pass; the forward pass is assumed to take as long
 * as an evaluation. */
double rw_bench_backward(const rw_model_figures *figures);
/* amount / seconds; 0 where there is no time. */
double rw_bench_rate(double amount, double seconds);

/* Tables to standard output. Not collective. */
void rw_bench_print(const rw_bench_record *record);
/* A JSON object, written to this path as a whole or not at all. Not collective. */
rw_status rw_bench_write_json(const rw_bench_record *record, const char *path);
/* Fails if the path is not a file, or, without `force`, a file that is not such a JSON object. Not
 * collective. */
rw_status rw_bench_json_replaces(const char *path, bool force);

#endif
