# files of data_pipeline
