#include "storage/zstd_frame.h"

#include <stdbool.h>

#include <zstd.h>

#include "base/memory.h"
#include "storage/hdf5_access.h"

struct rw_framer {
    ZSTD_CCtx *packer;
    ZSTD_DCtx *unpacker;
    unsigned char *frame;
    size_t capacity;
    char reason[RW_HDF5_REASON];
};

static bool configure(ZSTD_CCtx *packer, int level)
{
    return !ZSTD_isError(ZSTD_CCtx_setParameter(packer, ZSTD_c_compressionLevel, level)) &&
           !ZSTD_isError(ZSTD_CCtx_setParameter(packer, ZSTD_c_checksumFlag, 1)) &&
           !ZSTD_isError(ZSTD_CCtx_setParameter(packer, ZSTD_c_contentSizeFlag, 1));
}

rw_status rw_framer_new(size_t limit, int level, rw_framer **out)
{
    rw_status status = RW_OK;
    rw_framer *framer = NULL;
    RW_TRY_DONE(rw_alloc(1, sizeof *framer, "a compressor", &framer));
    framer->capacity = ZSTD_compressBound(limit);
    framer->packer = ZSTD_createCCtx();
    framer->unpacker = ZSTD_createDCtx();
    if (!framer->packer || !framer->unpacker || !configure(framer->packer, level)) {
        status = rw_fail(RW_ERROR, "out of memory: zstd could not start; free some memory");
        goto done;
    }
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
        rw_free(&(*framer)->frame);
    }
    rw_free(framer);
}

const char *rw_framer_write(rw_framer *framer, hid_t dataset, const hsize_t *offset,
                            const void *chunk, size_t size)
{
    const char *wrong = NULL;
    size_t bytes = ZSTD_compress2(framer->packer, framer->frame, framer->capacity, chunk, size);
    if (ZSTD_isError(bytes)) return ZSTD_getErrorName(bytes);
    rw_hdf5_lock();
    if (H5Dwrite_chunk(dataset, H5P_DEFAULT, 0, offset, bytes, framer->frame) < 0)
        wrong = rw_hdf5_reason(framer->reason);
    rw_hdf5_unlock();
    return wrong;
}

static const char *fetch(rw_framer *framer, hid_t dataset, const hsize_t *offset, hsize_t *stored)
{
    uint32_t skipped = 0; /* filters that the writer did not apply */
    if (H5Dget_chunk_storage_size(dataset, offset, stored) < 0)
        return rw_hdf5_reason(framer->reason);
    if (*stored == 0 || *stored > framer->capacity) return "its stored size is impossible";
    if (H5Dread_chunk(dataset, H5P_DEFAULT, offset, &skipped, framer->frame) < 0)
        return rw_hdf5_reason(framer->reason);
    return skipped ? "it is not marked as compressed" : NULL;
}

size_t rw_frame_limit(size_t size)
{
    return ZSTD_compressBound(size);
}

const char *rw_framer_unpack(rw_framer *framer, const void *frame, size_t stored, void *chunk,
                             size_t size)
{
    if (ZSTD_getFrameContentSize(frame, stored) != size ||
        ZSTD_findFrameCompressedSize(frame, stored) != stored)
        return "it is not one zstd frame of the right size";
    size_t got = ZSTD_decompressDCtx(framer->unpacker, chunk, size, frame, stored);
    if (ZSTD_isError(got)) return ZSTD_getErrorName(got);
    return got == size ? NULL : "it is too short";
}

const char *rw_framer_read(rw_framer *framer, hid_t dataset, const hsize_t *offset, void *chunk,
                           size_t size)
{
    hsize_t stored = 0;
    rw_hdf5_lock();
    const char *wrong = fetch(framer, dataset, offset, &stored);
    rw_hdf5_unlock();
    return wrong ? wrong : rw_framer_unpack(framer, framer->frame, stored, chunk, size);
}
