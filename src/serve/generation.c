#include "serve/generation.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/mem.h"

static loam_status copy_stops(lm_generation *generation, const lm_generation_options *options,
                              loam_error *err) {
    generation->stops = lm_calloc(options->n_stops + 1, sizeof(lm_str));
    if (!generation->stops) return lm_error_no_memory(err, options->n_stops * sizeof(lm_str));
    for (size_t i = 0; i < options->n_stops; i++) {
        char *copy = lm_alloc(options->stops[i].len);
        if (!copy) return lm_error_no_memory(err, options->stops[i].len);
        memcpy(copy, options->stops[i].ptr, options->stops[i].len);
        generation->stops[i] = (lm_str){copy, options->stops[i].len};
        generation->n_stops++;
    }
    return LOAM_OK;
}

static loam_status make_choices(lm_generation *generation, const lm_engine_model *model,
                                const lm_generation_options *options, loam_error *err) {
    size_t n = options->n_prompts * (size_t)options->n;
    generation->choices = lm_calloc(n, sizeof(lm_choice));
    if (!generation->choices) return lm_error_no_memory(err, n * sizeof(lm_choice));
    for (size_t i = 0; i < n; i++) {
        const lm_generation_prompt *prompt = &options->prompts[i / (size_t)options->n];
        int64_t room = model->max_context - prompt->n_tokens;
        LM_ASSERT(prompt->n_tokens > 0 && room > 0);
        lm_sampler_options sampling = options->sampling;
        sampling.seed += i;
        lm_choice_options choice_options = {
            .prompt = prompt->tokens,
            .n_prompt = prompt->n_tokens,
            .max_tokens = options->max_tokens < room ? options->max_tokens : room,
            .ignore_end = options->ignore_end,
            .extra_end = options->extra_end,
            .at_start = options->at_start,
            .stop = {generation->stops, generation->n_stops},
            .sampling = &sampling,
        };
        generation->n_choices++;
        lm_choice *choice = &generation->choices[i];
        LM_TRY(lm_choice_init(choice, model, &choice_options, err));
        choice->generation = generation;
        choice->index = (int)i;
        choice->source =
            i % (size_t)options->n ? &generation->choices[i - i % (size_t)options->n] : NULL;
    }
    generation->n_left = n;
    return LOAM_OK;
}

static void fill_record(lm_generation *generation, const lm_generation_options *options) {
    lm_usage_record *record = &generation->record;
    record->start_ms = lm_clock_epoch_ms();
    snprintf(record->request_id, sizeof record->request_id, "%s",
             options->request_id ? options->request_id : "");
    snprintf(record->tag, sizeof record->tag, "%s", options->tag ? options->tag : "");
}

loam_status lm_generation_new(const lm_engine_model *model, const lm_generation_options *options,
                              lm_generation **out, loam_error *err) {
    lm_generation *generation = lm_calloc(1, sizeof *generation);
    if (!generation) return lm_error_no_memory(err, sizeof *generation);
    generation->journal_slot = -1;
    generation->on_event = options->on_event;
    generation->arg = options->arg;
    fill_record(generation, options);
    loam_status status = copy_stops(generation, options, err);
    if (status == LOAM_OK) status = make_choices(generation, model, options, err);
    if (status != LOAM_OK) {
        lm_generation_free(generation);
        return status;
    }
    *out = generation;
    return LOAM_OK;
}

void lm_generation_free(lm_generation *generation) {
    if (!generation) return;
    for (size_t i = 0; i < generation->n_choices; i++) lm_choice_deinit(&generation->choices[i]);
    for (size_t i = 0; i < generation->n_stops; i++) lm_free((void *)generation->stops[i].ptr);
    lm_free(generation->choices);
    lm_free(generation->stops);
    lm_free(generation);
}
