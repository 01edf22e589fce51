#include "checkpoints/hdf5_image.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "checkpoints/checkpoint_format.h"
#include "storage/hdf5_access.h"
#include "storage/zstd_frame.h"

#define GROWTH_BYTES ((size_t)64 << 10) /* step by which HDF5 enlarges the file */

/* Weights and moments are close to random: higher levels gain next to nothing. */
#define ZSTD_LEVEL 1

static const char in_memory[] = "a file in memory";

struct rw_image {
    unsigned char *bytes;
    size_t size, capacity;
    hid_t file;
    rw_framer *framer;
    unsigned char *chunk; /* one that is padded */
};

/* HDF5's core driver keeps the file in a buffer from these functions. All of them use the image's
 * own buffer, so that the file is never in memory twice. */
static void *give_buffer(size_t size, H5FD_file_image_op_t purpose, void *state)
{
    (void)purpose;
    rw_image *image = state;
    return size <= image->capacity ? image->bytes : NULL;
}

static void *copy_nothing(void *to, const void *from, size_t size, H5FD_file_image_op_t purpose,
                          void *state)
{
    (void)size, (void)purpose, (void)state;
    return to == from ? to : NULL;
}

static void *grow_buffer(void *old, size_t size, H5FD_file_image_op_t purpose, void *state)
{
    (void)old, (void)purpose;
    rw_image *image = state;
    if (rw_grow(&image->bytes, &image->capacity, size, 1) != RW_OK) return NULL;
    return image->bytes;
}

static herr_t keep_buffer(void *buffer, H5FD_file_image_op_t purpose, void *state)
{
    (void)buffer, (void)purpose, (void)state;
    return 0;
}

static void *share_state(void *state)
{
    return state;
}

static herr_t keep_state(void *state)
{
    (void)state;
    return 0;
}

/* The access list of a file in the image's buffer; negative on failure. */
static hid_t core_access(rw_image *image)
{
    H5FD_file_image_callbacks_t callbacks = {
        .image_malloc = give_buffer,
        .image_memcpy = copy_nothing,
        .image_realloc = grow_buffer,
        .image_free = keep_buffer,
        .udata_copy = share_state,
        .udata_free = keep_state,
        .udata = image,
    };
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    if (access < 0) return access;
    if (H5Pset_fapl_core(access, GROWTH_BYTES, false) < 0 ||
        H5Pset_file_image_callbacks(access, &callbacks) < 0) {
        H5Pclose(access);
        return H5I_INVALID_HID;
    }
    return access;
}

/* Creates the buffer's file. Small B-tree nodes: an image holds many small datasets. */
static rw_status start_file(rw_image *image)
{
    rw_status status = RW_OK;
    char name[32]; /* HDF5 takes two files in memory for one if their names are equal */
    snprintf(name, sizeof name, "image-%p", (void *)image);
    rw_hdf5_lock();
    hid_t access = core_access(image), creation = H5Pcreate(H5P_FILE_CREATE);
    if (access < 0 || creation < 0 || H5Pset_istore_k(creation, 8) < 0)
        status = rw_hdf5_fail("prepare", in_memory, RW_HDF5_MEMORY);
    else
        image->file = H5Fcreate(name, H5F_ACC_TRUNC, creation, access);
    if (status == RW_OK && image->file < 0)
        status = rw_hdf5_fail("open", in_memory, RW_HDF5_MEMORY);
    rw_hdf5_close(creation, H5Pclose);
    rw_hdf5_close(access, H5Pclose);
    rw_hdf5_unlock();
    return status;
}

static rw_status start_image(rw_image *image)
{
    RW_TRY(rw_framer_new(RW_CHUNK_MAX_BYTES, ZSTD_LEVEL, &image->framer));
    RW_TRY(rw_alloc(RW_CHUNK_MAX_BYTES, 1, "a chunk of a tensor", &image->chunk));
    return start_file(image);
}

rw_status rw_image_create(size_t expected, rw_image **out)
{
    rw_status status = RW_OK;
    RW_TRY(rw_alloc(1, sizeof **out, "an HDF5 image", out));
    rw_image *image = *out;
    image->file = H5I_INVALID_HID;
    image->capacity = expected + expected / 64 + GROWTH_BYTES;
    RW_TRY_DONE(rw_alloc(image->capacity, 1, "an HDF5 image", &image->bytes));
    RW_TRY_DONE(start_image(image));
done:
    if (status != RW_OK) rw_image_destroy(out);
    return status;
}

void rw_image_destroy(rw_image **image)
{
    if (*image) {
        rw_hdf5_lock();
        rw_hdf5_close((*image)->file, H5Fclose);
        rw_hdf5_unlock();
        rw_framer_destroy(&(*image)->framer);
        rw_free(&(*image)->chunk);
        rw_free(&(*image)->bytes);
    }
    rw_free(image);
}

hid_t rw_image_file(const rw_image *image)
{
    return image->file;
}

rw_status rw_image_finish(rw_image *image, const unsigned char **bytes, size_t *size)
{
    rw_status status = RW_OK;
    rw_hdf5_lock();
    ssize_t end = -1;
    if (H5Fflush(image->file, H5F_SCOPE_GLOBAL) >= 0) end = H5Fget_file_image(image->file, NULL, 0);
    if (end < 0) status = rw_hdf5_fail("finish", in_memory, RW_HDF5_MEMORY);
    /* Closing also clears the mark "open for writing" in the file's head. */
    if (H5Fclose(image->file) < 0 && status == RW_OK)
        status = rw_hdf5_fail("close", in_memory, RW_HDF5_MEMORY);
    image->file = H5I_INVALID_HID;
    rw_hdf5_unlock();
    RW_TRY(status);
    *bytes = image->bytes;
    *size = image->size = (size_t)end;
    return RW_OK;
}

