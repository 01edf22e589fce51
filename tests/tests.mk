# Unit tests: one program a file, linked to the library for float; those in
# tests_double also to the one for double, as NAME_double.
unit_tests = \
	test_attention_block \
	test_bf16 \
	test_carry \
	test_checkpoint \
	test_checkpoint_damage \
	test_checkpoint_faults \
	test_config \
	test_config_compare \
	test_conv \
	test_convolution \
	test_data \
	test_dataset_build \
	test_decay_gradients \
	test_documents \
	test_elementary \
	test_execution \
	test_forms \
	test_generation \
	test_growth \
	test_hostile_checkpoint \
	test_linear \
	test_linear_attention \
	test_linear_attention_chunk \
	test_long_fft \
	test_lssl_kernel \
	test_machine \
	test_mamba2_oracle \
	test_memory \
	test_op_rig \
	test_optim \
	test_packed_product \
	test_projected_loss \
	test_random \
	test_readers \
	test_report \
	test_row_sum \
	test_saved_model \
	test_short_conv \
	test_source \
	test_ssd_chunk \
	test_storage \
	test_tasks \
	test_tile_product \
	test_training \
	test_yaml
unit_tests_double = \
	test_attention_block_double \
	test_carry_double \
	test_convolution_double \
	test_documents_double \
	test_elementary_double \
	test_forms_double \
	test_linear_attention_chunk_double \
	test_linear_attention_double \
	test_long_fft_double \
	test_lssl_kernel_double \
	test_mamba2_oracle_double \
	test_packed_product_double \
	test_projected_loss_double \
	test_row_sum_double \
	test_ssd_chunk_double \
	test_tile_product_double

test_libs = $(rw_libs) $(CMOCKA_LIBS)
# Models around whatever is registered, for the tests that drive the engine.
engine_fixtures = tests/testing.c tests/testing.h
double_cppflags = $(AM_CPPFLAGS) $(CMOCKA_CFLAGS) -DRW_DOUBLE

