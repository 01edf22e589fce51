#include "checkpoints/zstd_frame.h"

#include <stdbool.h>

#include <zstd.h>

#include "base/memory.h"

/* Weights and moments are close to random: higher levels gain next to nothing. */
#define LEVEL 1

struct rw_framer {
    ZSTD_CCtx *packer;
    ZSTD_DCtx *unpacker;
    unsigned char *contents, *frame;
    size_t limit, capacity;
};

static bool configure(ZSTD_CCtx *packer)
{
    return !ZSTD_isError(ZSTD_CCtx_setParameter(packer, ZSTD_c_compressionLevel, LEVEL)) &&
           !ZSTD_isError(ZSTD_CCtx_setParameter(packer, ZSTD_c_checksumFlag, 1)) &&
           !ZSTD_isError(ZSTD_CCtx_setParameter(packer, ZSTD_c_contentSizeFlag, 1));
}

rw_status rw_framer_new(size_t limit, rw_framer **out)
{
    rw_status status = RW_OK;
    rw_framer *framer = NULL;
    RW_TRY_DONE(rw_alloc(1, sizeof *framer, "a compressor", &framer));
    framer->limit = limit;
    framer->capacity = ZSTD_compressBound(limit);
    framer->packer = ZSTD_createCCtx();
    framer->unpacker = ZSTD_createDCtx();
    if (!framer->packer || !framer->unpacker || !configure(framer->packer)) {
        status = rw_fail(RW_ERROR, "out of memory: zstd could not start; free some memory");
        goto done;
    }
    RW_TRY_DONE(rw_alloc(limit, 1, "an uncompressed chunk", &framer->contents));
    RW_TRY_DONE(rw_alloc(framer->capacity, 1, "a compressed chunk", &framer->frame));
done:
    if (status != RW_OK) rw_framer_destroy(&framer);
    *out = framer;
    return status;
}

void rw_framer_destroy(rw_framer **framer)
{
    if (*framer) {
        ZSTD_freeCCtx((*framer)->packer);
        ZSTD_freeDCtx((*framer)->unpacker);
        rw_free(&(*framer)->contents);
        rw_free(&(*framer)->frame);
    }
    rw_free(framer);
}

unsigned char *rw_framer_contents(rw_framer *framer)
{
    return framer->contents;
}

unsigned char *rw_framer_frame(rw_framer *framer, size_t *capacity)
{
    *capacity = framer->capacity;
    return framer->frame;
}

rw_status rw_framer_pack(rw_framer *framer, const void *contents, size_t size, size_t *frame_size)
{
    *frame_size = ZSTD_compress2(framer->packer, framer->frame, framer->capacity, contents, size);
    if (ZSTD_isError(*frame_size))
        return rw_fail(RW_ERROR, "zstd could not compress %zu bytes: %s; free some memory", size,
                       ZSTD_getErrorName(*frame_size));
    return RW_OK;
}

rw_status rw_framer_unpack(rw_framer *framer, size_t frame_size, size_t size)
{
    size_t got = size > framer->limit ? 0
                                      : ZSTD_decompressDCtx(framer->unpacker, framer->contents,
                                                            size, framer->frame, frame_size);
    if (ZSTD_isError(got))
        return rw_fail(RW_ERROR, "a compressed chunk is damaged: %s; use an older checkpoint",
                       ZSTD_getErrorName(got));
    if (got != size)
        return rw_fail(RW_ERROR,
                       "a compressed chunk is damaged: %zu bytes instead of %zu; use an older "
                       "checkpoint",
                       got, size);
    return RW_OK;
}
