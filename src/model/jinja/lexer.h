/* A template's text as tokens, with white space around tags already taken away. */
#ifndef LM_MODEL_JINJA_LEXER_H
#define LM_MODEL_JINJA_LEXER_H

#include "base/vec.h"
#include "model/jinja/ast.h"

typedef enum lm_jtoken_kind {
    LM_JT_DATA,
    LM_JT_VARIABLE_BEGIN,
    LM_JT_VARIABLE_END,
    LM_JT_BLOCK_BEGIN,
    LM_JT_BLOCK_END,
    LM_JT_NAME,
    LM_JT_STRING,
    LM_JT_INTEGER,
    LM_JT_FLOAT,
    LM_JT_OPERATOR, /* text says which */
    LM_JT_END,
} lm_jtoken_kind;

typedef struct lm_jtoken {
    lm_jtoken_kind kind;
    int line;
    lm_str text; /* strings: unescaped */
    union {
        int64_t integer;
        double real;
    } u;
} lm_jtoken;

typedef LM_VEC(lm_jtoken) lm_jtokens;

/* Texts live in the template's arena. Ends with LM_JT_END. The caller frees the vector. */
loam_status lm_jinja_tokenize(lm_jinja *jinja, lm_jtokens *out, loam_error *err) LM_MUST_USE;

#endif
