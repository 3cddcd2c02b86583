/* Roles, scopes, and who is calling. Any thread.
 *
 * A key carries scopes; its role bounds them, and so does the role of the member it belongs to, if any. The operator scope
 * reaches beyond a project (projects, prices, pools); only keys of the operator's project, made at first start, can have it.
 */
#ifndef LM_CLOUD_AUTH_H
#define LM_CLOUD_AUTH_H

#include <jansson.h>

#include "cloud/id.h"

typedef enum lm_scope {
    LM_SCOPE_NONE = 0,           /* endpoint is open to everybody */
    LM_SCOPE_INFERENCE = 1 << 0, /* the OpenAI API under /v1 */
    LM_SCOPE_READ = 1 << 1,      /* see the project's things */
    LM_SCOPE_WRITE = 1 << 2,     /* make, change and delete models, datasets, jobs, endpoints */
    LM_SCOPE_BILLING = 1 << 3,   /* see usage, prices and invoices */
    LM_SCOPE_ADMIN = 1 << 4,     /* members and keys of the project */
    LM_SCOPE_OPERATOR = 1 << 5,  /* the whole cloud */
} lm_scope;

enum {
    LM_SCOPES_ALL = 0x3f,
    LM_SCOPE_ANY = LM_SCOPES_ALL /* of an endpoint: every valid key will do */
};

typedef enum lm_role { LM_ROLE_VIEWER, LM_ROLE_DEVELOPER, LM_ROLE_ADMIN } lm_role;

/* Names for schemas, NULL-terminated. */
extern const char *const lm_scope_names[];
extern const char *const lm_role_names[];

bool lm_role_parse(const char *name, lm_role *out);
unsigned lm_role_scopes(lm_role role); /* the most a role allows */
const char *lm_scope_name(lm_scope scope);
json_t *lm_scopes_json(unsigned scopes) __attribute__((warn_unused_result)); /* array of names */
unsigned lm_scopes_parse(const json_t *names); /* names the schema has checked */

/* Whom a request's key speaks for. */
typedef struct lm_caller {
    char key_id[LM_ID_BYTES];
    char project_id[LM_ID_BYTES];
    lm_role role;
    unsigned scopes; /* effective */
} lm_caller;

#endif
