#include "serve/choice.h"

#include "base/mem.h"

loam_status lm_choice_init(lm_choice *choice, const lm_engine_model *model,
                           const lm_choice_options *options, loam_error *err) {
    *choice = (lm_choice){
        .seq = -1,
        .n_prompt = options->n_prompt,
        .max_tokens = options->max_tokens,
        .ignore_end = options->ignore_end,
        .extra_end = options->extra_end,
        .logprobs = options->sampling->logprobs,
    };
    model->ops->detokenize_begin(model, &choice->detokenizer, options->at_start);
    lm_stop_matcher_init(&choice->stop, options->stop);
    size_t most =
        (size_t)(options->n_prompt + options->max_tokens); /* now, so that no step allocates */
    if (!lm_vec_reserve(&choice->tokens, most))
        return lm_error_no_memory(err, most * sizeof(int32_t));
    memcpy(choice->tokens.ptr, options->prompt, (size_t)options->n_prompt * sizeof(int32_t));
    choice->tokens.len = (size_t)options->n_prompt;
    choice->sched.n_tokens = options->n_prompt;
    LM_TRY(lm_sampler_new(options->sampling, model->n_vocab, &choice->sampler, err));
    lm_sampler_accept_prompt(choice->sampler, options->prompt, options->n_prompt);
    return LOAM_OK;
}

void lm_choice_deinit(lm_choice *choice) {
    lm_sampler_free(choice->sampler);
    lm_stop_matcher_deinit(&choice->stop);
    lm_vec_deinit(&choice->tokens);
    lm_vec_deinit(&choice->held);
    choice->sampler = NULL;
}

/* Gives out the held samples whose text has been sent, at least in part; all of them at a natural end. */
static loam_status release_samples(lm_choice *choice, lm_sample_vec *out, bool all,
                                   loam_error *err) {
    size_t n = 0;
    for (; n < choice->held.len && (all || choice->held.ptr[n].text_begin < choice->n_sent); n++)
        if (!lm_vec_push(out, choice->held.ptr[n].sample))
            return lm_error_no_memory(err, sizeof(lm_sample));
    if (n)
        memmove(choice->held.ptr, choice->held.ptr + n,
                (choice->held.len - n) * sizeof *choice->held.ptr);
    choice->held.len -= n;
    return LOAM_OK;
}

/* Sends the text in scratch on its way; a stop string in it ends the choice. */
static void push_text(lm_choice *choice, const lm_buf *scratch, lm_buf *out) {
    choice->n_text += scratch->len;
    if (lm_stop_matcher_push(&choice->stop, lm_buf_view(scratch), out))
        choice->finish = LM_FINISH_STOP;
}

/* The text is over: what detokenizer and matcher still hold goes out, unless it completes a stop string after all. */
static void flush_text(lm_choice *choice, const lm_engine_model *model, lm_buf *scratch,
                       lm_buf *out) {
    lm_buf_reset(scratch);
    model->ops->detokenize_flush(model, &choice->detokenizer, scratch);
    choice->n_text += scratch->len;
    if (!lm_stop_matcher_push(&choice->stop, lm_buf_view(scratch), out))
        lm_stop_matcher_flush(&choice->stop, out);
}

static loam_status take_token(lm_choice *choice, const lm_engine_model *model,
                              const lm_sample *sample, lm_buf *scratch, lm_choice_output output,
                              loam_error *err) {
    lm_held_sample held = {*sample, choice->n_text};
    if (!lm_vec_push(&choice->tokens, sample->token))
        return lm_error_no_memory(err, sizeof sample->token);
    if (choice->logprobs && !lm_vec_push(&choice->held, held))
        return lm_error_no_memory(err, sizeof held);
    choice->n_generated++;
    choice->sched.n_tokens++;
    lm_buf_reset(scratch);
    model->ops->detokenize(model, &choice->detokenizer, sample->token, scratch);
    push_text(choice, scratch, output.text);
    if (choice->finish == LM_FINISH_NONE && choice->n_generated >= choice->max_tokens)
        choice->finish = LM_FINISH_LENGTH;
    return LOAM_OK;
}

loam_status lm_choice_accept(lm_choice *choice, const lm_engine_model *model,
                             const lm_sample *sample, lm_buf *scratch, lm_choice_output output,
                             loam_error *err) {
    size_t sent_before = output.text->len;
    bool is_end = sample->token == choice->extra_end || model->ops->is_end(model, sample->token);
    bool natural_end = is_end && !choice->ignore_end;
    if (natural_end)
        choice->finish = LM_FINISH_STOP;
    else
        LM_TRY(take_token(choice, model, sample, scratch, output, err));
    natural_end = natural_end || choice->finish == LM_FINISH_LENGTH;
    if (natural_end) flush_text(choice, model, scratch, output.text);
    choice->n_sent += output.text->len - sent_before;
    LM_TRY(lm_buf_status(scratch, err));
    LM_TRY(lm_buf_status(output.text, err));
    return release_samples(choice, output.samples, natural_end, err);
}

const char *lm_finish_name(lm_finish finish) {
    return finish == LM_FINISH_STOP ? "stop" : finish == LM_FINISH_LENGTH ? "length" : NULL;
}