test_attention_block_SOURCES = tests/test_attention_block.c
test_attention_block_LDADD = libropewalk.a $(test_libs)
test_attention_block_double_SOURCES = tests/test_attention_block.c
test_attention_block_double_CPPFLAGS = $(double_cppflags)
test_attention_block_double_LDADD = libropewalk_double.a $(test_libs)
test_bf16_SOURCES = tests/test_bf16.c
test_bf16_LDADD = libropewalk.a $(test_libs)
test_carry_SOURCES = tests/test_carry.c $(engine_fixtures)
test_carry_LDADD = libropewalk.a $(test_libs)
test_carry_double_SOURCES = tests/test_carry.c $(engine_fixtures)
test_carry_double_CPPFLAGS = $(double_cppflags)
test_carry_double_LDADD = libropewalk_double.a $(test_libs)
test_checkpoint_SOURCES = tests/test_checkpoint.c tests/checkpoint_fixture.c tests/checkpoint_fixture.h
test_checkpoint_LDADD = libropewalk.a $(test_libs)
test_checkpoint_damage_SOURCES = tests/test_checkpoint_damage.c tests/checkpoint_fixture.c tests/checkpoint_fixture.h
test_checkpoint_damage_LDADD = libropewalk.a $(test_libs)
test_checkpoint_faults_SOURCES = tests/test_checkpoint_faults.c tests/checkpoint_fixture.c tests/checkpoint_fixture.h
test_checkpoint_faults_LDADD = libropewalk.a $(test_libs)
test_config_SOURCES = tests/test_config.c tests/yaml_trees.h
test_config_LDADD = libropewalk.a $(test_libs)
test_config_compare_SOURCES = tests/test_config_compare.c
test_config_compare_LDADD = libropewalk.a $(test_libs)
test_conv_SOURCES = tests/test_conv.c $(engine_fixtures)
test_conv_LDADD = libropewalk.a $(test_libs)
test_convolution_SOURCES = tests/test_convolution.c
test_convolution_LDADD = libropewalk.a $(test_libs)
test_convolution_double_SOURCES = tests/test_convolution.c
test_convolution_double_CPPFLAGS = $(double_cppflags)
test_convolution_double_LDADD = libropewalk_double.a $(test_libs)
test_data_SOURCES = tests/test_data.c tests/data_files.h
test_data_LDADD = libropewalk.a $(test_libs)
test_decay_gradients_SOURCES = tests/test_decay_gradients.c
test_decay_gradients_LDADD = libropewalk.a $(test_libs)
test_dataset_build_SOURCES = tests/test_dataset_build.c tests/data_files.h
test_dataset_build_LDADD = libropewalk.a $(test_libs)
test_documents_SOURCES = tests/test_documents.c $(engine_fixtures)
test_documents_LDADD = libropewalk.a $(test_libs)
test_documents_double_SOURCES = tests/test_documents.c $(engine_fixtures)
test_documents_double_CPPFLAGS = $(double_cppflags)
test_documents_double_LDADD = libropewalk_double.a $(test_libs)
test_elementary_SOURCES = tests/test_elementary.c
test_elementary_LDADD = libropewalk.a $(test_libs)
test_elementary_double_SOURCES = tests/test_elementary.c
test_elementary_double_CPPFLAGS = $(double_cppflags)
test_elementary_double_LDADD = libropewalk_double.a $(test_libs)
test_execution_SOURCES = tests/test_execution.c $(engine_fixtures)
test_execution_LDADD = libropewalk.a $(test_libs)
test_forms_SOURCES = tests/test_forms.c $(engine_fixtures)
test_forms_LDADD = libropewalk.a $(test_libs)
test_forms_double_SOURCES = tests/test_forms.c $(engine_fixtures)
test_forms_double_CPPFLAGS = $(double_cppflags)
test_forms_double_LDADD = libropewalk_double.a $(test_libs)
test_generation_SOURCES = tests/test_generation.c
test_generation_LDADD = libropewalk.a $(test_libs)
test_hostile_checkpoint_SOURCES = tests/test_hostile_checkpoint.c tests/checkpoint_fixture.c tests/checkpoint_fixture.h
test_hostile_checkpoint_LDADD = libropewalk.a $(test_libs)
test_linear_SOURCES = tests/test_linear.c
test_linear_LDADD = libropewalk.a $(test_libs)
test_linear_attention_SOURCES = tests/test_linear_attention.c $(engine_fixtures)
test_linear_attention_LDADD = libropewalk.a $(test_libs)
test_linear_attention_double_SOURCES = tests/test_linear_attention.c $(engine_fixtures)
test_linear_attention_double_CPPFLAGS = $(double_cppflags)
test_linear_attention_double_LDADD = libropewalk_double.a $(test_libs)
test_linear_attention_chunk_SOURCES = tests/test_linear_attention_chunk.c
test_linear_attention_chunk_LDADD = libropewalk.a $(test_libs)
test_linear_attention_chunk_double_SOURCES = tests/test_linear_attention_chunk.c
test_linear_attention_chunk_double_CPPFLAGS = $(double_cppflags)
test_linear_attention_chunk_double_LDADD = libropewalk_double.a $(test_libs)
test_long_fft_SOURCES = tests/test_long_fft.c
test_long_fft_LDADD = libropewalk.a $(test_libs)
test_long_fft_double_SOURCES = tests/test_long_fft.c
test_long_fft_double_CPPFLAGS = $(double_cppflags)
test_long_fft_double_LDADD = libropewalk_double.a $(test_libs)
test_lssl_kernel_SOURCES = tests/test_lssl_kernel.c
test_lssl_kernel_LDADD = libropewalk.a $(test_libs)
test_lssl_kernel_double_SOURCES = tests/test_lssl_kernel.c
test_lssl_kernel_double_CPPFLAGS = $(double_cppflags)
test_lssl_kernel_double_LDADD = libropewalk_double.a $(test_libs)
test_machine_SOURCES = tests/test_machine.c
test_machine_LDADD = libropewalk.a $(test_libs)
test_mamba2_oracle_SOURCES = tests/test_mamba2_oracle.c $(engine_fixtures)
test_mamba2_oracle_LDADD = libropewalk.a $(test_libs)
test_mamba2_oracle_double_SOURCES = tests/test_mamba2_oracle.c $(engine_fixtures)
test_mamba2_oracle_double_CPPFLAGS = $(double_cppflags)
test_mamba2_oracle_double_LDADD = libropewalk_double.a $(test_libs)
test_memory_SOURCES = tests/test_memory.c
test_memory_LDADD = libropewalk.a $(test_libs)
test_op_rig_SOURCES = tests/test_op_rig.c $(engine_fixtures)
test_op_rig_LDADD = libropewalk.a $(test_libs)
test_optim_SOURCES = tests/test_optim.c
test_optim_LDADD = libropewalk.a $(test_libs)
test_packed_product_SOURCES = tests/test_packed_product.c
test_packed_product_LDADD = libropewalk.a $(test_libs)
test_packed_product_double_SOURCES = tests/test_packed_product.c
test_packed_product_double_CPPFLAGS = $(double_cppflags)
test_packed_product_double_LDADD = libropewalk_double.a $(test_libs)
test_projected_loss_SOURCES = tests/test_projected_loss.c
test_projected_loss_LDADD = libropewalk.a $(test_libs)
test_projected_loss_double_SOURCES = tests/test_projected_loss.c
test_projected_loss_double_CPPFLAGS = $(double_cppflags)
test_projected_loss_double_LDADD = libropewalk_double.a $(test_libs)
test_random_SOURCES = tests/test_random.c
test_random_LDADD = libropewalk.a $(test_libs)
test_readers_SOURCES = tests/test_readers.c tests/data_files.h
test_readers_LDADD = libropewalk.a $(test_libs)
test_report_SOURCES = tests/test_report.c
test_report_LDADD = libropewalk.a $(test_libs)
test_row_sum_SOURCES = tests/test_row_sum.c
test_row_sum_LDADD = libropewalk.a $(test_libs)
test_row_sum_double_SOURCES = tests/test_row_sum.c
test_row_sum_double_CPPFLAGS = $(double_cppflags)
test_row_sum_double_LDADD = libropewalk_double.a $(test_libs)
test_saved_model_SOURCES = tests/test_saved_model.c tests/data_files.h
test_saved_model_LDADD = libropewalk.a $(test_libs)
test_short_conv_SOURCES = tests/test_short_conv.c
test_short_conv_LDADD = libropewalk.a $(test_libs)
test_source_SOURCES = tests/test_source.c tests/sequences.h
test_source_LDADD = libropewalk.a $(test_libs)
test_ssd_chunk_SOURCES = tests/test_ssd_chunk.c
test_ssd_chunk_LDADD = libropewalk.a $(test_libs)
test_ssd_chunk_double_SOURCES = tests/test_ssd_chunk.c
test_ssd_chunk_double_CPPFLAGS = $(double_cppflags)
test_ssd_chunk_double_LDADD = libropewalk_double.a $(test_libs)
test_storage_SOURCES = tests/test_storage.c
test_storage_LDADD = libropewalk.a $(test_libs)
test_tasks_SOURCES = tests/test_tasks.c tests/sequences.h
test_tasks_LDADD = libropewalk.a $(test_libs)
test_tile_product_SOURCES = tests/test_tile_product.c
test_tile_product_LDADD = libropewalk.a $(test_libs)
test_tile_product_double_SOURCES = tests/test_tile_product.c
test_tile_product_double_CPPFLAGS = $(double_cppflags)
test_tile_product_double_LDADD = libropewalk_double.a $(test_libs)
test_growth_SOURCES = tests/test_growth.c $(engine_fixtures)
test_growth_LDADD = libropewalk.a $(test_libs)
test_training_SOURCES = tests/test_training.c $(engine_fixtures)
test_training_LDADD = libropewalk.a $(test_libs)
test_yaml_SOURCES = tests/test_yaml.c tests/yaml_trees.h
test_yaml_LDADD = libropewalk.a $(test_libs)

