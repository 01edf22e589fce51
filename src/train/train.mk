rw_sources += \
	src/train/dataset_place.c src/train/dataset_place.h \
	src/train/divergence.c \
	src/train/evaluation.c src/train/evaluation.h \
	src/train/generation.c src/train/generation.h \
	src/train/initial_weights.c \
	src/train/layout_notes.c src/train/layout_notes.h \
	src/train/launcher_grace.c src/train/launcher_grace.h \
	src/train/metrics_line.c \
	src/train/run_claim.c \
	src/train/precision_choice.c \
	src/train/precision_trial.c src/train/precision_trial.h \
	src/train/prompt.c src/train/prompt.h \
	src/train/resume.c \
	src/train/run_folder.c src/train/run_folder.h \
	src/train/saved_carry.c src/train/saved_carry.h \
	src/train/saved_model.c src/train/saved_model.h \
	src/train/saving.c \
	src/train/settings.c src/train/settings.h \
	src/train/shape_check.c src/train/shape_check.h \
	src/train/settings_changes.c src/train/settings_changes.h \
	src/train/state.c src/train/state.h \
	src/train/stop_signal.c src/train/stop_signal.h \
	src/train/token_choice.c src/train/token_choice.h \
	src/train/token_meaning.c src/train/token_meaning.h \
	src/train/trainer.c src/train/trainer.h src/train/training.h
