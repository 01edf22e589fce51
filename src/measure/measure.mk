rw_sources += \
	src/measure/bench_json.c \
	src/measure/bench_record.c src/measure/bench_record.h \
	src/measure/bench_run.c src/measure/bench_run.h \
	src/measure/bench_table.c \
	src/measure/invariance.c src/measure/invariance.h \
	src/measure/limits.c src/measure/limits.h \
	src/measure/model_speed.c src/measure/model_speed.h \
	src/measure/op_rig.c src/measure/op_rig.h \
	src/measure/op_speed.c src/measure/op_speed.h \
	src/measure/op_uses.c src/measure/op_uses.h \
	src/measure/primitive_speed.c src/measure/primitive_speed.h \
	src/measure/primitives.c src/measure/primitives.h \
	src/measure/roofline.c src/measure/roofline.h \
	src/measure/rounds.c src/measure/rounds.h \
	src/measure/scaling.c src/measure/scaling.h \
	src/measure/scan_cost.c src/measure/scan_cost.h \
	src/measure/step_models.c src/measure/step_models.h \
	src/measure/trainee.c src/measure/trainee.h
