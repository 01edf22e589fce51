/* What oneDNN 2 and 3 call differently: descriptions of memory are values in the
 * one, handles in the other. */
#ifndef RW_DNNL_VERSION_H
#define RW_DNNL_VERSION_H

#include <oneapi/dnnl/dnnl.h>

typedef dnnl_memory_desc_t rw_dnnl_layout;

#if DNNL_VERSION_MAJOR >= 3

static inline dnnl_status_t rw_dnnl_layout_new(const dnnl_dims_t sizes, const dnnl_dims_t strides,
                                               dnnl_data_type_t type, rw_dnnl_layout *out)
{
    return dnnl_memory_desc_create_with_strides(out, 2, sizes, type, strides);
}

static inline void rw_dnnl_layout_destroy(rw_dnnl_layout *layout)
{
    dnnl_memory_desc_destroy(*layout);
}

static inline dnnl_status_t rw_dnnl_memory(dnnl_engine_t engine, const rw_dnnl_layout *layout,
                                           dnnl_memory_t *out)
{
    return dnnl_memory_create(out, *layout, engine, DNNL_MEMORY_NONE);
}

/* Of a, b and the result. */
static inline dnnl_status_t rw_dnnl_product(dnnl_engine_t engine, const rw_dnnl_layout *layouts,
                                            dnnl_primitive_attr_t attributes,
                                            dnnl_primitive_desc_t *out)
{
    return dnnl_matmul_primitive_desc_create(out, engine, layouts[0], layouts[1], NULL, layouts[2],
                                             attributes);
}

#else

static inline dnnl_status_t rw_dnnl_layout_new(const dnnl_dims_t sizes, const dnnl_dims_t strides,
                                               dnnl_data_type_t type, rw_dnnl_layout *out)
{
    return dnnl_memory_desc_init_by_strides(out, 2, sizes, type, strides);
}

static inline void rw_dnnl_layout_destroy(rw_dnnl_layout *layout)
{
    (void)layout;
}

static inline dnnl_status_t rw_dnnl_memory(dnnl_engine_t engine, const rw_dnnl_layout *layout,
                                           dnnl_memory_t *out)
{
    return dnnl_memory_create(out, layout, engine, DNNL_MEMORY_NONE);
}

/* Of a, b and the result. */
static inline dnnl_status_t rw_dnnl_product(dnnl_engine_t engine, const rw_dnnl_layout *layouts,
                                            dnnl_primitive_attr_t attributes,
                                            dnnl_primitive_desc_t *out)
{
    dnnl_matmul_desc_t product;
    dnnl_status_t status =
        dnnl_matmul_desc_init(&product, &layouts[0], &layouts[1], NULL, &layouts[2]);
    if (status != dnnl_success) return status;
    return dnnl_primitive_desc_create(out, &product, attributes, engine, NULL);
}

#endif
#endif
