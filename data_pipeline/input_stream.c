#include "data_pipeline/input_stream.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/memory.h"
#include "data_pipeline/input_decoder.h"
#include "data_pipeline/input_spool.h"
#include "storage/content_hash.h"

#define RAW_BYTES    (128 * 1024)
#define PATIENCE     3000 /* milliseconds of waiting before the user is told */
#define WAIT_FOREVER (-1)

struct rw_input {
    char *name;
    int descriptor;
    bool is_pipe;
    dev_t device; /* identity of the pipe */
    ino_t inode;
    uint64_t file_bytes, read_bytes;
    rw_hasher hash;
    uint8_t *raw; /* as on disk */
    size_t begin, end;
    bool at_end; /* of the file */
    rw_decoder *decoder;
    uint8_t *head; /* the first decompressed bytes, kept for rw_input_head */
    size_t head_bytes, head_used;
    rw_spool *spool;      /* bytes after the head, if they are kept */
    bool replays;         /* reads the spool, not the descriptor */
    uint64_t replay_used; /* of the spool */
};

static rw_status damaged(const rw_input *input, const char *reason)
{
    return rw_fail(RW_ERROR, "%s is damaged near byte %llu: %s; fetch or compress it again",
                   input->name,
                   (unsigned long long)(input->read_bytes - (input->end - input->begin)), reason);
}

/* ---- the bytes on disk ---- */

/* A pipe without a writer looks like an empty pipe: reading waits until somebody has written or
 * gone. */
static void wait_for_bytes(const rw_input *input)
{
    struct pollfd wait = {.fd = input->descriptor, .events = POLLIN};
    if (poll(&wait, 1, PATIENCE) != 0) return;
    rw_info("waiting for another program to write to %s", input->name);
    while (poll(&wait, 1, WAIT_FOREVER) < 0 && errno == EINTR) continue;
}

static rw_status refill(rw_input *input)
{
    ssize_t got;
    while ((got = read(input->descriptor, input->raw + input->end, RAW_BYTES - input->end)) < 0) {
        if (errno == EAGAIN) /* standard input may have been left non-blocking */
            wait_for_bytes(input);
        else if (errno != EINTR)
            return rw_fail(RW_ERROR, "cannot read %s: %s", input->name, strerror(errno));
    }
    rw_hasher_add(&input->hash, input->raw + input->end, (size_t)got);
    input->end += (size_t)got;
    input->at_end = got == 0;
    input->read_bytes += (uint64_t)got;
    return RW_OK;
}

/* A pipe may give its first bytes one by one. */
static rw_status choose_decoder(rw_input *input)
{
    if (input->is_pipe) wait_for_bytes(input);
    while (!input->at_end && input->end < RW_DECODER_MAGIC_BYTES) RW_TRY(refill(input));
    return rw_decoder_new(input->name, input->raw, input->end, &input->decoder);
}

/* A decoder may hold back output after it has taken all input, so it is called once more at the end
 * of the file. */
static rw_status decompress(rw_input *input, uint8_t *buffer, size_t size, size_t *got)
{
    *got = 0;
    while (size > 0) {
        if (input->begin == input->end && !input->at_end) {
            input->begin = input->end = 0;
            RW_TRY(refill(input));
        }
        bool dry = input->begin == input->end;
        if (dry && rw_decoder_whole(input->decoder)) return RW_OK;
        size_t used;
        const char *wrong =
            rw_decoder_run(input->decoder, input->raw + input->begin, input->end - input->begin,
                           input->at_end, &used, buffer, size, got);
        input->begin += used;
        if (wrong) return damaged(input, wrong);
        if (*got > 0) return RW_OK;
        if (dry && !rw_decoder_whole(input->decoder)) return damaged(input, "it ends too early");
    }
    return RW_OK;
}

static rw_status read_head(rw_input *input)
{
    size_t got;
    do {
        RW_TRY(decompress(input, input->head + input->head_bytes,
                          RW_INPUT_HEAD_BYTES - input->head_bytes, &got));
        input->head_bytes += got;
    } while (got > 0);
    return RW_OK;
}

