#include "data_pipeline/signature.h"

#include <ctype.h>
#include <string.h>

#include "data_pipeline/json_text.h"

typedef bool recogniser(const uint8_t *head, size_t bytes);

typedef struct {
    size_t at, magic_bytes;
    const char *magic;
    recogniser *also; /* NULL: the magic is enough */
    rw_signature signature;
} entry;

#define BINARY(at, magic, also, name, advice)                                                      \
    {                                                                                              \
        (at), sizeof(magic) - 1, (magic), (also),                                                  \
        {                                                                                          \
            (name), (advice), false                                                                \
        }                                                                                          \
    }
#define TEXT(magic, also, name, advice)                                                            \
    {                                                                                              \
        0, sizeof(magic) - 1, (magic), (also),                                                     \
        {                                                                                          \
            (name), (advice), true                                                                 \
        }                                                                                          \
    }

#define UNPACK   "unpack it and name the files in it"
#define PACKED   "decompress it first, or fetch it again if it is damaged"
#define CONVERT  "convert it to text, JSON lines or FASTA first"
#define PROGRAM  "name files of text, JSON lines or FASTA"
#define WEIGHTS  "name the data, not a model"
#define TABLE    "write its text column as JSON lines first"
#define ARRAYS   "ropewalk reads text, JSON lines and FASTA; for raw bytes use --format bytes"
#define SEQUENCE "convert it to FASTA first"

#define PIPE_OF(command) "unpack it: " command " FILE | ropewalk data build OUT.h5 -"

/* ---- what a magic alone does not tell ---- */

static bool holds(const uint8_t *head, size_t bytes, const char *text)
{
    return memmem(head, bytes, text, strlen(text)) != NULL;
}

/* A text may begin with letters too: the bytes after them decide. */
static bool has_control(const uint8_t *head, size_t bytes)
{
    for (size_t i = 0; i < bytes && i < 64; i++)
        if (head[i] < 0x20 && !isspace(head[i])) return true;
    return false;
}

static bool is_office(const uint8_t *head, size_t bytes)
{
    return holds(head, bytes, "[Content_Types].xml");
}

/* The first entry of the archive is an array. */
static bool is_npz(const uint8_t *head, size_t bytes)
{
    if (bytes < 30) return false;
    size_t name = head[26] | (size_t)head[27] << 8;
    return name > 4 && name <= bytes - 30 && memcmp(head + 30 + name - 4, ".npy", 4) == 0;
}

static bool is_pytorch(const uint8_t *head, size_t bytes)
{
    return holds(head, bytes < 256 ? bytes : 256, "data.pkl");
}

/* Eight bytes with the length of the header, which is JSON. */
static bool is_safetensors(const uint8_t *head, size_t bytes)
{
    return bytes > 9 && memcmp(head + 4, "\0\0\0\0", 4) == 0 && (head[9] == '"' || head[9] == '}');
}

static bool is_bitmap(const uint8_t *head, size_t bytes)
{
    return bytes > 18 && memcmp(head + 6, "\0\0\0\0", 4) == 0 && head[14] >= 12 && head[15] == 0;
}

static bool is_lzma(const uint8_t *head, size_t bytes)
{
    static const uint8_t unknown[8] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    return bytes >= 13 && (memcmp(head + 5, unknown, 8) == 0 || (head[11] == 0 && head[12] == 0));
}

/* The header block of a tar file: the sum of its bytes, with spaces in the field of the sum, stands
 * in the field as an octal number. */
static bool is_tar(const uint8_t *head, size_t bytes)
{
    if (bytes < 512) return false;
    unsigned long sum = 0, stored = 0;
    for (int i = 0; i < 512; i++) sum += i >= 148 && i < 156 ? ' ' : head[i];
    const uint8_t *digit = head + 148;
    while (digit < head + 156 && *digit == ' ') digit++;
    if (digit == head + 156 || *digit < '0' || *digit > '7') return false;
    for (; digit < head + 156 && *digit >= '0' && *digit <= '7'; digit++)
        stored = stored * 8 + (unsigned long)(*digit - '0');
    return sum == stored;
}

static bool is_cpio(const uint8_t *head, size_t bytes)
{
    if (bytes < 110) return false;
    for (int i = 0; i < 110; i++)
        if (!isxdigit(head[i])) return false;
    return true;
}

