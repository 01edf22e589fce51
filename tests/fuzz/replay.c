/* Runs a fuzz target without libFuzzer: every file of its corpus, then mutations of
 * them. The mutations are a function of their number alone, so a failure happens again.
 *
 *   fuzz_NAME.replay [FILE...]   the corpus of NAME, or these files alone
 *
 * REPLAY_MUTATIONS: how many (3000). REPLAY_SECONDS: instead, for so long. The input of
 * a crash is kept as fuzz_findings/NAME/crash-replay-NUMBER. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/random.h"
#include "tests/fuzz/target.h"

enum { MOST_FILES = 1024, MOST_BYTES = 1 << 20, MOST_CHANGES = 8 };

typedef struct {
    unsigned char *bytes;
    size_t size;
} input;

typedef struct {
    input files[MOST_FILES];
    size_t count;
} corpus;

/* What runs now, for the handler of a crash. */
static struct {
    const unsigned char *bytes;
    size_t size;
    char path[512];
} current;

/* Sanitizers end the process without a signal, and call this before. */
void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

static void keep_input(void)
{
    int file = open(current.path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    ssize_t written = file < 0 ? -1 : write(file, current.bytes, current.size);
    const char *what = written == (ssize_t)current.size ? "the input is kept: " : "not kept: ";
    written = write(STDERR_FILENO, what, strlen(what));
    written = write(STDERR_FILENO, current.path, strlen(current.path));
    written = write(STDERR_FILENO, "\n", 1);
}

static void crashed(int number)
{
    keep_input();
    signal(number, SIG_DFL);
    raise(number);
}

static void watch_for_crashes(void)
{
    static const int numbers[] = {SIGABRT, SIGALRM, SIGFPE};
    static const int faults[] = {SIGSEGV, SIGBUS, SIGILL};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) signal(numbers[i], crashed);
    if (__sanitizer_set_death_callback)
        __sanitizer_set_death_callback(keep_input);
    else
        for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) signal(faults[i], crashed);
}

/* An input that takes longer hangs. */
enum { SECONDS_OF_ONE = 30 };

static void run(const char *name, unsigned long number, const unsigned char *bytes, size_t size)
{
    /* Exactly so many bytes: a read past the end is found. */
    unsigned char *copy = malloc(size ? size : 1);
    FUZZ_EXPECT(copy);
    memcpy(copy, bytes, size);
    current.bytes = copy;
    current.size = size;
    snprintf(current.path, sizeof current.path, "fuzz_findings/%.200s/crash-replay-%lu", name,
             number);
    alarm(SECONDS_OF_ONE);
    LLVMFuzzerTestOneInput(copy, size);
    alarm(0);
    free(copy);
}

static void add_file(corpus *to, const char *path)
{
    struct stat about;
    FILE *file = fopen(path, "rb");
    if (!file || fstat(fileno(file), &about) < 0) {
        fprintf(stderr, "cannot read %s: %s\n", path, strerror(errno));
        exit(1);
    }
    if (S_ISREG(about.st_mode) && about.st_size <= MOST_BYTES && to->count < MOST_FILES) {
        input *next = &to->files[to->count++];
        next->bytes = malloc((size_t)about.st_size + 1);
        FUZZ_EXPECT(next->bytes);
        next->size = fread(next->bytes, 1, (size_t)about.st_size, file);
    }
    fclose(file);
}

