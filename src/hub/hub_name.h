/* Names that come from users and from hubs: `org/name[:file or quant]`, and paths of files within a repository, which
 * become paths below a folder of ours and so must not lead out of it. Any thread.
 */
#ifndef LM_HUB_HUB_NAME_H
#define LM_HUB_HUB_NAME_H

#include <stdbool.h>

#include "base/error.h"

enum { LM_HUB_REPO_BYTES = 200, LM_HUB_PICK_BYTES = 256, LM_HUB_PATH_MAX_BYTES = 512 };

typedef struct lm_hub_name {
    char repo[LM_HUB_REPO_BYTES]; /* "org/name" */
    char pick[LM_HUB_PICK_BYTES]; /* a file of it, or a quant such as "Q4_K_M"; "": the default */
} lm_hub_name;

/* LOAM_INVALID when the text is no such name. */
loam_status lm_hub_name_parse(const char *text, lm_hub_name *out, loam_error *err) LM_MUST_USE;

/* Whether a path that a hub gave stays within the folder it is put in: relative, without "." and ".." and empty parts,
 * backslashes or control characters, and not in ".loam", which is the store's own. */
bool lm_hub_path_is_safe(const char *path);

#endif
