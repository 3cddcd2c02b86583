/* API keys. A key gives at most what its maker has. */
#include <stdio.h>

#include "base/clock.h"
#include "cloud/cloud.h"
#include "cloud/key_maker.h"
#include "cloud/table/member.h"
#include "cloud/table/project.h"

#define COUNT_MAX INT64_C(9007199254740991)

static const lm_field key_fields[] = {
    {.name = "id", .type = LM_FIELD_STRING, .required = true, .id_prefix = "key"},
    {.name = "project_id", .type = LM_FIELD_STRING, .required = true, .id_prefix = "prj"},
    {.name = "member_id",
     .type = LM_FIELD_STRING,
     .required = true,
     .nullable = true,
     .id_prefix = "mem"},
    {.name = "name", .type = LM_FIELD_STRING, .required = true, .min = 1, .max = 64},
    {.name = "role", .type = LM_FIELD_STRING, .required = true, .choices = lm_role_names},
    {.name = "scopes",
     .type = LM_FIELD_ARRAY,
     .required = true,
     .items = LM_FIELD_STRING,
     .choices = lm_scope_names},
    {.name = "created_ms", .type = LM_FIELD_INTEGER, .required = true},
    {.name = "expires_ms", .type = LM_FIELD_INTEGER, .required = true, .nullable = true},
    {.name = "revoked_ms", .type = LM_FIELD_INTEGER, .required = true, .nullable = true},
    {.name = "token_budget", .type = LM_FIELD_INTEGER, .required = true, .nullable = true},
    {.name = "money_budget_micros", .type = LM_FIELD_INTEGER, .required = true, .nullable = true},
    {.name = "requests_per_minute", .type = LM_FIELD_INTEGER, .required = true, .nullable = true},
    {.name = "tokens_used", .type = LM_FIELD_INTEGER, .required = true},
    {.name = "money_used_micros", .type = LM_FIELD_INTEGER, .required = true},
    {.name = "secret", .type = LM_FIELD_STRING, .help = "only in the answer that made the key"},
};
static const lm_schema key_schema = LM_SCHEMA("Key", key_fields);

static const lm_field new_key_fields[] = {
    {.name = "name", .type = LM_FIELD_STRING, .required = true, .min = 1, .max = 64},
    {.name = "role",
     .type = LM_FIELD_STRING,
     .choices = lm_role_names,
     .help = "developer if not given"},
    {.name = "scopes",
     .type = LM_FIELD_ARRAY,
     .min = 1,
     .max = 16,
     .items = LM_FIELD_STRING,
     .choices = lm_scope_names,
     .help = "all that the role allows, without operator, if not given"},
    {.name = "member_id",
     .type = LM_FIELD_STRING,
     .nullable = true,
     .id_prefix = "mem",
     .help = "whose key this is; their role bounds it"},
    {.name = "expires_ms", .type = LM_FIELD_INTEGER, .nullable = true, .min = 1, .max = COUNT_MAX},
    {.name = "token_budget",
     .type = LM_FIELD_INTEGER,
     .nullable = true,
     .min = 1,
     .max = COUNT_MAX},
    {.name = "money_budget_micros",
     .type = LM_FIELD_INTEGER,
     .nullable = true,
     .min = 1,
     .max = COUNT_MAX},
    {.name = "requests_per_minute",
     .type = LM_FIELD_INTEGER,
     .nullable = true,
     .min = 1,
     .max = 1000000},
};
static const lm_schema new_key_schema = LM_SCHEMA("NewKey", new_key_fields);

static json_t *key_json(lm_api_ctx *ctx, const lm_key *key) {
    int64_t tokens = 0, micros = 0;
    lm_keyring_spent(ctx->cloud->keyring, key->id, &tokens, &micros);
    json_t *object = lm_table_json(&lm_key_table, key);
    if (object) {
        json_object_set_new(object, "scopes", lm_scopes_json((unsigned)key->scopes));
        json_object_set_new(object, "tokens_used", json_integer(tokens));
        json_object_set_new(object, "money_used_micros", json_integer(micros));
    }
    return object;
}

static loam_status list_keys(lm_api_ctx *ctx, loam_error *err) {
    lm_page page = lm_api_page(ctx);
    lm_list list;
    const char *next;
    LM_TRY(lm_key_page(ctx->db, ctx->caller.project_id, &page, ctx->arena, &list, &next, err));
    json_t *data = json_array();
    for (size_t i = 0; i < list.len; i++)
        json_array_append_new(data, key_json(ctx, lm_list_at(&list, i)));
    return lm_api_reply_list(ctx, data, next, err);
}

