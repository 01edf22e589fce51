/* Long convolutions on the ranks that this is started with, which share one
 * sequence: both exchanges in turn, with the bytes that a rank sends, next to the
 * same convolution of a rank's share of the channels on FFTW, which exchanges
 * nothing. Wall time is that of the slowest rank, processor time the mean over
 * ranks, with what copies messages and little of what waits for them (ranks give
 * their core away). Smallest of the rounds: on a machine shared with other work
 * the others measure that work. One thread a rank.
 *
 *   mpirun -n RANKS bench_long_convolution [WIDTH [ROUNDS]] */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/memory.h"
#include "base/random.h"
#include "measure/rounds.h"
#include "kernels/convolution_fftw.h"
#include "kernels/long_fft.h"
#include "graph/layers.h"

extern const rw_op rw_op_long_convolution;

enum { CHUNK = 256, WIDTH = 64, ROUNDS = 7 };
static const long lengths[] = {1024, 16384, 131072};

enum { CHANNELS, TRANSFORM, PATHS };
static const char *const path_names[PATHS] = {"channels", "fft"};

/* Arrays of u, h, dy, y, du, dh: (rows of the rank, width). */
enum { U, H, DY, Y, DU, DH, ARRAYS };

typedef struct {
    rw_graph *graph[PATHS];
    rw_span span;
    int width;
    real *array[ARRAYS], *workspace[PATHS];
} problem;

typedef struct {
    double wall, processor; /* smallest seconds */
    double bytes;           /* sent by this rank */
} figures;

enum { FORWARD, BACKWARD, DIRECTIONS };

static double smallest(double a, double b)
{
    return a == 0 || b < a ? b : a;
}

static rw_status numbers(size_t count, real **out)
{
    rw_random random = rw_random_stream(1, RW_RANDOM_TEST, count);
    RW_TRY(rw_alloc(count, sizeof(real), "benchmark array", out));
    for (size_t i = 0; i < count; i++) (*out)[i] = (real)(rw_random_uniform(random, i) - 0.5);
    return RW_OK;
}

static rw_status prepare(const rw_layout *layout, long length, int width, problem *p)
{
    const rw_convolve_exchange exchange[] = {RW_CONVOLVE_CHANNELS, RW_CONVOLVE_FFT};
    p->width = width;
    p->span = (rw_span){.layout = layout, .sequences = 1, .most = 1, .length = length};
    p->span.chunk = CHUNK;
    p->span.rows = rw_span_rows(&p->span, layout->sp_rank);
    p->span.stride = rw_span_count(&p->span);
    for (int i = 0; i < ARRAYS; i++)
        RW_TRY(numbers((size_t)(p->span.stride * width), &p->array[i]));
    for (int i = 0; i < PATHS; i++) {
        rw_value both, y;
        RW_TRY(rw_graph_new(&p->graph[i]));
        RW_TRY(rw_features(p->graph[i], 2 * width, &both));
        RW_TRY(rw_long_convolution(p->graph[i], rw_columns(both, 0, width),
                                   rw_columns(both, width, width), exchange[i], &y));
        const rw_node *node = rw_graph_node(p->graph[i], 1);
        RW_TRY(node->op->fits(node, &p->span));
        RW_TRY(numbers(node->op->workspace(node, &p->span), &p->workspace[i]));
    }
    return RW_OK;
}

static void release(problem *p)
{
    for (int i = 0; i < ARRAYS; i++) rw_free(&p->array[i]);
    for (int i = 0; i < PATHS; i++) {
        rw_free(&p->workspace[i]);
        rw_graph_destroy(&p->graph[i]);
    }
}

static double processor_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void time_call(void (*run)(const rw_global *), const rw_global *call, figures *f)
{
    const rw_layout *layout = call->span.layout;
    MPI_Barrier(layout->world);
    double bytes = rw_comm_count.bytes, wall = rw_seconds(), processor = processor_seconds();
    double slowest, all;
    run(call);
    processor = processor_seconds() - processor;
    wall = rw_seconds() - wall;
    MPI_Allreduce(&wall, &slowest, 1, MPI_DOUBLE, MPI_MAX, layout->world);
    MPI_Allreduce(&processor, &all, 1, MPI_DOUBLE, MPI_SUM, layout->world);
    f->bytes = rw_comm_count.bytes - bytes;
    f->wall = smallest(f->wall, slowest);
    f->processor = smallest(f->processor, all / layout->size);
}

