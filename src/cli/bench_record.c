#include "cli/bench_record.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "kernels/gemm_bf16.h"

rw_status rw_bench_add_mixer(rw_bench_record *r, const rw_mixer_row *row)
{
    RW_TRY(rw_grow(&r->mixers, &r->mixer_capacity, r->mixer_count + 1, sizeof *row));
    r->mixers[r->mixer_count++] = *row;
    return RW_OK;
}

rw_status rw_bench_add_primitive(rw_bench_record *r, const rw_primitive_row *row)
{
    RW_TRY(rw_grow(&r->primitives, &r->primitive_capacity, r->primitive_count + 1, sizeof *row));
    r->primitives[r->primitive_count++] = *row;
    return RW_OK;
}

void rw_bench_free(rw_bench_record *record)
{
    rw_free(&record->mixers);
    rw_free(&record->primitives);
}

static double tokens_of(const rw_mixer_figures *f)
{
    return (double)f->length * (double)f->batch;
}

/* A training step without its forward pass, which is taken to last as long as
 * an evaluation. */
static double backward_of(const rw_mixer_figures *f)
{
    return f->step > f->forward ? f->step - f->forward : 0;
}

static double rate(double amount, double seconds)
{
    return seconds > 0 ? amount / seconds : 0;
}

/* ---- Tables ------------------------------------------------------------------ */

static void print_limits(const rw_limits *l)
{
    printf("\nLimits, all ranks and threads at once\n");
    printf("  %-34s %10.1f GFLOP/s\n", "products, float32", 1e-9 * l->products);
    const char *missing = rw_gemm_stored_missing(RW_STORED_BF16);
    if (l->products_bf16 > 0)
        printf("  %-34s %10.1f GFLOP/s\n", "products, bf16", 1e-9 * l->products_bf16);
    else
        printf("  %-34s no: %s\n", "products, bf16", missing ? missing : "no memory");
    printf("  %-34s %10.1f GB/s\n", "memory, triad", 1e-9 * l->triad);
    for (int i = 0; i < RW_FFT_SIZES; i++)
        printf("  transforms of %6d reals, FFTW      %10.1f GFLOP/s\n", l->fft_size[i],
               1e-9 * l->fft[i]);
}

static void print_mixer(const rw_mixer_row *row)
{
    const rw_mixer_figures *f = &row->figures;
    double tokens = tokens_of(f);
    printf("  %-18s %8ld %6ld", row->mixer, f->length, f->batch);
    if (f->rounds == 0) {
        printf("  not measured: %s\n", f->reason);
        return;
    }
    printf(" %10.0f %10.0f %10.0f %6.2f %6.2f %9.1f %9.1f %9.0f\n", tokens / f->forward,
           rate(tokens, backward_of(f)), tokens / f->step, f->forward_share, f->step_share,
           f->forward_bytes, f->step_bytes, f->memory);
}

static void print_mixers(const rw_bench_record *r)
{
    printf("\nMixers: a block of width %d, in a model of bytes; a step is forward and backward\n",
           r->width);
    printf("  %-18s %8s %6s %32s %13s %19s %9s\n", "", "", "", "tokens/s", "of products",
           "sent, B/token", "memory");
    printf("  %-18s %8s %6s %10s %10s %10s %6s %6s %9s %9s %9s\n", "mixer", "length", "batch",
           "forward", "backward", "step", "fwd", "step", "fwd", "step", "B/token");
    for (size_t i = 0; i < r->mixer_count; i++) print_mixer(&r->mixers[i]);
}

static void print_primitives(const rw_bench_record *r)
{
    printf("\nPrimitives: bytes sent by the rank that sends most\n");
    printf("  %-18s %-8s %11s %11s %11s %10s %9s\n", "primitive", "payload", "bytes", "predicted",
           "counted", "us", "MB/s");
    for (size_t i = 0; i < r->primitive_count; i++) {
        const rw_primitive_figures *f = &r->primitives[i].figures;
        printf("  %-18s %-8s %11.0f %11.0f %11.0f %10.1f %9.1f%s\n",
               r->primitives[i].primitive->name, r->primitives[i].primitive->payload, f->payload,
               f->predicted, f->counted, 1e6 * f->seconds, 1e-6 * rate(f->counted, f->seconds),
               f->exact ? "" : "  DIFFERS");
    }
}