# MPI tests: PROGRAM_N.np runs PROGRAM on N ranks.
mpi_tests = \
	test_attention \
	test_delays \
	test_exchange \
	test_halo \
	test_layouts \
	test_long_convolution \
	test_precision \
	test_ring \
	test_scan \
	test_shards \
	test_tree \
	test_volumes
mpi_runs = \
	test_attention_1.np test_attention_2.np test_attention_3.np test_attention_4.np \
	test_delays_1.np test_delays_2.np test_delays_3.np test_delays_4.np \
	test_exchange_1.np test_exchange_2.np test_exchange_3.np test_exchange_4.np \
	test_halo_1.np test_halo_2.np test_halo_3.np test_halo_4.np \
	test_layouts_1.np test_layouts_2.np test_layouts_3.np test_layouts_4.np \
	test_long_convolution_1.np test_long_convolution_2.np test_long_convolution_3.np test_long_convolution_4.np \
	test_precision_1.np test_precision_2.np test_precision_4.np \
	test_ring_1.np test_ring_2.np test_ring_3.np test_ring_4.np \
	test_scan_1.np test_scan_2.np test_scan_3.np test_scan_4.np test_scan_7.np \
	test_shards_1.np test_shards_2.np test_shards_3.np test_shards_4.np \
	test_tree_1.np test_tree_2.np test_tree_3.np test_tree_4.np \
	test_volumes_1.np test_volumes_2.np test_volumes_3.np test_volumes_4.np