/* HDF5 may begin after a user block, whose size is a power of two. */
static bool is_hdf5(const uint8_t *head, size_t bytes)
{
    for (size_t at = 0; at + 8 <= bytes; at = at ? 2 * at : 512)
        if (memcmp(head + at, "\x89HDF\r\n\x1a\n", 8) == 0) return true;
    return false;
}

static bool is_utf32(const uint8_t *head, size_t bytes)
{
    return bytes % 4 == 0 || bytes > 65000 || head[3] == 0;
}

/* Without a mark: every other byte of Latin text is NUL. */
static bool is_bare_utf16(const uint8_t *head, size_t bytes)
{
    size_t pairs = bytes / 2 < 256 ? bytes / 2 : 256, even = 0, odd = 0;
    for (size_t i = 0; i < pairs; i++) {
        even += head[2 * i] == 0;
        odd += head[2 * i + 1] == 0;
    }
    size_t most = pairs - pairs / 4;
    return pairs >= 4 && ((even >= most && odd == 0) || (odd >= most && even == 0));
}

/* ---- formats of text ---- */

/* The line at `at`, without its end; moves past it. */
static rw_json_value next_line(const uint8_t *head, size_t bytes, size_t *at)
{
    rw_json_value line = {head + *at, 0};
    while (*at < bytes && head[*at] != '\n' && head[*at] != '\r') ++*at;
    line.count = (size_t)(head + *at - line.text);
    bool return_first = *at < bytes && head[*at] == '\r';
    if (*at < bytes) ++*at;
    if (return_first && *at < bytes && head[*at] == '\n') ++*at;
    return line;
}

static bool is_genbank(const uint8_t *head, size_t bytes)
{
    return holds(head, bytes, "\nDEFINITION  ") || holds(head, bytes, "\rDEFINITION  ") ||
           holds(head, bytes, "\nORIGIN");
}

static bool is_genbank_release(const uint8_t *head, size_t bytes)
{
    return holds(head, bytes, "Genetic Sequence Data Bank") && holds(head, bytes, "\nLOCUS  ");
}

static bool is_embl(const uint8_t *head, size_t bytes)
{
    return holds(head, bytes, "\nAC   ") || holds(head, bytes, "\rAC   ");
}

static bool is_clustal(const uint8_t *head, size_t bytes)
{
    return holds(head, bytes < 100 ? bytes : 100, "alignment");
}

/* Four lines a record: @name, letters, +, as many qualities. A long read may be
 * longer than the head. */
static bool is_fastq(const uint8_t *head, size_t bytes)
{
    size_t at = 0;
    next_line(head, bytes, &at);
    rw_json_value letters = next_line(head, bytes, &at);
    for (size_t i = 0; i < letters.count; i++)
        if (!isalpha(letters.text[i]) && !memchr("*-.", letters.text[i], 3)) return false;
    if (at == bytes) return letters.count > 1000;
    return letters.count > 0 && head[at] == '+';
}

/* So many JSON tokens, or a key with its colon, are no accident, even if an error follows. */
#define JSON_TOKENS 32

static bool is_json_array(const uint8_t *head, size_t bytes)
{
    size_t tokens = 0;
    for (size_t at = 0; at < bytes;) {
        rw_json_scan scan = rw_json_check(head + at, bytes - at);
        tokens += scan.tokens;
        if (tokens >= JSON_TOKENS || scan.members > 0) return true;
        if (scan.state == RW_JSON_CUT) return tokens >= 3;
        if (scan.state == RW_JSON_WRONG) return false;
        for (at += scan.used; at < bytes && isspace(head[at]);) at++;
    }
    return true;
}

static bool is_whole_object(rw_json_value line)
{
    while (line.count > 0 && isspace(line.text[line.count - 1])) line.count--;
    if (line.count == 0 || line.text[0] != '{') return false;
    rw_json_scan scan = rw_json_check(line.text, line.count);
    return scan.state == RW_JSON_WHOLE && scan.used == line.count;
}

/* An object over several lines. Lines that are objects by themselves are JSON lines, of which some
 * may be bad. */
static bool is_pretty_json(const uint8_t *head, size_t bytes)
{
    size_t at = 0;
    rw_json_value first = next_line(head, bytes, &at);
    rw_json_value second = next_line(head, bytes, &at);
    if (is_whole_object(first) || is_whole_object(second)) return false;
    rw_json_scan scan = rw_json_check(head, bytes);
    return scan.members > 0 && scan.used > first.count;
}

#define JSON_ADVICE(filter) "write one object a line: jq -c " filter " FILE > FILE.jsonl"

