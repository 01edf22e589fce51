#include <stdio.h>
#include <string.h>

#include "base/float_mode.h"
#include "measure/bench_record.h"
#include "kernels/gemm.h"
#include "kernels/gemm_bf16.h"

static double tokens_of(const rw_model_figures *f)
{
    return (double)f->length * (double)f->batch;
}

static void print_limits(const rw_limits *l)
{
    printf("\nLimits, all ranks and threads at once\n");
    printf("  %-34s %10.1f GFLOP/s, BLAS kernels for %s\n", "products, float32",
           1e-9 * l->rates.products, rw_gemm_kernels());
    const char *missing = rw_gemm_stored_missing(RW_STORED_BF16);
    if (l->products_bf16 > 0)
        printf("  %-34s %10.1f GFLOP/s\n", "products, bf16", 1e-9 * l->products_bf16);
    else
        printf("  %-34s no: %s\n", "products, bf16", missing ? missing : "no memory");
    printf("  %-34s %10.1f GB/s\n", "memory, triad", 1e-9 * l->rates.memory);
    printf("  %-34s %10.1f times a normal one if kept; they are %s here\n",
           "subnormal numbers, time of one", l->subnormal,
           rw_float_mode_flushes() ? "flushed to zero" : "kept");
    for (int i = 0; i < RW_FFT_SIZES; i++)
        printf("  transforms of %6d reals, FFTW      %10.1f GFLOP/s\n", l->fft_size[i],
               1e-9 * l->fft[i]);
}

/* ---- Ops --------------------------------------------------------------------- */

static void print_pass_head(void)
{
    printf(" %9s %8s %8s %6s %-8s", "ns/token", "GFLOP/s", "GB/s", "share", "of");
}

/* An op without inputs and parameters has no backward. */
static void print_pass(const rw_op_pass *p)
{
    if (p->cost.bytes > 0)
        printf(" %9.2f %8.1f %8.1f %6.2f %-8s", 1e9 * p->seconds,
               1e-9 * rw_bench_rate(p->cost.flops, p->seconds),
               1e-9 * rw_bench_rate(p->cost.bytes, p->seconds), p->share,
               p->is_memory ? "memory" : "products");
    else
        printf(" %9s %8s %8s %6s %-8s", "-", "-", "-", "-", "-");
}

static void print_op(const rw_op_row *row)
{
    const rw_op_figures *f = &row->figures;
    printf("  %-18s %-16s %5d %5d", row->op, row->where, f->in, f->out);
    if (f->rounds == 0) {
        printf("  not measured: %s\n", f->reason);
        return;
    }
    print_pass(&f->forward);
    print_pass(&f->backward);
    printf(" %9.1f\n", 1e6 * f->prepare);
}

static void print_ops(const rw_bench_record *r)
{
    const rw_op_row *rows = r->ops.rows;
    printf("\nOps: width %d, chunks of %d tokens that lie in memory, all threads at once; share: "
           "time at the\nnearer limit, of products or of memory, over time taken\n",
           r->width, r->chunk);
    printf("  %-18s %-16s %11s %-43s  %-43s %9s\n", "", "", "columns", "  forward", "  backward",
           "once a");
    printf("  %-18s %-16s %5s %5s", "op", "as in", "in", "out");
    print_pass_head();
    print_pass_head();
    printf(" %9s\n", "step, us");
    for (size_t i = 0; i < r->ops.count; i++) print_op(&rows[i]);
}

/* ---- Mixers and steps --------------------------------------------------------- */

static bool print_sizes(const rw_model_row *row)
{
    const rw_model_figures *f = &row->figures;
    printf("  %-18s %8ld %6ld", row->name, f->length, f->batch);
    if (f->rounds == 0) printf("  not measured: %s\n", f->reason);
    return f->rounds > 0;
}

/* Time a token over the time at the shortest measured length of the model. */
static double growth(const rw_model_row *rows, size_t i)
{
    size_t first = i;
    for (size_t k = i; k-- > 0 && strcmp(rows[k].name, rows[i].name) == 0;)
        if (rows[k].figures.rounds) first = k;
    const rw_model_figures *f = &rows[i].figures, *least = &rows[first].figures;
    return f->step.seconds / tokens_of(f) * tokens_of(least) / least->step.seconds;
}

static void print_mixer(const rw_model_row *rows, size_t i)
{
    const rw_model_figures *f = &rows[i].figures;
    const rw_pass_figures *forward = &f->forward, *step = &f->step;
    double tokens = tokens_of(f);
    if (!print_sizes(&rows[i])) return;
    printf(" %10.0f %10.0f %10.0f %6.2f %6.2f %6.2f %6.2f %6.2f %9.1f %9.1f %9.0f\n",
           tokens / forward->seconds, rw_bench_rate(tokens, rw_bench_backward(f)),
           tokens / step->seconds, growth(rows, i), forward->products, step->products,
           forward->limits, step->limits, forward->sent_bytes, step->sent_bytes, f->memory);
}

static void print_mixers(const rw_bench_record *r)
{
    const rw_model_row *rows = r->mixers.rows;
    printf("\nMixers: a block of width %d, in a model of bytes; a step is forward and backward; "
           "%s, recompute %s;\nto 1st: time a token over that at the mixer's first length\n",
           r->width, r->precision, r->recompute);
    printf("  %-18s %8s %6s %32s %6s %13s %13s %19s %9s\n", "", "", "", "tokens/s", "step",
           "of products", "of limits", "sent, B/token", "memory");
    printf("  %-18s %8s %6s %10s %10s %10s %6s %6s %6s %6s %6s %9s %9s %9s\n", "mixer", "length",
           "batch", "forward", "backward", "step", "to 1st", "fwd", "step", "fwd", "step", "fwd",
           "step", "B/token");
    for (size_t i = 0; i < r->mixers.count; i++) print_mixer(rows, i);
}

