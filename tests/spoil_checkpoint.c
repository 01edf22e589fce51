/* spoil_checkpoint STEP_FOLDER TENSOR VALUE: gives all elements of a tensor of a checkpoint the
 * value (such as nan, inf, 3e38) and saves the checkpoint in its place, with hashes that are
 * right; or, for TENSOR tokens_seen, forgets how many tokens were seen. For tests of what an older
 * program, or a moment of bad luck, may have left. */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "checkpoints/checkpoint_reader.h"

static size_t elements(const rw_tensor *t)
{
    size_t n = 1;
    for (int d = 0; d < t->dims; d++) n *= t->shape[d];
    return n;
}

static rw_status read_all(rw_checkpoint *checkpoint, rw_tensor *tensors, int count)
{
    for (int i = 0; i < count; i++) {
        tensors[i] = rw_checkpoint_tensor(checkpoint, i);
        RW_TRY(rw_alloc(elements(&tensors[i]), sizeof(real), "a tensor", &tensors[i].data));
    }
    return rw_checkpoint_read(checkpoint, tensors, count);
}

static const char counter[] = "tokens_seen"; /* which older programs did not record */

static rw_status spoil(const rw_tensor *tensors, int count, const char *name, real value)
{
    if (strcmp(name, counter) == 0) return RW_OK;
    for (int i = 0; i < count; i++) {
        if (strcmp(tensors[i].name, name) != 0) continue;
        for (size_t j = 0; j < elements(&tensors[i]); j++) tensors[i].data[j] = value;
        return RW_OK;
    }
    return rw_fail(RW_USAGE, "there is no tensor %s", name);
}

static rw_status run(const char *path, const char *name, real value)
{
    rw_checkpoint *checkpoint;
    rw_tensor *tensors;
    char dir[1024];
    snprintf(dir, sizeof dir, "%s/..", path);
    RW_TRY(rw_checkpoint_open(path, &checkpoint));
    int count = rw_checkpoint_count(checkpoint);
    RW_TRY(rw_alloc((size_t)count, sizeof *tensors, "tensors", &tensors));
    RW_TRY(read_all(checkpoint, tensors, count));
    RW_TRY(spoil(tensors, count, name, value));
    rw_checkpoint_meta meta = *rw_checkpoint_about(checkpoint);
    meta.counts_tokens = meta.counts_tokens && strcmp(name, counter) != 0;
    return rw_checkpoint_write(dir, &meta, tensors, count, RW_KEEP_ALL);
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    rw_status status = argc == 4 ? run(argv[1], argv[2], (real)strtod(argv[3], NULL))
                                 : rw_fail(RW_USAGE, "spoil_checkpoint STEP_FOLDER TENSOR VALUE");
    if (status != RW_OK) fprintf(stderr, "spoil_checkpoint: %s\n", rw_message());
    MPI_Finalize();
    return status;
}