void rw_bench_print(const rw_bench_record *r)
{
    printf("%d rank%s (dp %d x sp %d), %d thread%s each\n", r->dp * r->sp,
           r->dp * r->sp == 1 ? "" : "s", r->dp, r->sp, r->threads, r->threads == 1 ? "" : "s");
    if (r->has_limits) print_limits(&r->limits);
    if (r->mixer_count) print_mixers(r);
    if (r->primitive_count) print_primitives(r);
}

/* ---- JSON -------------------------------------------------------------------- */

static json_t *limits_json(const rw_limits *l)
{
    json_t *transforms = json_array();
    for (int i = 0; i < RW_FFT_SIZES; i++)
        json_array_append_new(
            transforms, json_pack("{si sf}", "points", l->fft_size[i], "flop_per_s", l->fft[i]));
    return json_pack("{sf sf sf so}", "products_flop_per_s", l->products,
                     "products_bf16_flop_per_s", l->products_bf16, "triad_bytes_per_s", l->triad,
                     "transforms", transforms);
}

static json_t *mixer_json(const rw_mixer_row *row)
{
    const rw_mixer_figures *f = &row->figures;
    double tokens = tokens_of(f);
    if (f->rounds == 0)
        return json_pack("{ss sI sI ss}", "mixer", row->mixer, "length", (json_int_t)f->length,
                         "batch", (json_int_t)f->batch, "not_measured", f->reason);
    return json_pack("{ss sI sI si sf sf sf sf sf sf sf sf}", "mixer", row->mixer, "length",
                     (json_int_t)f->length, "batch", (json_int_t)f->batch, "rounds", f->rounds,
                     "forward_tokens_per_s", tokens / f->forward, "backward_tokens_per_s",
                     rate(tokens, backward_of(f)), "step_tokens_per_s", tokens / f->step,
                     "forward_share_of_products", f->forward_share, "step_share_of_products",
                     f->step_share, "forward_bytes_sent_per_token", f->forward_bytes,
                     "step_bytes_sent_per_token", f->step_bytes, "memory_bytes_per_token",
                     f->memory);
}

static json_t *primitive_json(const rw_primitive_row *row)
{
    const rw_primitive_figures *f = &row->figures;
    return json_pack("{ss ss sf sf sf sb sf}", "primitive", row->primitive->name, "payload",
                     row->primitive->payload, "payload_bytes", f->payload, "predicted_bytes",
                     f->predicted, "counted_bytes", f->counted, "exact", (int)f->exact, "seconds",
                     f->seconds);
}

static json_t *record_json(const rw_bench_record *r)
{
    json_t *root = json_pack("{si si si si}", "dp", r->dp, "sp", r->sp, "threads", r->threads,
                             "width", r->width);
    json_t *mixers = json_array(), *primitives = json_array();
    for (size_t i = 0; i < r->mixer_count; i++)
        json_array_append_new(mixers, mixer_json(&r->mixers[i]));
    for (size_t i = 0; i < r->primitive_count; i++)
        json_array_append_new(primitives, primitive_json(&r->primitives[i]));
    if (r->has_limits) json_object_set_new(root, "limits", limits_json(&r->limits));
    json_object_set_new(root, "mixers", mixers);
    json_object_set_new(root, "primitives", primitives);
    return root;
}

rw_status rw_bench_write_json(const rw_bench_record *record, const char *path)
{
    json_t *root = record_json(record);
    int failed = json_dump_file(root, path, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    json_decref(root);
    if (!failed) return RW_OK;
    return rw_fail(RW_ERROR, "cannot write the figures to %s: %s", path,
                   errno ? strerror(errno) : "is the disk full?");
}
