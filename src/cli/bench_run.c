#include "cli/bench_run.h"

#include "base/log.h"
#include "measure/limits.h"

#define LIMIT_S 0.3 /* seconds that the measurement of a limit takes */

static double of_all_ranks(const rw_layout *layout, double value)
{
    MPI_Allreduce(MPI_IN_PLACE, &value, 1, MPI_DOUBLE, MPI_SUM, layout->world);
    return value;
}

static void measure_limits(const rw_layout *layout, rw_limits *out)
{
    static const int sizes[RW_FFT_SIZES] = {4096, 131072};
    rw_progress(false, "bench: limits of the machine");
    MPI_Barrier(layout->world);
    out->products = of_all_ranks(layout, rw_measure_products(layout->threads, LIMIT_S));
    out->products_bf16 = of_all_ranks(layout, rw_measure_products_bf16(layout->threads, LIMIT_S));
    out->triad = of_all_ranks(layout, rw_measure_triad(layout->threads, LIMIT_S));
    for (int i = 0; i < RW_FFT_SIZES; i++) {
        out->fft_size[i] = sizes[i];
        out->fft[i] = of_all_ranks(layout, rw_measure_fft(layout->threads, sizes[i], LIMIT_S));
    }
}

/* On a terminal the line follows the rounds; elsewhere one a length will do. */
static void show_round(const char *mixer, long length, int round, int rounds)
{
    if (round == 1 || rw_on_terminal())
        rw_progress(false, "bench: %s, %ld tokens, round %d of %d", mixer, length, round, rounds);
}

static rw_status measure_mixer(const rw_bench_parts *parts, const rw_layout *layout,
                               const rw_mixer *mixer, rw_bench_record *record)
{
    rw_mixer_speed speed = {.layout = layout,
                            .mixer = mixer,
                            .width = parts->width,
                            .rounds = parts->rounds,
                            .limit = parts->limit,
                            .progress = show_round};
    for (int i = 0; i < parts->length_count; i++) {
        rw_mixer_row row = {.mixer = mixer->name};
        RW_TRY(rw_mixer_speed_run(&speed, parts->lengths[i], &row.figures));
        RW_TRY(rw_agree(layout, rw_bench_add_mixer(record, &row)));
    }
    return RW_OK;
}

/* Payloads of 4 KiB, 64 KiB and 1 MiB; two sequences a rank, two chunks a rank
 * of each, so that every rank has one maximal node. */
static rw_status measure_primitive(const rw_layout *layout, const rw_primitive *primitive,
                                   int rounds, rw_bench_record *record)
{
    rw_progress(false, "bench: %s", primitive->name);
    for (size_t reals = 1 << 10; reals <= 1 << 18; reals <<= 4) {
        rw_trial trial = {.layout = layout,
                          .sequences = 2 * layout->dp,
                          .chunks = 2 * layout->sp,
                          .reals = reals};
        rw_primitive_row row = {.primitive = primitive};
        RW_TRY(rw_primitive_measure(primitive, &trial, rounds, &row.figures));
        RW_TRY(rw_agree(layout, rw_bench_add_primitive(record, &row)));
        if (!row.figures.exact)
            return rw_fail(RW_ERROR, "%s did not send the bytes that it predicts: see the table",
                           primitive->name);
    }
    return RW_OK;
}

rw_status rw_bench_run(const rw_bench_parts *parts, const rw_layout *layout,
                       rw_bench_record *record)
{
    record->dp = layout->dp;
    record->sp = layout->sp;
    record->threads = layout->threads;
    record->width = parts->width;
    record->has_limits = parts->limits;
    if (parts->limits) measure_limits(layout, &record->limits);
    for (int i = 0; i < parts->mixer_count; i++)
        RW_TRY(measure_mixer(parts, layout, parts->mixers[i], record));
    for (const rw_primitive *p = rw_primitives; parts->primitives && p->name; p++)
        RW_TRY(measure_primitive(layout, p, parts->rounds, record));
    rw_progress(true, "bench: done");
    return RW_OK;
}
