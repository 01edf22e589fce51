#include "mpi/row_exchange.h"

#include <string.h>

#include "base/memory.h"
#include "mpi/swap.h"

/* Rows and keys in flight to a rank, and from a rank. A key in flight is sequence * length + row.
 */
typedef struct {
    int64_t *keys_out, *keys_in;
    real *rows_out, *rows_in;
} packet;

static size_t local_rows(const rw_span *span)
{
    return (size_t)span->most * (size_t)rw_span_count(span);
}

static size_t key_reals(const rw_span *span)
{
    size_t bytes = local_rows(span) * sizeof(int64_t);
    return (bytes + RW_ALIGNMENT - 1) / RW_ALIGNMENT * RW_ALIGNMENT / sizeof(real);
}

size_t rw_rows_buffer(const rw_span *span, int width)
{
    if (span->layout->sp == 1) return 0;
    return 2 * (key_reals(span) + local_rows(span) * (size_t)width);
}

static packet packet_in(const rw_span *span, int width, real *buffer)
{
    size_t keys = key_reals(span), rows = local_rows(span) * (size_t)width;
    /* Keys come first: after an odd number of reals they would not be aligned. */
    real *first = buffer + 2 * keys;
    return (packet){(int64_t *)buffer, (int64_t *)(buffer + keys), first, first + rows};
}

double rw_rows_bytes(const rw_span *span, int width, const int64_t *keys)
{
    size_t away = 0, each = (size_t)width * sizeof(real) + sizeof(int64_t);
    for (long b = 0; b < span->sequences; b++)
        for (long r = 0; r < rw_span_count(span); r++)
            away += rw_span_owner(span, (long)keys[b * span->stride + r]) != span->layout->sp_rank;
    return (double)(away * each + (size_t)(span->layout->sp - 1) * sizeof(int64_t));
}

static void put(const rw_span *span, int width, int64_t key, const real *row, real *to, int ld,
                bool add)
{
    long b = (long)(key / span->length), r = (long)(key % span->length) - span->rows.begin;
    real *at = to + (size_t)(b * span->stride + r) * (size_t)ld;
    for (int i = 0; i < width; i++) at[i] = add ? at[i] + row[i] : row[i];
}

/* Collects the rows for rank q; returns their number. */
static int64_t pack(const rw_span *span, int width, const int64_t *keys, const real *from, int ld,
                    int q, const packet *p)
{
    int64_t n = 0;
    for (long b = 0; b < span->sequences; b++)
        for (long r = 0; r < rw_span_count(span); r++) {
            size_t row = (size_t)(b * span->stride + r);
            if (rw_span_owner(span, (long)keys[row]) != q) continue;
            memcpy(p->rows_out + n * width, from + row * (size_t)ld, (size_t)width * sizeof(real));
            p->keys_out[n++] = b * span->length + keys[row];
        }
    return n;
}

/* Rows that stay on this rank. */
static void move_own(const rw_span *span, int width, const int64_t *keys, const real *from,
                     int from_ld, real *to, int to_ld, bool add)
{
    for (long b = 0; b < span->sequences; b++)
        for (long r = 0; r < rw_span_count(span); r++) {
            size_t row = (size_t)(b * span->stride + r);
            if (rw_span_owner(span, (long)keys[row]) == span->layout->sp_rank)
                put(span, width, b * span->length + keys[row], from + row * (size_t)from_ld, to,
                    to_ld, add);
        }
}

void rw_rows_exchange(const rw_span *span, int width, const int64_t *keys, const real *from,
                      int from_ld, real *to, int to_ld, bool add, real *buffer)
{
    const rw_layout *layout = span->layout;
    packet p = packet_in(span, width, buffer);
    size_t each = (size_t)width * sizeof(real);
    move_own(span, width, keys, from, from_ld, to, to_ld, add);
    for (int k = 1; k < layout->sp; k++) {
        int right = (layout->sp_rank + k) % layout->sp;
        int left = (layout->sp_rank - k + layout->sp) % layout->sp;
        int64_t in, out = pack(span, width, keys, from, from_ld, right, &p);
        rw_swap(layout, right, &out, sizeof out, left, &in, sizeof in);
        rw_swap(layout, right, p.keys_out, (size_t)out * sizeof(int64_t), left, p.keys_in,
                (size_t)in * sizeof(int64_t));
        rw_swap(layout, right, p.rows_out, (size_t)out * each, left, p.rows_in, (size_t)in * each);
        for (int64_t i = 0; i < in; i++)
            put(span, width, p.keys_in[i], p.rows_in + i * width, to, to_ld, add);
    }
}