mpi_fixtures = tests/mpi_testing.c tests/mpi_testing.h

test_delays_SOURCES = tests/test_delays.c $(mpi_fixtures)
test_delays_LDADD = libropewalk.a $(test_libs)
test_halo_SOURCES = tests/test_halo.c $(mpi_fixtures)
test_halo_LDADD = libropewalk.a $(test_libs)
test_attention_SOURCES = tests/test_attention.c $(engine_fixtures) $(mpi_fixtures)
test_attention_LDADD = libropewalk.a $(test_libs)
test_layouts_SOURCES = tests/test_layouts.c $(engine_fixtures) $(mpi_fixtures)
test_layouts_LDADD = libropewalk.a $(test_libs)
test_exchange_SOURCES = tests/test_exchange.c $(mpi_fixtures)
test_exchange_LDADD = libropewalk.a $(test_libs)
test_precision_SOURCES = tests/test_precision.c $(mpi_fixtures)
test_precision_LDADD = libropewalk.a $(test_libs)
test_ring_SOURCES = tests/test_ring.c $(mpi_fixtures)
test_ring_LDADD = libropewalk.a $(test_libs)
test_shards_SOURCES = tests/test_shards.c $(engine_fixtures) $(mpi_fixtures)
test_shards_LDADD = libropewalk.a $(test_libs)
test_long_convolution_SOURCES = tests/test_long_convolution.c $(mpi_fixtures)
test_long_convolution_LDADD = libropewalk.a $(test_libs)
test_scan_SOURCES = tests/test_scan.c tests/chunk_parts.h $(mpi_fixtures)
test_scan_LDADD = libropewalk.a $(test_libs)
test_tree_SOURCES = tests/test_tree.c tests/chunk_parts.h $(mpi_fixtures)
test_tree_LDADD = libropewalk.a $(test_libs)
test_volumes_SOURCES = tests/test_volumes.c $(mpi_fixtures)
test_volumes_LDADD = libropewalk.a $(test_libs)

$(mpi_runs): $(mpi_tests)
	$(AM_V_GEN)touch $@

