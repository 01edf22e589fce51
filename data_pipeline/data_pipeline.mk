# files of data_pipeline; the tasks are in the list task_files
rw_sources += \
	data_pipeline/build_plan.c data_pipeline/build_plan.h \
	data_pipeline/dataset.h \
	data_pipeline/dataset_append.c data_pipeline/dataset_append.h \
	data_pipeline/dataset_build.c \
	data_pipeline/dataset_check.c data_pipeline/dataset_check.h \
	data_pipeline/dataset_draft.c data_pipeline/dataset_draft.h \
	data_pipeline/dataset_fields.c data_pipeline/dataset_fields.h \
	data_pipeline/dataset_file.c data_pipeline/dataset_file.h \
	data_pipeline/dataset_header.c data_pipeline/dataset_header.h \
	data_pipeline/dataset_index.c data_pipeline/dataset_index.h \
	data_pipeline/dataset_output.c data_pipeline/dataset_output.h \
	data_pipeline/dataset_report.c \
	data_pipeline/dataset_twins.c data_pipeline/dataset_twins.h \
	data_pipeline/dataset_writer.c data_pipeline/dataset_writer.h \
	data_pipeline/heldout.c data_pipeline/heldout.h \
	data_pipeline/input_decoder.c data_pipeline/input_decoder.h \
	data_pipeline/input_list.c data_pipeline/input_list.h \
	data_pipeline/input_spool.c data_pipeline/input_spool.h \
	data_pipeline/input_stream.c data_pipeline/input_stream.h \
	data_pipeline/json_text.c data_pipeline/json_text.h \
	data_pipeline/loader.c data_pipeline/loader.h \
	data_pipeline/reader.c data_pipeline/reader.h \
	data_pipeline/reader_fasta.c \
	data_pipeline/reader_jsonl.c \
	data_pipeline/reader_text.c \
	data_pipeline/signature.c data_pipeline/signature.h \
	data_pipeline/source.c data_pipeline/source.h \
	data_pipeline/split_view.c data_pipeline/split_view.h \
	data_pipeline/stream_sampler.c data_pipeline/stream_sampler.h \
	data_pipeline/task.c data_pipeline/task.h \
	data_pipeline/window_sampler.c data_pipeline/window_sampler.h
