#include "data_pipeline/input_decoder.h"

#include <bzlib.h>
#include <limits.h>
#include <lzma.h>
#include <string.h>
#include <zlib.h>
#define ZSTD_STATIC_LINKING_ONLY /* ZSTD_isFrame */
#include <zstd.h>

#include "base/memory.h"

/* The largest dictionary that xz writes is 1.5 GiB. */
#define XZ_MEMORY_MOST   ((uint64_t)2 << 30)
#define ZSTD_WINDOW_MOST 31 /* logarithm: windows of zstd --long=31 */

typedef struct {
    const uint8_t *in;
    size_t count, used;
    bool last;
    uint8_t *out;
    size_t size, made;
} step;

typedef struct {
    const char *name;
    bool (*recognise)(const uint8_t *first, size_t bytes);
    bool (*begin)(rw_decoder *decoder); /* false: out of memory */
    const char *(*run)(rw_decoder *decoder, step *s);
    void (*end)(rw_decoder *decoder);
} decoder_kind;

struct rw_decoder {
    const decoder_kind *kind;
    bool whole;
    z_stream gzip;
    bz_stream bzip2;
    lzma_stream xz;
    ZSTD_DStream *zstd;
};

/* Zeros may fill a file up to the end of a block of a tape or a disk. */
static void skip_padding(step *s)
{
    while (s->used < s->count && s->in[s->used] == 0) s->used++;
}

static unsigned limited(size_t count)
{
    return count < UINT_MAX ? (unsigned)count : UINT_MAX;
}

/* ---- plain ---- */

static bool is_plain(const uint8_t *first, size_t bytes)
{
    (void)first, (void)bytes;
    return true;
}

static bool plain_begin(rw_decoder *decoder)
{
    decoder->whole = true;
    return true;
}

static const char *plain_run(rw_decoder *decoder, step *s)
{
    (void)decoder;
    s->used = s->made = s->count < s->size ? s->count : s->size;
    if (s->made > 0) memcpy(s->out, s->in, s->made);
    return NULL;
}

static void plain_end(rw_decoder *decoder)
{
    (void)decoder;
}

/* ---- gzip ---- */

static bool is_gzip(const uint8_t *first, size_t bytes)
{
    return bytes >= 2 && first[0] == 0x1f && first[1] == 0x8b;
}

static bool gzip_begin(rw_decoder *decoder)
{
    return inflateInit2(&decoder->gzip, 15 + 16) == Z_OK; /* 16: a gzip header */
}

static const char *gzip_run(rw_decoder *decoder, step *s)
{
    z_stream *z = &decoder->gzip;
    if (decoder->whole) { /* another member may follow, as bgzip writes */
        skip_padding(s);
        if (s->used == s->count) return NULL;
        inflateReset(z);
        decoder->whole = false;
    }
    unsigned in = limited(s->count - s->used);
    z->next_in = (Bytef *)(s->in + s->used);
    z->avail_in = in;
    z->next_out = s->out;
    z->avail_out = limited(s->size);
    int result = inflate(z, Z_NO_FLUSH);
    s->used += in - z->avail_in;
    s->made = limited(s->size) - z->avail_out;
    decoder->whole = result == Z_STREAM_END;
    if (result == Z_STREAM_END || result == Z_OK || result == Z_BUF_ERROR) return NULL;
    if (result == Z_MEM_ERROR) return "zlib is out of memory";
    return z->msg ? z->msg : "not a gzip stream";
}

static void gzip_end(rw_decoder *decoder)
{
    inflateEnd(&decoder->gzip);
}

/* ---- bzip2 ---- */

/* The header is followed by a block or, in an empty file, by the end mark. */
static bool is_bzip2(const uint8_t *first, size_t bytes)
{
    static const uint8_t block[] = {0x31, 0x41, 0x59, 0x26, 0x53, 0x59};
    static const uint8_t end[] = {0x17, 0x72, 0x45, 0x38, 0x50, 0x90};
    if (bytes < 5 || memcmp(first, "BZh", 3) != 0 || first[3] < '1' || first[3] > '9') return false;
    size_t rest = bytes - 4 < sizeof block ? bytes - 4 : sizeof block;
    return memcmp(first + 4, block, rest) == 0 || memcmp(first + 4, end, rest) == 0;
}

static bool bzip2_begin(rw_decoder *decoder)
{
    return BZ2_bzDecompressInit(&decoder->bzip2, 0, 0) == BZ_OK;
}

static void bzip2_end(rw_decoder *decoder)
{
    BZ2_bzDecompressEnd(&decoder->bzip2);
}

/* Prepares for another stream, if there is one (pbzip2 writes many). */
static const char *bzip2_again(rw_decoder *decoder, step *s)
{
    skip_padding(s);
    if (s->used == s->count) return NULL;
    bzip2_end(decoder);
    memset(&decoder->bzip2, 0, sizeof decoder->bzip2);
    if (!bzip2_begin(decoder)) return "bzip2 is out of memory";
    decoder->whole = false;
    return NULL;
}

