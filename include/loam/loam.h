/* libloam: run a language model from C.
 *
 *     loam_model *model;
 *     loam_session *session;
 *     loam_error err;
 *     if (loam_model_open("model.gguf", NULL, &model, &err)) return fail(&err);
 *     if (loam_session_new(model, NULL, &session, &err)) return fail(&err);
 *     loam_generate_options options = LOAM_GENERATE_DEFAULTS;
 *     if (loam_generate(session, "Once upon a time", &options, print, NULL, NULL, &err)) return fail(&err);
 *
 * A model is immutable and shared by its sessions; a session is one sequence of tokens with its keys and values.
 * Calls on a model and its sessions must come one at a time (from any threads); open the file twice to compute at the
 * same time. Results do not depend on the number of threads. Errors: see loam/status.h. Text is UTF-8; bytes that are
 * not are kept. Option structs may be NULL for the defaults, and grow at the end in later versions: zero what you do
 * not set.
 */
#ifndef LOAM_LOAM_H
#define LOAM_LOAM_H

#include <stddef.h>
#include <stdint.h>

#include "loam/status.h"

#ifdef __cplusplus
extern "C" {
#endif

LOAM_API const char *loam_version(void); /* "0.1.0" */

/* --- Models. */

typedef struct loam_model loam_model;

typedef struct loam_model_options {
    int n_threads;     /* 0: one per usable CPU */
    int check_weights; /* not 0: refuse NaN and infinite weights, which reads the whole file */
} loam_model_options;

typedef struct loam_model_info {
    const char *name;         /* of the file or folder; lives as long as the model */
    const char *architecture; /* "llama" */
    int64_t n_params;
    int64_t n_vocab;
    int64_t n_layers;
    int64_t context; /* longest sequence */
    size_t weight_bytes;
} loam_model_info;

/* path: a GGUF file or a Hugging Face folder. The files stay mapped until close. */
LOAM_API loam_status loam_model_open(const char *path, const loam_model_options *options,
                                     loam_model **out, loam_error *err);
LOAM_API void loam_model_close(loam_model *model); /* after its sessions; NULL is fine */
LOAM_API loam_model_info loam_model_describe(const loam_model *model);

/* --- Tokens. */

typedef enum loam_tokenize_flags {
    LOAM_ADD_BOS = 1, /* the token that begins a text in front, if the model was trained with one */
    LOAM_PARSE_SPECIAL =
        2, /* control tokens spelled in the text become their ids: not for text of strangers */
} loam_tokenize_flags;

/* Writes at most `capacity` ids of the text's `len` bytes, and to *out_n how many there are in all. */
LOAM_API loam_status loam_tokenize(const loam_model *model, const char *text, size_t len,
                                   unsigned flags, int32_t *out_tokens, size_t capacity,
                                   size_t *out_n, loam_error *err);

/* The text of n tokens: at most `capacity` bytes, not terminated, and to *out_len how many there are in all. */
LOAM_API loam_status loam_detokenize(const loam_model *model, const int32_t *tokens, size_t n,
                                     char *out_text, size_t capacity, size_t *out_len,
                                     loam_error *err);

/* Whether text ends at this token. */
LOAM_API int loam_is_end(const loam_model *model, int32_t token);

/* --- Sessions. */

typedef struct loam_session loam_session;

/* I8: codes of eight bits with a scale for each token and head; half the memory of the sixteen-bit types. */
/* I16 and I8: integers with a scale for each token and head, of an even head dimension. */
typedef enum loam_kv_type {
    LOAM_KV_I16,
    LOAM_KV_F16,
    LOAM_KV_BF16,
    LOAM_KV_F32,
    LOAM_KV_I8
} loam_kv_type;

typedef struct loam_session_options {
    int64_t context;      /* tokens to have room for; 0: the model's context */
    loam_kv_type kv_type; /* how keys and values are kept */
} loam_session_options;

LOAM_API loam_status loam_session_new(loam_model *model, const loam_session_options *options,
                                      loam_session **out, loam_error *err);
LOAM_API void loam_session_free(loam_session *session); /* NULL is fine */

LOAM_API int64_t loam_session_length(const loam_session *session); /* tokens so far */
/* Forgets all behind the first n_tokens. A model with recurrent layers, which keep what all tokens came to and not each of them,
 * forgets the others too: loam_session_length is 0 then. */
LOAM_API void loam_session_truncate(loam_session *session, int64_t n_tokens);

/* Appends tokens. *out_logits (may be NULL) becomes the model's logits [n_vocab] for what follows the last of them,
 * valid until the session's next call. LOAM_LIMIT: they do not fit, and the session is as before. After other errors, too, or as
 * loam_session_truncate leaves it. */
LOAM_API loam_status loam_session_append(loam_session *session, const int32_t *tokens, size_t n,
                                         const float **out_logits, loam_error *err);

/* --- Generation. */

typedef struct loam_generate_options {
    float temperature;                         /* 0: always the likeliest token */
    int64_t top_k;                             /* 0: off */
    float top_p;                               /* 1: off */
    float min_p;                               /* 0: off */
    float repetition_penalty;                  /* 1: off */
    float frequency_penalty, presence_penalty; /* 0: off */
    uint64_t seed;
    int64_t max_tokens; /* 0: until the context is full */
    int ignore_end;     /* not 0: go on where the model ends the text */
} loam_generate_options;

#define LOAM_GENERATE_DEFAULTS \
    { 1.0f, 0, 1.0f, 0.0f, 1.0f, 0.0f, 0.0f, 0, 256, 0 }

typedef struct loam_generate_result {
    int64_t n_prompt, n_generated; /* tokens */
    const char *finish_reason;     /* "stop", "length" or "cancelled"; static storage */
} loam_generate_result;

/* Gets the answer piece by piece, in whole characters; anything but 0 ends the generation. */
typedef int loam_text_fn(void *ctx, const char *text, size_t len);

/* Completes a prompt in a sequence of its own; what was appended to the session stays as it is but takes room. An
 * empty prompt begins a text. result may be NULL. */
LOAM_API loam_status loam_generate(loam_session *session, const char *prompt,
                                   const loam_generate_options *options, loam_text_fn *fn,
                                   void *ctx, loam_generate_result *result, loam_error *err);

#ifdef __cplusplus
}
#endif
#endif