/* The first match counts: special formats come first. */
static const entry entries[] = {
    BINARY(0, "PK\3\4", is_office, "a document of Microsoft Office", "save it as text"),
    BINARY(0, "PK\3\4", is_npz, "NumPy arrays (.npz)", ARRAYS),
    BINARY(0, "PK\3\4", is_pytorch, "a file of PyTorch", WEIGHTS),
    BINARY(30, "mimetypeapplication/", NULL, "a document (EPUB or OpenDocument)",
           "save it as text"),
    BINARY(0, "PK\3\4", NULL, "a zip archive", PIPE_OF("unzip -p")),
    BINARY(0, "PK\5\6", NULL, "an empty zip archive", UNPACK),
    BINARY(0, "PK\7\10", NULL, "a zip archive of several parts", UNPACK),
    BINARY(0, "7z\xbc\xaf\x27\x1c", NULL, "a 7z archive", PIPE_OF("7z x -so")),
    BINARY(0, "Rar!\x1a\7", NULL, "a rar archive", UNPACK),
    BINARY(0, "", is_tar, "a tar archive", PIPE_OF("tar -xOf")),
    BINARY(0, "!<arch>\n", NULL, "an ar archive", UNPACK),
    BINARY(0, "\xed\xab\xee\xdb", NULL, "an rpm package", UNPACK),
    BINARY(0, "07070", is_cpio, "a cpio archive", UNPACK),
    BINARY(0, "MSCF\0\0\0\0", NULL, "a cabinet archive", UNPACK),
    BINARY(2, "-lh", has_control, "an LHA archive", UNPACK),
    BINARY(0, "xar!", has_control, "a xar archive", UNPACK),
    BINARY(32769, "CD001", NULL, "an ISO 9660 image", UNPACK),
    BINARY(0, "hsqs", has_control, "a squashfs image", UNPACK),
    BINARY(0, "\x1f\x8b", NULL, "gzip data", PACKED),
    BINARY(0, "BZh", has_control, "bzip2 data", PACKED),
    BINARY(0,
           "\xfd"
           "7zXZ\0",
           NULL, "xz data", PACKED),
    BINARY(0, "\x28\xb5\x2f\xfd", NULL, "zstd data", PACKED),
    BINARY(0, "\x04\x22\x4d\x18", NULL, "an lz4 file", PIPE_OF("lz4 -dc")),
    BINARY(0, "\x02\x21\x4c\x18", NULL, "an lz4 file", PIPE_OF("lz4 -dc")),
    BINARY(0, "LZIP\1", NULL, "an lzip file", PIPE_OF("lzip -dc")),
    BINARY(0, "]\0\0", is_lzma, "an lzma file", PIPE_OF("xz -dc")),
    BINARY(0, "\x89LZO\0\r\n\x1a\n", NULL, "an lzop file", PIPE_OF("lzop -dc")),
    BINARY(0, "LRZI", has_control, "an lrzip file", UNPACK),
    BINARY(0, "\xff\6\0\0sNaPpY", NULL, "a snappy file", "decompress it first"),
    BINARY(0, "\x1f\x9d", NULL, "a file of compress (.Z)", PIPE_OF("gzip -dc")),
    BINARY(0, "\x1f\x1e", NULL, "a file of pack (.z)", PIPE_OF("gzip -dc")),
    BINARY(0, "\x1f\xa0", NULL, "a file of SCO compress", "decompress it first"),
    BINARY(0, "\x37\xa4\x30\xec", NULL, "a dictionary of zstd", PROGRAM),
    BINARY(0, "Salted__", has_control, "an encrypted file", "decrypt it first"),
    BINARY(0, "%PDF-", NULL, "a PDF document", "convert it to text: pdftotext FILE"),
    BINARY(0, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", NULL, "a document of Microsoft Office",
           "save it as text"),
    BINARY(0, "\x89PNG\r\n\x1a\n", NULL, "a PNG image", ARRAYS),
    BINARY(0, "\xff\xd8\xff", NULL, "a JPEG image", ARRAYS),
    BINARY(0, "GIF87a", has_control, "a GIF image", ARRAYS),
    BINARY(0, "GIF89a", has_control, "a GIF image", ARRAYS),
    BINARY(0, "BM", is_bitmap, "a BMP image", ARRAYS),
    BINARY(0, "II*\0", NULL, "a TIFF image", ARRAYS),
    BINARY(0, "MM\0*", NULL, "a TIFF image", ARRAYS),
    BINARY(8, "WEBPVP8", NULL, "a WebP image", ARRAYS),
    BINARY(8, "WAVEfmt ", NULL, "a WAV sound", ARRAYS),
    BINARY(0, "RIFF", has_control, "a RIFF file (sound or video)", ARRAYS),
    BINARY(8, "AIFF", has_control, "an AIFF sound", ARRAYS),
    BINARY(0, "fLaC\0", NULL, "a FLAC sound", ARRAYS),
    BINARY(0, "OggS\0", NULL, "an Ogg file (sound or video)", ARRAYS),
    BINARY(0, "ID3", has_control, "an MP3 sound", ARRAYS),
    BINARY(4, "ftyp", has_control, "an MP4 file (sound or video)", ARRAYS),
    BINARY(0, "\x1a\x45\xdf\xa3", NULL, "a Matroska or WebM video", ARRAYS),
    BINARY(0, "MThd\0\0\0\6", NULL, "a MIDI file", ARRAYS),
    BINARY(0,
           "\x7f"
           "ELF",
           NULL, "a program (ELF)", PROGRAM),
    BINARY(0, "MZ", has_control, "a program of Windows", PROGRAM),
    BINARY(0, "\xcf\xfa\xed\xfe", NULL, "a program (Mach-O)", PROGRAM),
    BINARY(0, "\xca\xfe\xba\xbe", NULL, "a program (Java or Mach-O)", PROGRAM),
    BINARY(0, "\0asm", NULL, "a program (WebAssembly)", PROGRAM),
    BINARY(0, "\x89HDF\r\n\x1a\n", NULL, "an HDF5 file", ARRAYS),
    BINARY(0, "", is_hdf5, "an HDF5 file", ARRAYS),
    BINARY(0, "\x93NUMPY", NULL, "a NumPy array (.npy)", ARRAYS),
    BINARY(0, "PAR1", has_control, "a Parquet table", TABLE),
    BINARY(0, "ARROW1", has_control, "an Arrow table", TABLE),
    BINARY(0, "\xff\xff\xff\xff\x10\0\0\0", NULL, "a stream of Arrow tables", TABLE),
    BINARY(4, "\x10\0\0\0\0\0\x0a\0", NULL, "a stream of Arrow tables", TABLE),
    BINARY(0, "FEA1", has_control, "a Feather table", TABLE),
    BINARY(0, "ORC", has_control, "an ORC table", TABLE),
    BINARY(0, "Obj\1", NULL, "an Avro table", TABLE),
    BINARY(0, "SQLite format 3\0", NULL, "an SQLite database", TABLE),
    BINARY(0, "MMIDIDX\0", NULL, "an index of Megatron", ARRAYS),
    BINARY(0, "GGUF", has_control, "a GGUF model", WEIGHTS),
    BINARY(8, "{", is_safetensors, "a safetensors file", WEIGHTS),
    BINARY(0, "\x80\2", has_control, "a pickle of Python", CONVERT),
    BINARY(0, "\x80\3", has_control, "a pickle of Python", CONVERT),
    BINARY(0, "\x80\4\x95", NULL, "a pickle of Python", CONVERT),
    BINARY(0, "\x80\5\x95", NULL, "a pickle of Python", CONVERT),
    BINARY(0, "MATLAB 5.0 MAT-file", NULL, "a file of MATLAB", ARRAYS),
    BINARY(0, "CDF\1", NULL, "a NetCDF file", ARRAYS),
    BINARY(0, "CDF\2", NULL, "a NetCDF file", ARRAYS),
    BINARY(0, "CDF\5", NULL, "a NetCDF file", ARRAYS),
    BINARY(0, "SIMPLE  =                    T", NULL, "a FITS file", ARRAYS),
    BINARY(0, "RDX", has_control, "a file of R", CONVERT),
    BINARY(0, "BAM\1", NULL, "alignments (BAM)", "convert it to FASTA first: samtools fasta FILE"),
    BINARY(0, "CRAM", has_control, "alignments (CRAM)",
           "convert it to FASTA first: samtools fasta FILE"),
    BINARY(0, "BCF\2", NULL, "variants (BCF)", SEQUENCE),
    BINARY(0, "\x43\x27\x41\x1a", NULL, "a 2bit genome", "convert it: twoBitToFa FILE FILE.fa"),
    BINARY(0, "\x1a\x41\x27\x43", NULL, "a 2bit genome", "convert it: twoBitToFa FILE FILE.fa"),
    BINARY(0, "\xff\xfe\0\0", is_utf32, "text in UTF-32", "convert it: iconv -f UTF-32 -t UTF-8"),
    BINARY(0, "\0\0\xfe\xff", NULL, "text in UTF-32", "convert it: iconv -f UTF-32 -t UTF-8"),
    BINARY(0, "\xff\xfe", NULL, "text in UTF-16", "convert it: iconv -f UTF-16 -t UTF-8"),
    BINARY(0, "\xfe\xff", NULL, "text in UTF-16", "convert it: iconv -f UTF-16 -t UTF-8"),
    TEXT("", is_bare_utf16, "text in UTF-16", "convert it: iconv -f UTF-16LE -t UTF-8"),
    TEXT("version https://git-lfs.github.com/spec", NULL, "a pointer of Git LFS, not the file",
         "fetch the file: git lfs pull"),
    TEXT("-----BEGIN PGP MESSAGE", NULL, "an encrypted message", "decrypt it first"),
    TEXT("%!PS", NULL, "a PostScript document", "convert it to text: ps2ascii FILE"),
    TEXT("{\\rtf", NULL, "an RTF document", "save it as text"),
    TEXT("LOCUS  ", is_genbank, "GenBank", SEQUENCE),
    TEXT("", is_genbank_release, "GenBank", SEQUENCE),
    TEXT("ID   ", is_embl, "EMBL or UniProt", SEQUENCE),
    TEXT("@", is_fastq, "FASTQ",
         "convert it to FASTA first: sed -n '1~4s/^@/>/p;2~4p' FILE > FILE.fa"),
    TEXT("@HD\tVN:", NULL, "alignments (SAM)", "convert it to FASTA first: samtools fasta FILE"),
    TEXT("@SQ\tSN:", NULL, "alignments (SAM)", "convert it to FASTA first: samtools fasta FILE"),
    TEXT("##fileformat=VCF", NULL, "variants (VCF)", SEQUENCE),
    TEXT("##gff-version", NULL, "annotations (GFF)", SEQUENCE),
    TEXT("# STOCKHOLM", NULL, "an alignment (Stockholm)", SEQUENCE),
    TEXT("CLUSTAL", is_clustal, "an alignment (Clustal)", SEQUENCE),
    TEXT("#NEXUS", NULL, "an alignment (NEXUS)", SEQUENCE),
    TEXT("[", is_json_array, "a JSON array", JSON_ADVICE("'.[]'")),
    TEXT("{", is_pretty_json, "JSON of several lines", JSON_ADVICE(".")),
};

