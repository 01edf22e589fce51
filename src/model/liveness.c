#include "model/liveness.h"

#include <stdbool.h>

#include "base/memory.h"

void rw_lifetime_use(rw_lifetime *item, int phase, int time)
{
    bool unused = item->begin[phase] > item->end[phase];
    if (unused || time < item->begin[phase]) item->begin[phase] = time;
    if (unused || time > item->end[phase]) item->end[phase] = time;
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

/* The lowest offset at which `item` overlaps none of the neighbours, which are
 * sorted by offset. */
static size_t lowest_gap(const rw_lifetime *items, const int *neighbours, int count, size_t size)
{
    size_t at = 0;
    for (int i = 0; i < count; i++) {
        const rw_lifetime *n = &items[neighbours[i]];
        if (at + size <= n->offset) break;
        if (n->offset + n->size > at) at = n->offset + n->size;
    }
    return at;
}

rw_status rw_liveness_place(rw_lifetime *items, int count, size_t *total)
{
    int *neighbours;
    RW_TRY(rw_alloc((size_t)count + 1, sizeof *neighbours, "memory planning", &neighbours));
    *total = 0;
    for (int i = 0; i < count; i++) {
        if (!items[i].size) continue;
        items[i].size = (items[i].size + 15) / 16 * 16;
        int n = 0;
        for (int j = 0; j < i; j++) {
            if (!items[j].size || !meet(&items[i], &items[j])) continue;
            int at = n++;
            for (; at > 0 && items[neighbours[at - 1]].offset > items[j].offset; at--)
                neighbours[at] = neighbours[at - 1];
            neighbours[at] = j;
        }
        items[i].offset = lowest_gap(items, neighbours, n, items[i].size);
        if (items[i].offset + items[i].size > *total) *total = items[i].offset + items[i].size;
    }
    rw_free(&neighbours);
    return RW_OK;
}
