/* Chat templates: the Jinja language as transformers configures it (an immutable sandbox with trim_blocks and
 * lstrip_blocks, loop controls and generation blocks), with Python's semantics wherever a template can see them.
 *
 * A template is compiled once and rendered many times. A compiled template is immutable: any number of threads may
 * render it at once. Rendering is bounded in steps, memory, output and depth, so that a template from anywhere may be run.
 * Integers have 64 bits: what does not fit is an error, as is everything that Python would raise.
 * Source: Jinja 3.1's documentation of templates; transformers' documentation of chat templates.
 */
#ifndef LM_MODEL_JINJA_JINJA_H
#define LM_MODEL_JINJA_JINJA_H

#include <jansson.h>

#include "base/str.h"

typedef struct lm_jinja lm_jinja;

/* Longest source that is compiled, in bytes; more is LOAM_LIMIT. */
enum { LM_JINJA_MAX_SOURCE_BYTES = 1 << 20 };

/* What one rendering may take; 0 stands for the default. Reaching one is LOAM_LIMIT. */
typedef struct lm_jinja_limits {
    int64_t
        max_steps; /* nodes evaluated, items and stretches of text worked on; default 50 million */
    size_t max_memory_bytes; /* of values; default 256 MiB */
    size_t max_output_bytes; /* default 64 MiB */
} lm_jinja_limits;

typedef struct lm_jinja_options {
    const json_t *variables; /* object: what the template may name; NULL: nothing. Borrowed. */
    lm_jinja_limits limits;
    int64_t now_epoch_s; /* for strftime_now, shown in the local time zone; 0: now */
} lm_jinja_options;

/* The source is copied. LOAM_INVALID with the line for a template that Jinja would refuse. */
loam_status lm_jinja_compile(lm_str source, lm_jinja **out, loam_error *err) LM_MUST_USE;
void lm_jinja_free(lm_jinja *jinja); /* NULL is fine */

/* Appends what the template gives. LOAM_INVALID with the line and, if the template itself raised it, its words.
 * On failure *out is as before. Any thread. */
loam_status lm_jinja_render(const lm_jinja *jinja, const lm_jinja_options *options, lm_buf *out,
                            loam_error *err) LM_MUST_USE;

/* The source, with its line ends as Jinja reads them. */
lm_str lm_jinja_source(const lm_jinja *jinja);

/* Whether some part of the template takes the variable of this name from what it is given. */
bool lm_jinja_reads(const lm_jinja *jinja, lm_str name);

#endif
