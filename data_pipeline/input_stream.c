#include "data_pipeline/input_stream.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "base/memory.h"
#include "storage/content_hash.h"

#define RAW_BYTES  (128 * 1024)
#define HEAD_BYTES (64 * 1024)

typedef struct decoder {
    const uint8_t *magic; /* how such a file begins */
    size_t magic_bytes;
    rw_status (*begin)(rw_input *input);
    /* Takes from raw[begin, end), makes up to `size` bytes; *got == 0 means
     * that it needs more. Keeps `whole` up to date. */
    rw_status (*decode)(rw_input *input, uint8_t *buffer, size_t size, size_t *got);
    void (*end)(rw_input *input);
} decoder;

struct rw_input {
    char *path;
    int descriptor;
    uint64_t file_bytes, read_bytes;
    rw_hasher hash;
    uint8_t *raw; /* as on disk */
    size_t begin, end;
    bool at_end; /* of the file */
    const decoder *decoder;
    bool whole; /* the stream may end here: no member or frame is open */
    z_stream gzip;
    ZSTD_DStream *zstd;
    uint8_t *head; /* the first decompressed bytes, kept for rw_input_head */
    size_t head_bytes, head_used;
};

static rw_status damaged(const rw_input *input, const char *reason)
{
    return rw_fail(RW_ERROR, "%s is damaged near byte %llu: %s; fetch or compress it again",
                   input->path,
                   (unsigned long long)(input->read_bytes - (input->end - input->begin)), reason);
}

static rw_status refill(rw_input *input)
{
    ssize_t got;
    do got = read(input->descriptor, input->raw, RAW_BYTES);
    while (got < 0 && errno == EINTR);
    if (got < 0) return rw_fail(RW_ERROR, "cannot read %s: %s", input->path, strerror(errno));
    input->begin = 0;
    input->end = (size_t)got;
    input->at_end = got == 0;
    input->read_bytes += (uint64_t)got;
    rw_hasher_add(&input->hash, input->raw, (size_t)got);
    return RW_OK;
}

static rw_status plain_begin(rw_input *input)
{
    input->whole = true;
    return RW_OK;
}

static rw_status plain_decode(rw_input *input, uint8_t *buffer, size_t size, size_t *got)
{
    size_t left = input->end - input->begin;
    *got = left < size ? left : size;
    memcpy(buffer, input->raw + input->begin, *got);
    input->begin += *got;
    return RW_OK;
}

static void plain_end(rw_input *input)
{
    (void)input;
}

static rw_status gzip_begin(rw_input *input)
{
    if (inflateInit2(&input->gzip, 15 + 16) != Z_OK) /* 16: a gzip header */
        return rw_fail(RW_ERROR, "%s: zlib cannot start (out of memory)", input->path);
    return RW_OK;
}

static rw_status gzip_decode(rw_input *input, uint8_t *buffer, size_t size, size_t *got)
{
    if (input->whole) inflateReset(&input->gzip); /* another member follows, as bgzip writes */
    input->whole = false;
    input->gzip.next_in = input->raw + input->begin;
    input->gzip.avail_in = (uInt)(input->end - input->begin);
    input->gzip.next_out = buffer;
    input->gzip.avail_out = (uInt)size;
    int result = inflate(&input->gzip, Z_NO_FLUSH);
    input->begin = input->end - input->gzip.avail_in;
    *got = size - input->gzip.avail_out;
    if (result == Z_STREAM_END)
        input->whole = true;
    else if (result != Z_OK && result != Z_BUF_ERROR)
        return damaged(input, input->gzip.msg ? input->gzip.msg : "not a gzip stream");
    return RW_OK;
}

static void gzip_end(rw_input *input)
{
    inflateEnd(&input->gzip);
}

static rw_status zstd_begin(rw_input *input)
{
    input->zstd = ZSTD_createDStream();
    if (!input->zstd)
        return rw_fail(RW_ERROR, "%s: zstd cannot start (out of memory)", input->path);
    return RW_OK;
}

static rw_status zstd_decode(rw_input *input, uint8_t *buffer, size_t size, size_t *got)
{
    ZSTD_inBuffer in = {input->raw, input->end, input->begin};
    ZSTD_outBuffer out = {buffer, size, 0};
    size_t result = ZSTD_decompressStream(input->zstd, &out, &in);
    input->begin = in.pos;
    *got = out.pos;
    if (ZSTD_isError(result)) return damaged(input, ZSTD_getErrorName(result));
    input->whole = result == 0;
    return RW_OK;
}

static void zstd_end(rw_input *input)
{
    ZSTD_freeDStream(input->zstd);
}

