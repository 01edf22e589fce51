rw_sources += \
	src/model/carry_exchange.c src/model/carry_exchange.h \
	src/model/chunk_call.c src/model/chunk_call.h \
	src/model/chunk_pass.c src/model/chunk_pass.h \
	src/model/engine.c src/model/engine.h \
	src/model/global_run.c src/model/global_run.h \
	src/model/gradient_sum.c src/model/gradient_sum.h \
	src/model/liveness.c src/model/liveness.h \
	src/model/model.c src/model/model.h \
	src/model/model_settings.c src/model/model_settings.h \
	src/model/ordered_run.c src/model/ordered_run.h \
	src/model/past_rows.c src/model/past_rows.h \
	src/model/pass.c src/model/pass.h \
	src/model/plan.c src/model/plan.h \
	src/model/plan_build.c \
	src/model/plan_memory.c src/model/plan_memory.h \
	src/model/plan_scratch.c src/model/plan_scratch.h \
	src/model/progress.c src/model/progress.h \
	src/model/recurrent.c src/model/recurrent.h \
	src/model/reference.c src/model/reference.h \
	src/model/step.c \
	src/model/step_carry.c src/model/step_carry.h