static void run_round(const problem *p, int path, figures f[DIRECTIONS])
{
    const rw_node *node = rw_graph_node(p->graph[path], 1);
    const int ld = p->width;
    rw_global g = {.node = node, .span = p->span, .workspace = p->workspace[path]};
    g.in[0] = p->array[U];
    g.in[1] = p->array[H];
    g.out = p->array[Y];
    g.dout = p->array[DY];
    g.din[0] = p->array[DU];
    g.din[1] = p->array[DH];
    g.in_ld[0] = g.in_ld[1] = g.out_ld = g.dout_ld = g.din_ld[0] = g.din_ld[1] = ld;
    time_call(node->op->global_forward, &g, &f[FORWARD]);
    time_call(node->op->global_backward, &g, &f[BACKWARD]);
}

/* Forward of a rank's share of the channels on FFTW: filter and input. */
static rw_status time_fftw(const problem *p, int rounds, double *seconds)
{
    rw_status status = RW_OK;
    rw_conv_fftw *plan = NULL;
    real *x = NULL, *spectrum = NULL, *scratch = NULL;
    const int length = (int)p->span.length, share = p->width / p->span.layout->sp;
    RW_TRY_DONE(rw_conv_fftw_new(length, 0, &plan));
    RW_TRY_DONE(numbers((size_t)length * (size_t)share, &x));
    RW_TRY_DONE(numbers(rw_conv_fftw_spectrum_reals(length, share), &spectrum));
    RW_TRY_DONE(numbers(rw_conv_fftw_scratch_reals(length), &scratch));
    for (int i = 0; i < rounds; i++) {
        double start = processor_seconds();
        rw_conv_fftw_transform(plan, share, x, spectrum, scratch);
        rw_conv_fftw_forward(plan, share, length, spectrum, x, share, x, share, 0, scratch);
        *seconds = smallest(*seconds, processor_seconds() - start);
    }
done:
    rw_free(&x);
    rw_free(&spectrum);
    rw_free(&scratch);
    rw_conv_fftw_destroy(&plan);
    return status;
}

static void print(const problem *p, figures f[PATHS][DIRECTIONS], double fftw)
{
    static const char *const names[DIRECTIONS] = {"forward", "backward"};
    for (int path = 0; path < PATHS && p->span.layout->rank == 0; path++)
        for (int d = 0; d < DIRECTIONS; d++) {
            const figures *at = &f[path][d];
            printf("%7ld %-8s %-8s |%9.2f %9.2f |%8.2f", p->span.length, path_names[path], names[d],
                   1e3 * at->wall, 1e3 * at->processor, 1e-6 * at->bytes);
            printf(d == FORWARD ? " |%9.2f\n" : " |\n", 1e3 * fftw);
        }
    fflush(stdout);
}

static rw_status measure(const rw_layout *layout, long length, int width, int rounds)
{
    rw_status status = RW_OK;
    problem p = {.width = 0};
    figures f[PATHS][DIRECTIONS] = {{{0}}};
    double fftw = 0;
    RW_TRY_DONE(prepare(layout, length, width, &p));
    for (int i = 0; i < rounds; i++)
        for (int path = 0; path < PATHS; path++) run_round(&p, path, f[path]);
    RW_TRY_DONE(time_fftw(&p, rounds, &fftw));
    print(&p, f, fftw);
done:
    release(&p);
    return status;
}

int main(int argc, char **argv)
{
    rw_status status = RW_OK;
    rw_layout layout;
    int width = argc > 1 ? atoi(argv[1]) : WIDTH, rounds = argc > 2 ? atoi(argv[2]) : ROUNDS;
    MPI_Init(&argc, &argv);
    RW_TRY_DONE(rw_layout_new(1, 0, 1, &layout));
    if (layout.rank == 0)
        printf("%d channels, " RW_REAL_NAME ", %d ranks; smallest of %d\n"
               "      L exchange          |  wall ms  proc. ms | MB sent | FFTW proc. ms\n",
               width, layout.size, rounds);
    for (size_t i = 0; status == RW_OK && i < sizeof lengths / sizeof *lengths; i++)
        status = measure(&layout, lengths[i], width, rounds);
    rw_layout_free(&layout);
done:
    if (status != RW_OK) fprintf(stderr, "bench_long_convolution: %s\n", rw_message());
    MPI_Finalize();
    return status == RW_OK ? 0 : 1;
}