/* ---- opening ---- */

/* /dev/stdin cannot be opened if it is a socket; and a file, opened a second time, would begin anew
 * although a part has been read. */
static bool is_standard_input(const char *path)
{
    static const char *const names[] = {"-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(path, names[i]) == 0) return true;
    return false;
}

static bool is_fifo(const char *path)
{
    struct stat facts;
    return stat(path, &facts) == 0 && S_ISFIFO(facts.st_mode);
}

/* Opening a named pipe would wait silently for its writer: it is opened without waiting, and
 * wait_for_bytes waits. */
static int open_path(const char *path)
{
    if (is_standard_input(path)) return fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);
    if (!is_fifo(path)) return open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor >= 0) fcntl(descriptor, F_SETFL, 0);
    return descriptor;
}

static rw_status open_descriptor(rw_input *input, const char *path)
{
    struct stat facts;
    input->descriptor = open_path(path);
    if (input->descriptor < 0 || fstat(input->descriptor, &facts) < 0)
        return rw_fail(RW_ERROR, "cannot read the input %s: %s; check its path", input->name,
                       strerror(errno));
    if (S_ISDIR(facts.st_mode))
        return rw_fail(RW_ERROR, "the input %s is a folder; name the files in it", input->name);
    input->is_pipe = is_standard_input(path) || !S_ISREG(facts.st_mode);
    input->device = facts.st_dev;
    input->inode = facts.st_ino;
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
    RW_TRY_DONE(rw_strdup(strcmp(path, "-") == 0 ? "standard input" : path, &input->name));
    RW_TRY_DONE(open_descriptor(input, path));
    RW_TRY_DONE(rw_alloc(RAW_BYTES, 1, "an input buffer", &input->raw));
    RW_TRY_DONE(rw_alloc(RW_INPUT_HEAD_BYTES, 1, "the head of an input", &input->head));
    rw_hasher_reset(&input->hash);
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
    rw_decoder_destroy(&input->decoder);
    rw_spool_destroy(&input->spool);
    if (input->descriptor >= 0) close(input->descriptor);
    rw_free(&input->head);
    rw_free(&input->raw);
    rw_free(&input->name);
    rw_free(pointer);
}

/* ---- reading ---- */

const uint8_t *rw_input_head(const rw_input *input, size_t *bytes)
{
    *bytes = input->head_bytes;
    return input->head;
}

static rw_status read_on(rw_input *input, uint8_t *buffer, size_t size, size_t *got)
{
    if (input->replays) {
        RW_TRY(rw_spool_read(input->spool, input->replay_used, buffer, size, got));
        input->replay_used += *got;
        return RW_OK;
    }
    RW_TRY(decompress(input, buffer, size, got));
    return input->spool ? rw_spool_write(input->spool, buffer, *got) : RW_OK;
}

rw_status rw_input_read(rw_input *input, uint8_t *buffer, size_t size, size_t *got)
{
    size_t left = input->head_bytes - input->head_used;
    if (left == 0) return read_on(input, buffer, size, got);
    *got = left < size ? left : size;
    memcpy(buffer, input->head + input->head_used, *got);
    input->head_used += *got;
    return RW_OK;
}

bool rw_input_is_pipe(const rw_input *input)
{
    return input->is_pipe;
}

bool rw_input_reads(const rw_input *input, const char *path)
{
    struct stat facts;
    int failed = is_standard_input(path) ? fstat(STDIN_FILENO, &facts) : stat(path, &facts);
    return failed == 0 && facts.st_dev == input->device && facts.st_ino == input->inode;
}

rw_status rw_input_keep(rw_input *input, const char *beside)
{
    return rw_spool_new(beside, &input->spool);
}

void rw_input_rewind(rw_input *input)
{
    input->head_used = 0;
    input->replay_used = 0;
    input->replays = true;
}

const char *rw_input_name(const rw_input *input)
{
    return input->name;
}

const char *rw_input_compression(const rw_input *input)
{
    return rw_decoder_name(input->decoder);
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
