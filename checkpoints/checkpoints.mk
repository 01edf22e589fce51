# files of checkpoints
