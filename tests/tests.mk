# Unit tests: one program a file, linked to the library for float; those in
# tests_double also to the one for double, as NAME_double.
unit_tests = \
	test_checkpoint \
	test_checkpoint_damage \
	test_checkpoint_faults \
	test_config \
	test_convolution \
	test_data \
	test_documents \
	test_execution \
	test_forms \
	test_linear \
	test_lssl_kernel \
	test_optim \
	test_packed_product \
	test_report \
	test_short_conv \
	test_source \
	test_ssd_chunk \
	test_tasks
unit_tests_double = \
	test_convolution_double \
	test_documents_double \
	test_forms_double \
	test_lssl_kernel_double \
	test_packed_product_double \
	test_ssd_chunk_double

test_libs = $(rw_libs) $(CMOCKA_LIBS)
# Models around whatever is registered, for the tests that drive the engine.
engine_fixtures = tests/testing.c tests/testing.h
double_cppflags = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS) -DRW_DOUBLE

test_checkpoint_SOURCES = tests/test_checkpoint.c tests/checkpoint_fixture.c tests/checkpoint_fixture.h
test_checkpoint_LDADD = libropewalk.a $(test_libs)
test_checkpoint_damage_SOURCES = tests/test_checkpoint_damage.c tests/checkpoint_fixture.c tests/checkpoint_fixture.h
test_checkpoint_damage_LDADD = libropewalk.a $(test_libs)
test_checkpoint_faults_SOURCES = tests/test_checkpoint_faults.c tests/checkpoint_fixture.c tests/checkpoint_fixture.h
test_checkpoint_faults_LDADD = libropewalk.a $(test_libs)
test_config_SOURCES = tests/test_config.c
test_config_LDADD = libropewalk.a $(test_libs)
test_convolution_SOURCES = tests/test_convolution.c
test_convolution_LDADD = libropewalk.a $(test_libs)
test_convolution_double_SOURCES = tests/test_convolution.c
test_convolution_double_CPPFLAGS = $(double_cppflags)
test_convolution_double_LDADD = libropewalk_double.a $(test_libs)
test_data_SOURCES = tests/test_data.c tests/data_files.h
test_data_LDADD = libropewalk.a $(test_libs)
test_documents_SOURCES = tests/test_documents.c $(engine_fixtures)
test_documents_LDADD = libropewalk.a $(test_libs)
test_documents_double_SOURCES = tests/test_documents.c $(engine_fixtures)
test_documents_double_CPPFLAGS = $(double_cppflags)
test_documents_double_LDADD = libropewalk_double.a $(test_libs)
test_execution_SOURCES = tests/test_execution.c $(engine_fixtures)
test_execution_LDADD = libropewalk.a $(test_libs)
test_forms_SOURCES = tests/test_forms.c $(engine_fixtures)
test_forms_LDADD = libropewalk.a $(test_libs)
test_forms_double_SOURCES = tests/test_forms.c $(engine_fixtures)
test_forms_double_CPPFLAGS = $(double_cppflags)
test_forms_double_LDADD = libropewalk_double.a $(test_libs)
test_linear_SOURCES = tests/test_linear.c
test_linear_LDADD = libropewalk.a $(test_libs)
test_lssl_kernel_SOURCES = tests/test_lssl_kernel.c
test_lssl_kernel_LDADD = libropewalk.a $(test_libs)
test_lssl_kernel_double_SOURCES = tests/test_lssl_kernel.c
test_lssl_kernel_double_CPPFLAGS = $(double_cppflags)
test_lssl_kernel_double_LDADD = libropewalk_double.a $(test_libs)
test_optim_SOURCES = tests/test_optim.c
test_optim_LDADD = libropewalk.a $(test_libs)
test_packed_product_SOURCES = tests/test_packed_product.c
test_packed_product_LDADD = libropewalk.a $(test_libs)
test_packed_product_double_SOURCES = tests/test_packed_product.c
test_packed_product_double_CPPFLAGS = $(double_cppflags)
test_packed_product_double_LDADD = libropewalk_double.a $(test_libs)
test_report_SOURCES = tests/test_report.c
test_report_LDADD = libropewalk.a $(test_libs)
test_short_conv_SOURCES = tests/test_short_conv.c
test_short_conv_LDADD = libropewalk.a $(test_libs)
test_source_SOURCES = tests/test_source.c tests/sequences.h
test_source_LDADD = libropewalk.a $(test_libs)
test_ssd_chunk_SOURCES = tests/test_ssd_chunk.c
test_ssd_chunk_LDADD = libropewalk.a $(test_libs)
test_ssd_chunk_double_SOURCES = tests/test_ssd_chunk.c
test_ssd_chunk_double_CPPFLAGS = $(double_cppflags)
test_ssd_chunk_double_LDADD = libropewalk_double.a $(test_libs)
test_tasks_SOURCES = tests/test_tasks.c tests/sequences.h
test_tasks_LDADD = libropewalk.a $(test_libs)

cluster_tests = \
	tests/batch_script.sh \
	tests/hosts_layout.sh \
	tests/slurm_requeue.sh

check_PROGRAMS += $(unit_tests) $(unit_tests_double)
TESTS += $(unit_tests) $(unit_tests_double) $(cluster_tests)
EXTRA_DIST += $(cluster_tests) tests/make_mamba2_oracle.py tests/data/mamba2_oracle.h5
