#include "model/liveness.h"

#include <stdbool.h>
#include <stdlib.h>

#include "base/memory.h"
#include "tensor/real.h"

void rw_lifetime_use(rw_lifetime *item, int phase, int time)
{
    bool unused = item->begin[phase] > item->end[phase];
    if (unused || time < item->begin[phase]) item->begin[phase] = time;
    if (unused || time > item->end[phase]) item->end[phase] = time;
}

void rw_lifetime_join(rw_lifetime *item, const rw_lifetime *other)
{
    for (int phase = 0; phase < 2; phase++) {
        if (other->begin[phase] > other->end[phase]) continue;
        rw_lifetime_use(item, phase, other->begin[phase]);
        rw_lifetime_use(item, phase, other->end[phase]);
    }
}

static bool meet(const rw_lifetime *a, const rw_lifetime *b)
{
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 2; j++)
            if (a->begin[i] <= a->end[i] && b->begin[j] <= b->end[j] && a->begin[i] <= b->end[j] &&
                b->begin[j] <= a->end[i])
                return true;
    return false;
}

/* Larger buffers first: they leave gaps for smaller buffers. */
static int by_size(const void *left, const void *right)
{
    const rw_lifetime *a = *(rw_lifetime *const *)left, *b = *(rw_lifetime *const *)right;
    if (a->size != b->size) return a->size > b->size ? -1 : 1;
    return a < b ? -1 : a > b;
}

/* The lowest offset at which `item` overlaps no placed buffer that is alive at the same time;
 * `placed` is sorted by offset. */
static size_t lowest_gap(const rw_lifetime *item, rw_lifetime *const *placed, int count)
{
    size_t at = 0;
    for (int i = 0; i < count; i++) {
        const rw_lifetime *n = placed[i];
        if (!meet(item, n)) continue;
        if (at + item->size <= n->offset) break;
        if (n->offset + n->size > at) at = n->offset + n->size;
    }
    return at;
}

static void insert(rw_lifetime *item, rw_lifetime **placed, int count)
{
    for (; count > 0 && placed[count - 1]->offset > item->offset; count--)
        placed[count] = placed[count - 1];
    placed[count] = item;
}

rw_status rw_liveness_place(rw_lifetime *items, int count, size_t *total)
{
    rw_lifetime **order;
    int used = 0;
    RW_TRY(rw_alloc((size_t)count + 1, sizeof(rw_lifetime *), "memory planning", &order));
    *total = 0;
    for (int i = 0; i < count; i++) {
        if (!items[i].size) continue;
        items[i].size = rw_whole_lines(items[i].size);
        order[used++] = &items[i];
    }
    qsort(order, (size_t)used, sizeof *order, by_size);
    for (int i = 0; i < used; i++) {
        rw_lifetime *item = order[i];
        item->offset = lowest_gap(item, order, i);
        if (item->offset + item->size > *total) *total = item->offset + item->size;
        insert(item, order, i); /* order[i] is free */
    }
    rw_free(&order);
    return RW_OK;
}