static void print_step(const rw_model_row *rows, size_t i)
{
    const rw_model_figures *f = &rows[i].figures;
    double seconds = f->step.seconds, tokens = tokens_of(f);
    if (!print_sizes(&rows[i])) return;
    printf(" %9.3f %10.0f %9.2f %7.2f %9.1f %8.2f %6.2f %9.1f %9.0f\n", seconds, tokens / seconds,
           1e6 * seconds / tokens, growth(rows, i), 1e-9 * f->flops * tokens / seconds,
           f->step.products, f->step.limits, f->step.sent_bytes, f->memory);
}

static void print_steps(const rw_bench_record *r)
{
    printf("\nSteps: forward, backward, sums over ranks and update of models of bytes, layers x "
           "width; %s, recompute %s;\nto 1st: time a token over that at the model's first length\n",
           r->precision, r->recompute);
    printf("  %-18s %8s %6s %9s %10s %9s %7s %9s %15s %9s %9s\n", "", "", "", "", "", "", "", "",
           "share of", "sent", "memory");
    printf("  %-18s %8s %6s %9s %10s %9s %7s %9s %8s %6s %9s %9s\n", "model", "length", "batch",
           "s", "tokens/s", "us/token", "to 1st", "GFLOP/s", "products", "limits", "B/token",
           "B/token");
    for (size_t i = 0; i < r->steps.count; i++) print_step(r->steps.rows, i);
}

/* ---- Ranks ---------------------------------------------------------------------- */

static void print_scaling(const rw_bench_record *r)
{
    const rw_scaling_row *row = r->scaling.rows;
    int ranks = r->dp * r->sp;
    printf("\nScaling: a step on one rank (the others sleep), on %d that share the batch (dp), or "
           "each sequence (sp)\n",
           ranks);
    printf("  %-18s %8s %6s %9s %9s %9s %9s %9s\n", "model", "length", "batch", "alone, s", "dp, s",
           "sp, s", "dp gain", "sp gain");
    for (const rw_scaling_row *end = row + r->scaling.count; row < end; row++) {
        const rw_scaling_figures *f = &row->figures;
        printf("  %-18s %8ld %6ld", row->name, f->length, f->batch);
        if (f->rounds)
            printf(" %9.3f %9.3f %9.3f %9.2f %9.2f\n", f->alone, f->dp, f->sp, f->dp_gain,
                   f->sp_gain);
        else
            printf("  not measured: %s\n", f->reason);
    }
}

static void print_invariance(const rw_bench_record *r)
{
    const rw_invariance_row *row = r->invariance.rows;
    printf("\nInvariance: sums of gradients, and carries, on the chunk tree and in the cheapest "
           "order that differs\nby layout; cost: what the tree takes more, of a step\n");
    printf("  %-18s %8s %6s %9s %20s %20s %26s\n", "", "", "", "", "sums, ms", "carries, ms",
           "cost");
    printf("  %-18s %8s %6s %9s %10s %9s %10s %9s %8s %8s %8s\n", "model", "length", "batch",
           "step, ms", "tree", "plain", "tree", "plain", "sums", "carries", "both");
    for (const rw_invariance_row *end = row + r->invariance.count; row < end; row++) {
        const rw_invariance_figures *f = &row->figures;
        printf("  %-18s %8ld %6ld", row->name, f->length, f->batch);
        if (f->rounds)
            printf(" %9.1f %10.2f %9.2f %10.2f %9.2f %7.2f%% %7.2f%% %7.2f%%\n", 1e3 * f->step,
                   1e3 * f->sums_tree, 1e3 * f->sums_plain, 1e3 * f->scans_tree,
                   1e3 * f->scans_plain, 100 * f->sums_share, 100 * f->scans_share,
                   100 * (f->sums_share + f->scans_share));
        else
            printf("  not measured: %s\n", f->reason);
    }
}

static void print_primitives(const rw_bench_record *r)
{
    const rw_primitive_row *rows = r->primitives.rows;
    printf("\nPrimitives: bytes sent by the rank that sends most\n");
    printf("  %-18s %-8s %11s %11s %11s %10s %9s\n", "primitive", "payload", "bytes", "predicted",
           "counted", "us", "MB/s");
    for (size_t i = 0; i < r->primitives.count; i++) {
        const rw_primitive_figures *f = &rows[i].figures;
        printf("  %-18s %-8s %11.0f %11.0f %11.0f %10.1f %9.1f%s\n", rows[i].primitive->name,
               rows[i].primitive->payload, f->payload, f->predicted, f->counted, 1e6 * f->seconds,
               1e-6 * rw_bench_rate(f->counted, f->seconds), f->exact ? "" : "  DIFFERS");
    }
}

void rw_bench_print(const rw_bench_record *r)
{
    printf("%d rank%s (dp %d x sp %d), %d thread%s each\n", r->dp * r->sp,
           r->dp * r->sp == 1 ? "" : "s", r->dp, r->sp, r->threads, r->threads == 1 ? "" : "s");
    if (r->has_limits) print_limits(&r->limits);
    if (r->ops.count) print_ops(r);
    if (r->mixers.count) print_mixers(r);
    if (r->steps.count) print_steps(r);
    if (r->scaling.count) print_scaling(r);
    if (r->invariance.count) print_invariance(r);
    if (r->primitives.count) print_primitives(r);
}