/* Scopes the new key gets: what was asked for, within the role and what the maker has. */
static loam_status choose_scopes(lm_api_ctx *ctx, lm_key *key, loam_error *err) {
    lm_role role = LM_ROLE_DEVELOPER;
    if (!lm_role_parse(key->role, &role))
        return lm_error_set(err, LOAM_INVALID, "body.role: unknown");
    const json_t *asked = json_object_get(ctx->body, "scopes");
    key->scopes = asked ? lm_scopes_parse(asked) : lm_role_scopes(role) & ~LM_SCOPE_OPERATOR;
    unsigned beyond_role = (unsigned)key->scopes & ~lm_role_scopes(role);
    for (int i = 0; lm_scope_names[i]; i++) {
        if (beyond_role & 1u << i)
            return lm_error_set(err, LOAM_INVALID, "body.scopes: the role %s does not allow '%s'",
                                key->role, lm_scope_names[i]);
    }
    unsigned may_give =
        ctx->caller.scopes | (lm_role_scopes(ctx->caller.role) & ~LM_SCOPE_OPERATOR);
    if ((unsigned)key->scopes & ~may_give)
        return lm_error_set(err, LOAM_DENIED, "a key cannot give scopes that its maker lacks");
    return LOAM_OK;
}

static loam_status check_surroundings(lm_api_ctx *ctx, const lm_key *key, loam_error *err) {
    lm_project project;
    LM_TRY(lm_project_find(ctx->db, key->project_id, ctx->arena, &project, err));
    if ((key->scopes & LM_SCOPE_OPERATOR) && !project.is_operator)
        return lm_error_set(err, LOAM_DENIED,
                            "only keys of the operator's project can have the scope 'operator'");
    lm_member member;
    return key->member_id[0]
               ? lm_member_find(ctx->db, key->project_id, key->member_id, ctx->arena, &member, err)
               : LOAM_OK;
}

static loam_status create_key(lm_api_ctx *ctx, loam_error *err) {
    lm_key key = {
        .name = lm_api_str(ctx->body, "name", ""),
        .role = lm_api_str(ctx->body, "role", lm_role_names[LM_ROLE_DEVELOPER]),
        .expires_ms = lm_api_i64(ctx->body, "expires_ms", 0),
        .token_budget = lm_api_i64(ctx->body, "token_budget", 0),
        .money_budget_micros = lm_api_i64(ctx->body, "money_budget_micros", 0),
        .requests_per_minute = lm_api_i64(ctx->body, "requests_per_minute", 0),
    };
    memcpy(key.project_id, ctx->caller.project_id, sizeof key.project_id);
    snprintf(key.member_id, sizeof key.member_id, "%s", lm_api_str(ctx->body, "member_id", ""));
    LM_TRY(choose_scopes(ctx, &key, err));
    LM_TRY(check_surroundings(ctx, &key, err));
    char secret[LM_SECRET_BYTES];
    LM_TRY(lm_key_make(ctx->cloud, ctx->db, &key, secret, err));
    json_t *object = key_json(ctx, &key);
    loam_status status = lm_api_event(ctx, "key.create", key.id, NULL, object, err);
    if (status == LOAM_OK) status = lm_key_published(ctx, key.id, err);
    if (status != LOAM_OK) {
        json_decref(object);
        return status;
    }
    json_object_set_new(object, "secret", json_string(secret));
    return lm_api_reply(ctx, object, err);
}

static loam_status get_key(lm_api_ctx *ctx, loam_error *err) {
    lm_key key;
    LM_TRY(lm_key_find(ctx->db, ctx->caller.project_id, ctx->params[0], ctx->arena, &key, err));
    return lm_api_reply(ctx, key_json(ctx, &key), err);
}

/* Revoking again changes nothing. */
static loam_status revoke_key(lm_api_ctx *ctx, loam_error *err) {
    lm_key key;
    LM_TRY(lm_key_find(ctx->db, ctx->caller.project_id, ctx->params[0], ctx->arena, &key, err));
    if (key.revoked_ms) return LOAM_OK;
    key.revoked_ms = lm_clock_epoch_ms();
    LM_TRY(lm_table_update(ctx->db, &lm_key_table, &key, err));
    json_t *after = json_pack("{s:I}", "revoked_ms", (json_int_t)key.revoked_ms);
    loam_status status = lm_api_event(ctx, "key.revoke", key.id, NULL, after, err);
    json_decref(after);
    return status == LOAM_OK ? lm_key_published(ctx, key.id, err) : status;
}

static const lm_api_endpoint rows[] = {
    {.method = "GET",
     .path = "/keys",
     .scope = LM_SCOPE_ADMIN,
     .reply = &key_schema,
     .shape = LM_API_LIST,
     .summary = "List the project's API keys",
     .handler = list_keys},
    {.method = "POST",
     .path = "/keys",
     .scope = LM_SCOPE_ADMIN,
     .request = &new_key_schema,
     .reply = &key_schema,
     .http_status = 201,
     .summary = "Make an API key; its secret is shown this once",
     .handler = create_key},
    {.method = "GET",
     .path = "/keys/{id}",
     .scope = LM_SCOPE_ADMIN,
     .id_prefix = "key",
     .reply = &key_schema,
     .summary = "Show an API key",
     .handler = get_key},
    {.method = "DELETE",
     .path = "/keys/{id}",
     .scope = LM_SCOPE_ADMIN,
     .id_prefix = "key",
     .shape = LM_API_EMPTY,
     .summary = "Revoke an API key",
     .handler = revoke_key},
};
const lm_api_table lm_api_keys = LM_API_TABLE(rows);