TEST_EXTENSIONS = .np .sh .replay
# Under make -j, tests of one process run beside each other and beside one that starts ranks.
NP_LOG_COMPILER = $(TAKE_TURNS) $(srcdir)/tests/mpi_runner
SH_LOG_COMPILER = $(TAKE_TURNS)
CLEANFILES += ranks.lock

# Unit tests compute with the BLAS kernels that the program takes; program.sh lets the program
# choose. Waiting threads sleep: ranks share cores. Leaks are looked for by the tests
# themselves (rw_memory_in_use); those of MPI are not ours.
AM_TESTS_ENVIRONMENT = \
	MPIRUN='$(MPIRUN)'; export MPIRUN; \
	OPENBLAS_CORETYPE=`./ropewalk --version 2>/dev/null | sed -n 's/^BLAS kernels: \([^ ]*\).*/\1/p'`; \
	export OPENBLAS_CORETYPE; \
	OMP_WAIT_POLICY=passive; export OMP_WAIT_POLICY; \
	ASAN_OPTIONS=$${ASAN_OPTIONS-detect_leaks=0}; export ASAN_OPTIONS;

# The program as jobs run it. They skip where they cannot run.
script_tests = \
	tests/bad_input.sh \
	tests/batch_script.sh \
	tests/commands.sh \
	tests/config_page.sh \
	tests/continues.sh \
	tests/divergence.sh \
	tests/hosts_layout.sh \
	tests/inference.sh \
	tests/instruction_sets.sh \
	tests/layouts.sh \
	tests/learns_delay.sh \
	tests/learns_mqar.sh \
	tests/learns_text.sh \
	tests/mixer_page.sh \
	tests/peer_models.sh \
	tests/resume.sh \
	tests/run_folder.sh \
	tests/slurm_requeue.sh \
	tests/unlike_ranks.sh

# What tests/instruction_sets.sh starts.
check_PROGRAMS += two_sets no_set
two_sets_SOURCES = src/cli/main.c tests/two_sets.c
no_set_SOURCES = src/cli/main.c tests/two_sets.c
no_set_CPPFLAGS = $(AM_CPPFLAGS) -DNOTHING_RUNS

# What tests/continues.sh and tests/divergence.sh start.
check_PROGRAMS += spoil_checkpoint
spoil_checkpoint_SOURCES = tests/spoil_checkpoint.c
spoil_checkpoint_LDADD = libropewalk.a $(rw_libs)

check_PROGRAMS += $(unit_tests) $(unit_tests_double) $(mpi_tests)
TESTS += $(unit_tests) $(unit_tests_double) $(mpi_runs) $(script_tests)
CLEANFILES += $(mpi_runs)
EXTRA_DIST += $(script_tests) tests/wrong_kernels.c tests/cluster.sh tests/program.sh examples/delay.yaml examples/mqar.yaml tests/make_mamba2_oracle.py tests/data/mamba2_oracle.h5 tests/mpi_runner

# What a build with sanitizers runs: all but what takes long.
tests_fast = $(filter-out $(tests_slow),$(unit_tests) $(unit_tests_double)) $(fuzz_replays) \
	test_attention_3.np \
	test_delays_3.np \
	test_exchange_3.np \
	test_halo_3.np \
	test_layouts_3.np \
	test_long_convolution_4.np \
	test_precision_2.np \
	test_ring_3.np \
	test_scan_3.np \
	test_shards_3.np \
	test_tree_1.np \
	test_tree_3.np \
	test_volumes_3.np
tests_slow = \
	test_forms_double \
	test_checkpoint_faults
# That no file is missing, and the program of several instruction sets.
tests_of_distribution = $(tests_fast) \
	tests/batch_script.sh \
	tests/instruction_sets.sh \
	tests/mixer_page.sh
check-fast:
	RW_TEST_SCOPE=fast $(MAKE) $(AM_MAKEFLAGS) check TESTS='$(tests_fast)'
check-layers:
	$(srcdir)/build-aux/check-layers
check-format:
	$(srcdir)/build-aux/check-format
.PHONY: check-fast check-layers check-format