static void to_hsize(int dims, const size_t *from, hsize_t *to)
{
    for (int d = 0; d < dims; d++) to[d] = from[d];
}

hid_t rw_element_type(size_t bytes)
{
    return bytes == 8 ? H5T_IEEE_F64LE : H5T_IEEE_F32LE;
}

hid_t rw_shape_space(int dims, const size_t *shape)
{
    hsize_t extent[RW_MAX_DIMS];
    to_hsize(dims, shape, extent);
    return H5Screate_simple(dims, extent, NULL);
}

hid_t rw_link_creation(void)
{
    hid_t link = H5Pcreate(H5P_LINK_CREATE);
    if (link >= 0 && H5Pset_create_intermediate_group(link, 1) >= 0) return link;
    rw_hdf5_close(link, H5Pclose);
    return H5I_INVALID_HID;
}

/* The storage of the dataset's chunks. No times, no fill values: equal tensors give equal bytes.
 * The filter is marked optional because this HDF5 does not have it: the frames are written
 * directly. */
static hid_t chunked_creation(const rw_block *block, const rw_chunks *chunks)
{
    hsize_t shape[RW_MAX_DIMS];
    to_hsize(block->dims, chunks->shape, shape);
    hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
    if (creation < 0) return creation;
    if (H5Pset_chunk(creation, block->dims, shape) < 0 ||
        H5Pset_filter(creation, RW_ZSTD_FILTER, H5Z_FLAG_OPTIONAL, 0, NULL) < 0 ||
        H5Pset_fill_time(creation, H5D_FILL_TIME_NEVER) < 0 ||
        H5Pset_obj_track_times(creation, false) < 0) {
        H5Pclose(creation);
        return H5I_INVALID_HID;
    }
    return creation;
}

static rw_status create_dataset(rw_image *image, const rw_block *block, const rw_chunks *chunks,
                                hid_t *dataset)
{
    rw_status status = RW_OK;
    rw_hdf5_lock();
    hid_t space = rw_shape_space(block->dims, block->shape);
    hid_t creation = chunked_creation(block, chunks), link = rw_link_creation();
    *dataset = H5I_INVALID_HID;
    if (space >= 0 && creation >= 0 && link >= 0)
        *dataset = H5Dcreate2(image->file, block->name, rw_element_type(block->element), space,
                              link, creation, H5P_DEFAULT);
    if (*dataset < 0) status = rw_hdf5_fail("create the dataset", block->name, RW_HDF5_MEMORY);
    rw_hdf5_close(link, H5Pclose);
    rw_hdf5_close(creation, H5Pclose);
    rw_hdf5_close(space, H5Sclose);
    rw_hdf5_unlock();
    return status;
}

/* Widens *begin..*end - 1 by where the chunk lies in the file. */
static rw_status locate_chunk(hid_t dataset, const rw_block *block, const hsize_t *offset,
                              uint64_t *begin, uint64_t *end)
{
    rw_status status = RW_OK;
    hsize_t stored = 0;
    haddr_t address = 0;
    unsigned mask;
    rw_hdf5_lock();
    if (H5Dget_chunk_info_by_coord(dataset, offset, &mask, &address, &stored) < 0)
        status = rw_hdf5_fail("find a chunk of the dataset", block->name, RW_HDF5_MEMORY);
    rw_hdf5_unlock();
    if (address < *begin) *begin = address;
    if (address + stored > *end) *end = address + stored;
    return status;
}

/* Closing writes, so it can fail like a write. */
static rw_status close_dataset(hid_t dataset, const char *name, rw_status status)
{
    rw_hdf5_lock();
    if (H5Dclose(dataset) < 0 && status == RW_OK)
        status = rw_hdf5_fail("close the dataset", name, RW_HDF5_MEMORY);
    rw_hdf5_unlock();
    return status;
}

rw_status rw_image_add(rw_image *image, const rw_block *block, const void *data, uint64_t *begin,
                       uint64_t *end)
{
    rw_status status = RW_OK;
    rw_chunks chunks;
    hid_t dataset;
    rw_chunks_plan(block, RW_CHUNK_MAX_BYTES, &chunks);
    RW_TRY(create_dataset(image, block, &chunks, &dataset));
    *begin = UINT64_MAX;
    *end = 0;
    for (size_t i = 0; i < chunks.count; i++) {
        rw_chunk chunk = rw_chunk_at(block, &chunks, i);
        const unsigned char *contents = (const unsigned char *)data + chunk.begin;
        hsize_t offset[RW_MAX_DIMS];
        to_hsize(block->dims, chunk.offset, offset);
        if (chunk.bytes < chunks.bytes) {
            memcpy(image->chunk, contents, chunk.bytes);
            memset(image->chunk + chunk.bytes, 0, chunks.bytes - chunk.bytes);
            contents = image->chunk;
        }
        const char *wrong = rw_framer_write(image->framer, dataset, offset, contents, chunks.bytes);
        if (wrong)
            RW_TRY_DONE(rw_fail(RW_ERROR, "cannot write the dataset %s: %s; %s", block->name, wrong,
                                RW_HDF5_MEMORY));
        RW_TRY_DONE(locate_chunk(dataset, block, offset, begin, end));
    }
done:
    return close_dataset(dataset, block->name, status);
}
