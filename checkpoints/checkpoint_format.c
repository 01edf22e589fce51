#include "checkpoints/checkpoint_format.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "tensors are stored as they lie in memory: little-endian");

size_t rw_image_target_bytes = RW_IMAGE_TARGET_BYTES;

void rw_step_name(uint64_t step, char name[RW_STEP_NAME_SIZE])
{
    snprintf(name, RW_STEP_NAME_SIZE, "step-%08" PRIu64, step);
}

bool rw_step_parse(const char *name, uint64_t *step, bool *aside)
{
    if (strncmp(name, "step-", 5) != 0 || !isdigit((unsigned char)name[5])) return false;
    *step = strtoull(name + 5, NULL, 10);
    char canonical[RW_STEP_NAME_SIZE];
    rw_step_name(*step, canonical);
    size_t length = strlen(canonical);
    if (strncmp(name, canonical, length) != 0) return false;
    *aside = strcmp(name + length, ".old") == 0;
    return *aside || name[length] == '\0';
}

bool rw_is_leftover(const char *name)
{
    char before[RW_STEP_NAME_SIZE + 8];
    uint64_t step;
    bool aside;
    const char *mark = strstr(name, ".tmp.");
    if (!mark || (size_t)(mark - name) >= sizeof before) return false;
    size_t digits = strspn(mark + 5, "0123456789");
    if (digits == 0 || mark[5 + digits]) return false;
    snprintf(before, sizeof before, "%.*s", (int)(mark - name), name);
    return rw_step_parse(before, &step, &aside) || strcmp(before, RW_LATEST_FILE) == 0 ||
           strcmp(before, RW_BEST_FILE) == 0;
}

bool rw_tensor_name_valid(const char *name)
{
    size_t length = strlen(name);
    if (length == 0 || length > RW_TENSOR_NAME_MAX) return false;
    for (const char *part = name;;) {
        size_t size = strcspn(part, "/");
        if (strspn(part, ".") >= size) return false;
        if (part[size] == '\0') break;
        part += size + 1;
    }
    for (; *name; name++)
        if (*name <= ' ' || *name > '~') return false;
    return true;
}

size_t rw_dtype_bytes(const char *dtype)
{
    if (strcmp(dtype, "float32") == 0) return 4;
    if (strcmp(dtype, "float64") == 0) return 8;
    return 0;
}

const char *rw_shape_text(int dims, const size_t *shape, char text[RW_SHAPE_TEXT])
{
    int used = 0;
    text[0] = '\0';
    for (int d = 0; d < dims; d++)
        used +=
            snprintf(text + used, RW_SHAPE_TEXT - (size_t)used, "%s%zu", d ? "x" : "", shape[d]);
    return text;
}

size_t rw_shape_size(int dims, const size_t *shape)
{
    size_t size = 1;
    for (int d = 0; d < dims; d++) size *= shape[d];
    return size;
}