/* In the order of their names, as mutations are numbered. */
static void add_folder(corpus *to, const char *path)
{
    struct dirent **entries;
    int count = scandir(path, &entries, NULL, alphasort);
    if (count < 0) {
        fprintf(stderr, "no corpus %s: %s\n", path, strerror(errno));
        exit(1);
    }
    for (int i = 0; i < count; i++) {
        char file[4096];
        snprintf(file, sizeof file, "%s/%s", path, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.') add_file(to, file);
        free(entries[i]);
    }
    free(entries);
}

typedef struct {
    rw_random stream;
    uint64_t drawn;
} dice;

static size_t below(dice *d, size_t n)
{
    return (size_t)rw_random_below(d->stream, d->drawn++, n);
}

/* Makes room for `more` bytes at `at`, or as many as fit. */
static size_t open_gap(unsigned char *bytes, size_t *size, size_t at, size_t more)
{
    if (more > MOST_BYTES - *size) more = MOST_BYTES - *size;
    memmove(bytes + at + more, bytes + at, *size - at);
    *size += more;
    return more;
}

/* Text that means something to one of the parsers. */
static const char *const words[] = {"\0\0\0\0",
                                    "\xff\xff\xff\xff",
                                    "\xef\xbb\xbf",
                                    "\x1b[2J",
                                    "\xc2\x9b",
                                    "\r\n",
                                    "\r",
                                    "&a ",
                                    "*a",
                                    "<<: *a",
                                    "- ",
                                    ": ",
                                    "{",
                                    "}",
                                    "[",
                                    "]",
                                    "\"",
                                    "'",
                                    "---\n",
                                    "...\n",
                                    "9223372036854775807",
                                    "-1",
                                    "1e999",
                                    "null",
                                    "true",
                                    "\\u0000",
                                    "\\ud800",
                                    "!!str ",
                                    ">",
                                    "|\n",
                                    "1_000",
                                    "4G",
                                    "18446744073709551616",
                                    "0",
                                    "{\"",
                                    "\n",
                                    "\x1f\x8b",
                                    "BZh9",
                                    "\3757zXZ",
                                    "\x28\xb5\x2f\xfd",
                                    "TREE\x01"};

static void put_word(dice *d, unsigned char *bytes, size_t *size, size_t at)
{
    const char *word = words[below(d, sizeof words / sizeof *words)];
    size_t length = *word ? strlen(word) : 4;
    memcpy(bytes + at, word, open_gap(bytes, size, at, length));
}

static void put_piece(dice *d, unsigned char *bytes, size_t *size, size_t at, const input *from)
{
    if (from->size == 0) return;
    size_t begin = below(d, from->size), length = 1 + below(d, from->size - begin);
    memcpy(bytes + at, from->bytes + begin, open_gap(bytes, size, at, length));
}

static void change(dice *d, unsigned char *bytes, size_t *size, const corpus *files)
{
    size_t at = below(d, *size + 1), length;
    switch (below(d, 7)) {
    case 0:
        if (at < *size) bytes[at] ^= (unsigned char)(1u << below(d, 8));
        break;
    case 1:
        if (at < *size) bytes[at] = (unsigned char)below(d, 256);
        break;
    case 2:
        length = below(d, 32) + 1;
        if (length > *size - at) length = *size - at;
        memmove(bytes + at, bytes + at + length, *size - at - length);
        *size -= length;
        break;
    case 3:
        if (below(d, 8) == 0) *size = at;
        break;
    case 4:
    case 5:
        put_word(d, bytes, size, at);
        break;
    default:
        put_piece(d, bytes, size, at, &files->files[below(d, files->count)]);
    }
}

static void run_mutation(const char *name, const corpus *files, unsigned long number)
{
    static unsigned char bytes[MOST_BYTES];
    dice d = {.stream = rw_random_stream(1, RW_RANDOM_TEST, number)};
    const input *from = &files->files[below(&d, files->count)];
    size_t size = from->size;
    memcpy(bytes, from->bytes, size);
    for (size_t left = 1 + below(&d, MOST_CHANGES); left > 0; left--)
        change(&d, bytes, &size, files);
    run(name, number, bytes, size);
}

static unsigned long number_of(const char *variable, unsigned long fallback)
{
    const char *text = getenv(variable);
    return text && *text ? strtoul(text, NULL, 10) : fallback;
}

/* "yaml" of "./fuzz_yaml.replay". */
static void name_of(const char *program, char name[128])
{
    const char *at = strstr(program, "fuzz_");
    for (const char *next; at && (next = strstr(at + 1, "fuzz_"));) at = next;
    FUZZ_EXPECT(at);
    at += strlen("fuzz_");
    snprintf(name, 128, "%.*s", (int)strcspn(at, "."), at);
}

static void make_folders(const char *name)
{
    char path[300];
    snprintf(path, sizeof path, "fuzz_findings/%s", name);
    mkdir("fuzz_findings", 0777);
    mkdir(path, 0777);
}

static unsigned long run_mutations(const char *name, const corpus *files)
{
    unsigned long count = number_of("REPLAY_MUTATIONS", 3000), done = 0;
    time_t seconds = (time_t)number_of("REPLAY_SECONDS", 0), begin = time(NULL);
    for (; seconds ? time(NULL) - begin < seconds : done < count; done++)
        run_mutation(name, files, done);
    return done;
}

int main(int argc, char **argv)
{
    static corpus files;
    char name[128], folder[2048];
    const char *source = getenv("srcdir");
    unsigned long mutations = 0;
    name_of(argv[0], name);
    snprintf(folder, sizeof folder, "%s/tests/fuzz/corpus/%s", source ? source : ".", name);
    rw_log_speak(false);
    make_folders(name);
    watch_for_crashes();
    for (int i = 1; i < argc; i++) add_file(&files, argv[i]);
    if (argc == 1) add_folder(&files, folder);
    FUZZ_EXPECT(files.count > 0);
    for (size_t i = 0; i < files.count; i++)
        run(name, i, files.files[i].bytes, files.files[i].size);
    if (argc == 1) mutations = run_mutations(name, &files);
    printf("%s: %zu files, %lu mutations\n", name, files.count, mutations);
    for (size_t i = 0; i < files.count; i++) free(files.files[i].bytes);
    char path[300];
    snprintf(path, sizeof path, "fuzz_findings/%s", name);
    rmdir(path); /* nothing was found */
    rmdir("fuzz_findings");
    return 0;
}
