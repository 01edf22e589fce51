/* What the primitives of sequence parallelism send: predicted, counted, and
 * handed to MPI are the same number of bytes on every rank, and those of the
 * formulas in the headers of mpi/ where these are exact.
 *
 * The calls of MPI that send are intercepted (its profiling interface), so that
 * neither the primitive's prediction nor its own count is believed. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <mpi.h>

#include "base/memory.h"
#include "measure/primitives.h"
#include "mpi/tree_reduce.h"
#include "mpi/tree_scan.h"
#include "mpi_testing.h"

/* ---- What goes to MPI --------------------------------------------------------- */

static double handed_over; /* bytes, to other ranks */

static double bytes_of(int count, MPI_Datatype type)
{
    int size;
    MPI_Type_size(type, &size);
    return (double)count * size;
}

static int size_of(MPI_Comm comm)
{
    int size;
    MPI_Comm_size(comm, &size);
    return size;
}

static void hand_over(int count, MPI_Datatype type, int to, MPI_Comm comm)
{
    int rank;
    MPI_Comm_rank(comm, &rank);
    if (to != MPI_PROC_NULL && to != rank) handed_over += bytes_of(count, type);
}

int MPI_Send(const void *data, int count, MPI_Datatype type, int to, int tag, MPI_Comm comm)
{
    hand_over(count, type, to, comm);
    return PMPI_Send(data, count, type, to, tag, comm);
}

int MPI_Isend(const void *data, int count, MPI_Datatype type, int to, int tag, MPI_Comm comm,
              MPI_Request *request)
{
    hand_over(count, type, to, comm);
    return PMPI_Isend(data, count, type, to, tag, comm, request);
}

int MPI_Sendrecv(const void *data, int count, MPI_Datatype type, int to, int tag, void *place,
                 int received, MPI_Datatype received_type, int from, int received_tag,
                 MPI_Comm comm, MPI_Status *status)
{
    hand_over(count, type, to, comm);
    return PMPI_Sendrecv(data, count, type, to, tag, place, received, received_type, from,
                         received_tag, comm, status);
}

/* Of a collective call: what must leave the rank, however it travels. */
int MPI_Allgatherv(const void *data, int count, MPI_Datatype type, void *place, const int *counts,
                   const int *places, MPI_Datatype received_type, MPI_Comm comm)
{
    int rank;
    MPI_Comm_rank(comm, &rank);
    handed_over += (size_of(comm) - 1) * bytes_of(counts[rank], received_type);
    return PMPI_Allgatherv(data, count, type, place, counts, places, received_type, comm);
}

int MPI_Alltoallv(const void *data, const int *counts, const int *places, MPI_Datatype type,
                  void *received, const int *received_counts, const int *received_places,
                  MPI_Datatype received_type, MPI_Comm comm)
{
    for (int q = 0; q < size_of(comm); q++) hand_over(counts[q], type, q, comm);
    return PMPI_Alltoallv(data, counts, places, type, received, received_counts, received_places,
                          received_type, comm);
}

/* ---- All primitives ----------------------------------------------------------- */

static void check_trial(const rw_primitive *primitive, rw_trial trial)
{
    assert_int_equal(primitive->open(&trial), RW_OK);
    double predicted = (double)primitive->predict(&trial), counted = rw_comm_count.bytes;
    handed_over = 0;
    primitive->run(&trial);
    counted = rw_comm_count.bytes - counted;
    mpi_test_all(predicted == counted && counted == handed_over,
                 "%s%s of %zu reals, %ld sequences, %ld chunks, %d x %d ranks: predicted %.0f, "
                 "counted %.0f, handed to MPI %.0f bytes",
                 primitive->name, trial.mirrored ? ", mirrored" : "", trial.reals, trial.sequences,
                 trial.chunks, trial.layout->dp, trial.layout->sp, predicted, counted, handed_over);
    primitive->close(&trial);
}

/* Calls `check` on every layout of all ranks. */
static void on_every_layout(void (*check)(const rw_layout *layout))
{
    int size = size_of(MPI_COMM_WORLD);
    for (int dp = 1; dp <= size; dp++) {
        rw_layout layout;
        if (size % dp) continue;
        assert_int_equal(rw_layout_new(dp, size / dp, 1, &layout), RW_OK);
        check(&layout);
        rw_layout_free(&layout);
    }
}