static const char *bzip2_run(rw_decoder *decoder, step *s)
{
    bz_stream *b = &decoder->bzip2;
    if (decoder->whole) {
        const char *wrong = bzip2_again(decoder, s);
        if (wrong || decoder->whole) return wrong;
    }
    unsigned in = limited(s->count - s->used);
    b->next_in = (char *)(uintptr_t)(s->in + s->used);
    b->avail_in = in;
    b->next_out = (char *)s->out;
    b->avail_out = limited(s->size);
    int result = BZ2_bzDecompress(b);
    s->used += in - b->avail_in;
    s->made = limited(s->size) - b->avail_out;
    decoder->whole = result == BZ_STREAM_END;
    switch (result) {
    case BZ_OK:
    case BZ_STREAM_END:
        return NULL;
    case BZ_MEM_ERROR:
        return "bzip2 is out of memory";
    case BZ_DATA_ERROR_MAGIC:
        return "not a bzip2 stream";
    default:
        return "the bzip2 data are corrupt";
    }
}

/* ---- xz ---- */

static bool is_xz(const uint8_t *first, size_t bytes)
{
    return bytes >= 6 && memcmp(first,
                                "\xfd"
                                "7zXZ\0",
                                6) == 0;
}

static bool xz_begin(rw_decoder *decoder)
{
    decoder->xz = (lzma_stream)LZMA_STREAM_INIT;
    return lzma_stream_decoder(&decoder->xz, XZ_MEMORY_MOST, LZMA_CONCATENATED) == LZMA_OK;
}

/* liblzma joins the streams and takes the padding. It knows the last stream only when it is told
 * that the input has ended. */
static const char *xz_run(rw_decoder *decoder, step *s)
{
    lzma_stream *x = &decoder->xz;
    x->next_in = s->in;
    x->avail_in = s->count;
    x->next_out = s->out;
    x->avail_out = s->size;
    lzma_ret result = lzma_code(x, s->last ? LZMA_FINISH : LZMA_RUN);
    s->used = s->count - x->avail_in;
    s->made = s->size - x->avail_out;
    decoder->whole = result == LZMA_STREAM_END;
    switch (result) {
    case LZMA_OK:
    case LZMA_STREAM_END:
    case LZMA_BUF_ERROR:
        return NULL;
    case LZMA_MEM_ERROR:
        return "xz is out of memory";
    case LZMA_MEMLIMIT_ERROR:
        return "its xz dictionary needs more than 2 GiB";
    case LZMA_FORMAT_ERROR:
        return "not an xz stream";
    case LZMA_OPTIONS_ERROR:
        return "xz options that liblzma does not know";
    default:
        return "the xz data are corrupt";
    }
}

static void xz_end(rw_decoder *decoder)
{
    lzma_end(&decoder->xz);
}

/* ---- Zstandard ---- */

/* Skippable frames and frames of old versions too. */
static bool is_zstd(const uint8_t *first, size_t bytes)
{
    return ZSTD_isFrame(first, bytes);
}

static bool zstd_begin(rw_decoder *decoder)
{
    decoder->zstd = ZSTD_createDStream();
    if (!decoder->zstd) return false;
    ZSTD_DCtx_setParameter(decoder->zstd, ZSTD_d_windowLogMax,
                           sizeof(size_t) > 4 ? ZSTD_WINDOW_MOST : ZSTD_WINDOWLOG_MAX_32);
    return true;
}

static const char *zstd_run(rw_decoder *decoder, step *s)
{
    ZSTD_inBuffer in = {s->in, s->count, 0};
    ZSTD_outBuffer out = {s->out, s->size, 0};
    size_t result = ZSTD_decompressStream(decoder->zstd, &out, &in);
    s->used = in.pos;
    s->made = out.pos;
    if (ZSTD_isError(result)) return ZSTD_getErrorName(result);
    decoder->whole = result == 0;
    return NULL;
}

static void zstd_end(rw_decoder *decoder)
{
    ZSTD_freeDStream(decoder->zstd);
}

/* The last decoder takes every file. */
static const decoder_kind kinds[] = {
    {"gzip", is_gzip, gzip_begin, gzip_run, gzip_end},
    {"bzip2", is_bzip2, bzip2_begin, bzip2_run, bzip2_end},
    {"xz", is_xz, xz_begin, xz_run, xz_end},
    {"zstd", is_zstd, zstd_begin, zstd_run, zstd_end},
    {NULL, is_plain, plain_begin, plain_run, plain_end},
};

rw_status rw_decoder_new(const char *path, const uint8_t *first, size_t bytes, rw_decoder **out)
{
    RW_TRY(rw_alloc(1, sizeof **out, "a decoder", out));
    const decoder_kind *kind = kinds;
    while (!kind->recognise(first, bytes)) kind++;
    if (!kind->begin(*out)) {
        rw_free(out);
        return rw_fail(RW_ERROR, "%s: no memory to decompress it (%s)", path, kind->name);
    }
    (*out)->kind = kind;
    return RW_OK;
}

void rw_decoder_destroy(rw_decoder **pointer)
{
    if (!*pointer) return;
    (*pointer)->kind->end(*pointer);
    rw_free(pointer);
}

const char *rw_decoder_name(const rw_decoder *decoder)
{
    return decoder->kind->name;
}

const char *rw_decoder_run(rw_decoder *decoder, const uint8_t *in, size_t count, bool last,
                           size_t *used, uint8_t *out, size_t size, size_t *made)
{
    step s = {.in = in, .count = count, .last = last, .out = out, .size = size};
    const char *wrong = decoder->kind->run(decoder, &s);
    *used = s.used;
    *made = s.made;
    return wrong;
}

bool rw_decoder_whole(const rw_decoder *decoder)
{
    return decoder->whole;
}