/* The last one takes whatever is left. */
static const decoder decoders[] = {
    {(const uint8_t[]){0x1f, 0x8b}, 2, gzip_begin, gzip_decode, gzip_end},
    {(const uint8_t[]){0x28, 0xb5, 0x2f, 0xfd}, 4, zstd_begin, zstd_decode, zstd_end},
    {NULL, 0, plain_begin, plain_decode, plain_end},
};

static rw_status choose_decoder(rw_input *input)
{
    const decoder *d = decoders;
    while (d->magic_bytes > 0 &&
           (input->end < d->magic_bytes || memcmp(input->raw, d->magic, d->magic_bytes) != 0))
        d++;
    RW_TRY(d->begin(input));
    input->decoder = d; /* from here on it is ended by rw_input_close */
    return RW_OK;
}

/* A decoder may hold back output after it has taken all input, so it is asked
 * once more at the end of the file. */
static rw_status decompress(rw_input *input, uint8_t *buffer, size_t size, size_t *got)
{
    *got = 0;
    while (size > 0) {
        if (input->begin == input->end && !input->at_end) RW_TRY(refill(input));
        bool dry = input->begin == input->end;
        if (dry && input->whole) return RW_OK;
        RW_TRY(input->decoder->decode(input, buffer, size, got));
        if (*got > 0) return RW_OK;
        if (dry && !input->whole) return damaged(input, "it ends too early");
    }
    return RW_OK;
}

static rw_status read_head(rw_input *input)
{
    size_t got;
    do {
        RW_TRY(decompress(input, input->head + input->head_bytes, HEAD_BYTES - input->head_bytes,
                          &got));
        input->head_bytes += got;
    } while (got > 0);
    return RW_OK;
}

static rw_status open_descriptor(rw_input *input)
{
    struct stat facts;
    input->descriptor = open(input->path, O_RDONLY | O_CLOEXEC);
    if (input->descriptor < 0 || fstat(input->descriptor, &facts) < 0)
        return rw_fail(RW_ERROR, "cannot read the input %s: %s; check its path", input->path,
                       strerror(errno));
    if (S_ISDIR(facts.st_mode))
        return rw_fail(RW_ERROR, "the input %s is a folder; name the files in it", input->path);
    input->file_bytes = S_ISREG(facts.st_mode) ? (uint64_t)facts.st_size : 0;
    return RW_OK;
}

rw_status rw_input_open(const char *path, rw_input **out)
{
    rw_status status;
    rw_input *input;
    *out = NULL;
    RW_TRY(rw_alloc(1, sizeof *input, "an input file", &input));
    input->descriptor = -1;
    RW_TRY_DONE(rw_strdup(path, &input->path));
    RW_TRY_DONE(open_descriptor(input));
    RW_TRY_DONE(rw_alloc(RAW_BYTES, 1, "an input buffer", &input->raw));
    RW_TRY_DONE(rw_alloc(HEAD_BYTES, 1, "the head of an input", &input->head));
    rw_hasher_reset(&input->hash);
    RW_TRY_DONE(refill(input));
    RW_TRY_DONE(choose_decoder(input));
    RW_TRY_DONE(read_head(input));
done:
    if (status != RW_OK)
        rw_input_close(&input);
    else
        *out = input;
    return status;
}

void rw_input_close(rw_input **pointer)
{
    rw_input *input = *pointer;
    if (!input) return;
    if (input->decoder) input->decoder->end(input);
    if (input->descriptor >= 0) close(input->descriptor);
    rw_free(&input->head);
    rw_free(&input->raw);
    rw_free(&input->path);
    rw_free(pointer);
}

const uint8_t *rw_input_head(const rw_input *input, size_t *bytes)
{
    *bytes = input->head_bytes;
    return input->head;
}

rw_status rw_input_read(rw_input *input, uint8_t *buffer, size_t size, size_t *got)
{
    size_t left = input->head_bytes - input->head_used;
    if (left == 0) return decompress(input, buffer, size, got);
    *got = left < size ? left : size;
    memcpy(buffer, input->head + input->head_used, *got);
    input->head_used += *got;
    return RW_OK;
}

const char *rw_input_path(const rw_input *input)
{
    return input->path;
}

double rw_input_share(const rw_input *input)
{
    if (input->file_bytes == 0) return 0;
    double share = (double)input->read_bytes / (double)input->file_bytes;
    return share < 1 ? share : 1;
}

uint64_t rw_input_bytes(const rw_input *input)
{
    return input->read_bytes;
}
uint64_t rw_input_hash(const rw_input *input)
{
    return rw_hasher_value(&input->hash);
}