/* The head from its first character on, without mark and blank lines. */
static rw_json_value beginning_of(const uint8_t *head, size_t bytes)
{
    size_t at = rw_signature_mark_bytes(head, bytes);
    while (at < bytes && isspace(head[at])) at++;
    return (rw_json_value){head + at, bytes - at};
}

static bool fits(const entry *e, rw_json_value head)
{
    return head.count >= e->at + e->magic_bytes && head.count > 0 &&
           memcmp(head.text + e->at, e->magic, e->magic_bytes) == 0 &&
           (!e->also || e->also(head.text, head.count));
}

const rw_signature *rw_signature_find(const uint8_t *head, size_t bytes)
{
    const rw_json_value whole = {head, bytes}, text = beginning_of(head, bytes);
    for (size_t i = 0; i < sizeof entries / sizeof *entries; i++)
        if (fits(&entries[i], whole) || (entries[i].signature.is_text && fits(&entries[i], text)))
            return &entries[i].signature;
    return NULL;
}

size_t rw_signature_mark_bytes(const uint8_t *head, size_t bytes)
{
    return bytes >= 3 && memcmp(head, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
}

/* Codes of terminals and printers occur in texts too. */
static bool is_control(uint8_t byte)
{
    return byte < 0x20 && !memchr("\a\b\t\n\v\f\r\x1b", byte, 8);
}

size_t rw_signature_binary_place(const uint8_t *head, size_t bytes)
{
    const uint8_t *nul = bytes ? memchr(head, 0, bytes) : NULL;
    if (nul) return (size_t)(nul - head);
    size_t first = bytes, count = 0;
    for (size_t i = 0; i < bytes; i++) {
        if (!is_control(head[i])) continue;
        if (count++ == 0) first = i;
    }
    return count > 1 && count * 50 > bytes ? first : bytes;
}