static void check_primitives(const rw_layout *layout)
{
    const size_t payloads[] = {1, 7, 96};
    for (const rw_primitive *p = rw_primitives; p->name; p++)
        for (int chunks = layout->sp; chunks <= 17; chunks += 3)
            for (int sequences = layout->dp; sequences <= 5; sequences += 2)
                for (size_t k = 0; k < sizeof payloads / sizeof *payloads; k++)
                    for (int mirrored = 0; mirrored <= p->has_mirror; mirrored++)
                        check_trial(p, (rw_trial){.layout = layout,
                                                  .sequences = sequences,
                                                  .chunks = chunks,
                                                  .reals = payloads[k],
                                                  .mirrored = mirrored});
}

static void test_primitives(void **unused)
{
    (void)unused;
    on_every_layout(check_primitives);
}

/* ---- Formulas ----------------------------------------------------------------- */

/* Bytes sent by each rank of sp_comm in a scan of one sequence: `s` a node. */
static double scan_bytes(const rw_layout *layout, long chunks, const rw_affine *affine,
                         bool mirrored)
{
    rw_scan *scan;
    assert_int_equal(
        rw_scan_new(layout, 0, 1, chunks, affine->transition, affine->state, false, &scan), RW_OK);
    double bytes = (double)rw_scan_bytes(scan, affine, 1, mirrored);
    rw_scan_destroy(&scan);
    return bytes;
}

static int ceil_log2(int n)
{
    int k = 0;
    while (1 << k < n) k++;
    return k;
}

/* Aligned ranges, nodes of s bytes: a rank sends at most ceil(log2 P) s, the
 * volume of an exclusive scan; the first one (mirrored: the last) does, the rank
 * at the other end sends nothing. Together they send no more than half of what
 * all-gathering the states takes, P (P-1) s. */
static void check_scan(const rw_layout *layout)
{
    const rw_affine affine = {.transition = 3, .state = 5};
    int sp = layout->sp;
    double s = (3 + 5 + 1) * sizeof(real), most = ceil_log2(sp) * s;
    for (long chunks = sp; chunks <= 8 * sp; chunks *= 2)
        for (int mirrored = 0; mirrored < 2; mirrored++) {
            double sent = scan_bytes(layout, chunks, &affine, mirrored), total;
            int v = mirrored ? sp - 1 - layout->sp_rank : layout->sp_rank;
            bool aligned = (sp & (sp - 1)) == 0;
            MPI_Allreduce(&sent, &total, 1, MPI_DOUBLE, MPI_SUM, layout->sp_comm);
            mpi_test_all(!aligned || (sent <= most && (v > 0 || sent == most)),
                         "a scan over %ld chunks: %.0f bytes, not up to %.0f", chunks, sent, most);
            mpi_test_all(v < sp - 1 || sent == 0, "the last rank sends %.0f bytes", sent);
            mpi_test_all(!aligned || total <= 0.5 * sp * (sp - 1) * s,
                         "all ranks send %.0f bytes, half of an all-gather is %.0f", total,
                         0.5 * sp * (sp - 1) * s);
        }
}

static void test_scan(void **unused)
{
    (void)unused;
    on_every_layout(check_scan);
}

/* Batch shared at powers of two: a vector of n bytes takes 2 n (P-1)/P, a ring
 * all-reduce; a double a chunk takes (P-1) doubles. */
static void check_sums(const rw_layout *layout)
{
    int P = layout->size;
    size_t n = 12 * (size_t)P;
    if (layout->sp > 1 || (P & (P - 1))) return;
    rw_tree tree = rw_tree_of(2 * P, 3);
    rw_reduction *r;
    double leaf[6] = {1, 2, 3, 4, 5, 6}, before = rw_comm_count.bytes;
    assert_int_equal(rw_reduction_new(layout, &tree, n, &r), RW_OK);
    mpi_test_all(rw_reduction_bytes(r, n) == 2 * n * sizeof(real) * (size_t)(P - 1) / (size_t)P,
                 "a sum of %zu reals sends %zu bytes", n, rw_reduction_bytes(r, n));
    handed_over = 0;
    assert_true(rw_reduction_scalar(r, leaf) == 21 * P);
    double counted = rw_comm_count.bytes - before, wanted = sizeof(double) * (double)(P - 1);
    mpi_test_all(counted == wanted && handed_over == wanted &&
                     (double)rw_reduction_scalar_bytes(r) == wanted,
                 "a sum of scalars sends %.0f bytes, not %.0f", counted, wanted);
    rw_reduction_destroy(&r);
}

static void test_sums(void **unused)
{
    (void)unused;
    on_every_layout(check_sums);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_primitives),
        cmocka_unit_test(test_scan),
        cmocka_unit_test(test_sums),
    };
    mpi_test_begin(&argc, &argv);
    int failed = cmocka_run_group_tests_name("volumes", tests, NULL, NULL);
    MPI_Finalize();
    return failed;
}
