# files of jobs
