/* Projects and their members. */
#include <stdio.h>

#include "base/clock.h"
#include "cloud/cloud.h"
#include "cloud/key_maker.h"
#include "cloud/table/key.h"
#include "cloud/table/member.h"
#include "cloud/table/project.h"

static const lm_field project_fields[] = {
    {.name = "id", .type = LM_FIELD_STRING, .required = true, .id_prefix = "prj"},
    {.name = "name", .type = LM_FIELD_STRING, .required = true, .min = 1, .max = 64},
    {.name = "is_operator",
     .type = LM_FIELD_BOOLEAN,
     .required = true,
     .help = "the operator's own project"},
    {.name = "archived",
     .type = LM_FIELD_BOOLEAN,
     .required = true,
     .help = "its keys are refused"},
    {.name = "created_ms", .type = LM_FIELD_INTEGER, .required = true},
};
static const lm_schema project_schema = LM_SCHEMA("Project", project_fields);

static const lm_field new_project_fields[] = {
    {.name = "name", .type = LM_FIELD_STRING, .required = true, .min = 1, .max = 64},
};
static const lm_schema new_project_schema = LM_SCHEMA("NewProject", new_project_fields);

static const lm_field made_project_fields[] = {
    {.name = "project", .type = LM_FIELD_OBJECT, .required = true, .schema = &project_schema},
    {.name = "secret",
     .type = LM_FIELD_STRING,
     .required = true,
     .help = "its first admin key, shown this once"},
};
static const lm_schema made_project_schema = LM_SCHEMA("MadeProject", made_project_fields);

static const lm_field project_change_fields[] = {
    {.name = "name", .type = LM_FIELD_STRING, .min = 1, .max = 64},
    {.name = "archived", .type = LM_FIELD_BOOLEAN},
};
static const lm_schema project_change_schema = LM_SCHEMA("ProjectChange", project_change_fields);

static const lm_field member_fields[] = {
    {.name = "id", .type = LM_FIELD_STRING, .required = true, .id_prefix = "mem"},
    {.name = "project_id", .type = LM_FIELD_STRING, .required = true, .id_prefix = "prj"},
    {.name = "name", .type = LM_FIELD_STRING, .required = true, .min = 1, .max = 128},
    {.name = "role", .type = LM_FIELD_STRING, .required = true, .choices = lm_role_names},
    {.name = "created_ms", .type = LM_FIELD_INTEGER, .required = true},
};
static const lm_schema member_schema = LM_SCHEMA("Member", member_fields);

static const lm_field new_member_fields[] = {
    {.name = "name",
     .type = LM_FIELD_STRING,
     .required = true,
     .min = 1,
     .max = 128,
     .help = "a name or mail address"},
    {.name = "role", .type = LM_FIELD_STRING, .required = true, .choices = lm_role_names},
};
static const lm_schema new_member_schema = LM_SCHEMA("NewMember", new_member_fields);

static const lm_field member_change_fields[] = {
    {.name = "role", .type = LM_FIELD_STRING, .required = true, .choices = lm_role_names},
};
static const lm_schema member_change_schema = LM_SCHEMA("MemberChange", member_change_fields);

/* The project in the path, if the caller may know of it. */
static loam_status find_project(lm_api_ctx *ctx, lm_project *out, loam_error *err) {
    const char *id = ctx->params[0];
    bool is_own = strcmp(id, ctx->caller.project_id) == 0;
    if (!is_own && !(ctx->caller.scopes & LM_SCOPE_OPERATOR))
        return lm_error_set(err, LOAM_NOT_FOUND, "no project '%s'", id);
    return lm_project_find(ctx->db, id, ctx->arena, out, err);
}

static loam_status list_projects(lm_api_ctx *ctx, loam_error *err) {
    if (!(ctx->caller.scopes & LM_SCOPE_OPERATOR)) {
        lm_project own;
        LM_TRY(lm_project_find(ctx->db, ctx->caller.project_id, ctx->arena, &own, err));
        return lm_api_reply_list(ctx, json_pack("[o]", lm_table_json(&lm_project_table, &own)),
                                 NULL, err);
    }
    lm_page page = lm_api_page(ctx);
    lm_list list;
    const char *next;
    LM_TRY(lm_project_page(ctx->db, &page, ctx->arena, &list, &next, err));
    return lm_api_reply_list(ctx, lm_list_json(&list), next, err);
}

static loam_status get_project(lm_api_ctx *ctx, loam_error *err) {
    lm_project project;
    LM_TRY(find_project(ctx, &project, err));
    return lm_api_reply_row(ctx, &lm_project_table, &project, err);
}

static loam_status name_taken(loam_status status, const char *what, const char *name,
                              loam_error *err) {
    if (status != LOAM_CONFLICT) return status;
    return lm_error_set(err, LOAM_CONFLICT, "there is already a %s named '%s'", what, name);
}

/* Writes the event of a row that was made or changed; before may be NULL. */
static loam_status tell(lm_api_ctx *ctx, const char *kind, const lm_table *table,
                        const void *before, const void *after, loam_error *err) {
    json_t *old = before ? lm_table_json(table, before) : NULL,
           *new = after ? lm_table_json(table, after) : NULL;
    loam_status status = lm_api_event(ctx, kind, after ? after : before, old, new,
                                      err); /* a row begins with its id */
    json_decref(old);
    json_decref(new);
    return status;
}

static loam_status create_project(lm_api_ctx *ctx, loam_error *err) {
    lm_project project = {.name = lm_api_str(ctx->body, "name", ""),
                          .created_ms = lm_clock_epoch_ms()};
    lm_api_new_id(ctx, "prj", project.id);
    LM_TRY(name_taken(lm_table_insert(ctx->db, &lm_project_table, &project, err), "project",
                      project.name, err));
    LM_TRY(tell(ctx, "project.create", &lm_project_table, NULL, &project, err));
    lm_key key = {.name = "admin",
                  .role = lm_role_names[LM_ROLE_ADMIN],
                  .scopes = LM_SCOPES_ALL & ~LM_SCOPE_OPERATOR};
    memcpy(key.project_id, project.id, sizeof project.id);
    char secret[LM_SECRET_BYTES];
    LM_TRY(lm_key_make(ctx->cloud, ctx->db, &key, secret, err));
    LM_TRY(lm_key_published(ctx, key.id, err));
    return lm_api_reply(ctx,
                        json_pack("{s:o, s:s}", "project",
                                  lm_table_json(&lm_project_table, &project), "secret", secret),
                        err);
}

static loam_status change_project(lm_api_ctx *ctx, loam_error *err) {
    lm_project before;
    LM_TRY(find_project(ctx, &before, err));
    lm_project after = before;
    after.name = lm_api_str(ctx->body, "name", before.name);
    after.archived = lm_api_bool(ctx->body, "archived", before.archived);
    if (after.archived && before.is_operator)
        return lm_error_set(err, LOAM_CONFLICT, "the operator's project cannot be archived");
    LM_TRY(name_taken(lm_table_update(ctx->db, &lm_project_table, &after, err), "project",
                      after.name, err));
    LM_TRY(tell(ctx, "project.change", &lm_project_table, &before, &after, err));
    LM_TRY(lm_key_published(ctx, NULL, err));
    return lm_api_reply_row(ctx, &lm_project_table, &after, err);
}

static loam_status list_members(lm_api_ctx *ctx, loam_error *err) {
    lm_project project;
    LM_TRY(find_project(ctx, &project, err));
    lm_page page = lm_api_page(ctx);
    lm_list list;
    const char *next;
    LM_TRY(lm_member_page(ctx->db, project.id, &page, ctx->arena, &list, &next, err));
    return lm_api_reply_list(ctx, lm_list_json(&list), next, err);
}

static loam_status add_member(lm_api_ctx *ctx, loam_error *err) {
    lm_project project;
    LM_TRY(find_project(ctx, &project, err));
    lm_member member = {.name = lm_api_str(ctx->body, "name", ""),
                        .role = lm_api_str(ctx->body, "role", ""),
                        .created_ms = lm_clock_epoch_ms()};
    lm_api_new_id(ctx, "mem", member.id);
    memcpy(member.project_id, project.id, sizeof project.id);
    LM_TRY(name_taken(lm_table_insert(ctx->db, &lm_member_table, &member, err), "member",
                      member.name, err));
    LM_TRY(tell(ctx, "member.create", &lm_member_table, NULL, &member, err));
    return lm_api_reply_row(ctx, &lm_member_table, &member, err);
}

static loam_status find_member(lm_api_ctx *ctx, lm_member *out, loam_error *err) {
    lm_project project;
    LM_TRY(find_project(ctx, &project, err));
    return lm_member_find(ctx->db, project.id, ctx->params[1], ctx->arena, out, err);
}

static loam_status change_member(lm_api_ctx *ctx, loam_error *err) {
    lm_member before;
    LM_TRY(find_member(ctx, &before, err));
    lm_member after = before;
    after.role = lm_api_str(ctx->body, "role", before.role);
    LM_TRY(lm_table_update(ctx->db, &lm_member_table, &after, err));
    LM_TRY(tell(ctx, "member.change", &lm_member_table, &before, &after, err));
    LM_TRY(lm_key_published(ctx, NULL, err));
    return lm_api_reply_row(ctx, &lm_member_table, &after, err);
}

/* Who leaves takes their keys along. */
static loam_status remove_member(lm_api_ctx *ctx, loam_error *err) {
    lm_member member;
    LM_TRY(find_member(ctx, &member, err));
    LM_TRY(lm_key_revoke_of_member(ctx->db, member.id, lm_clock_epoch_ms(), err));
    LM_TRY(lm_table_delete(ctx->db, &lm_member_table, member.id, err));
    LM_TRY(tell(ctx, "member.delete", &lm_member_table, &member, NULL, err));
    return lm_key_published(ctx, NULL, err);
}

static const lm_api_endpoint rows[] = {
    {.method = "GET",
     .path = "/projects",
     .scope = LM_SCOPE_ANY,
     .reply = &project_schema,
     .shape = LM_API_LIST,
     .summary = "List the projects the key can see",
     .handler = list_projects},
    {.method = "POST",
     .path = "/projects",
     .scope = LM_SCOPE_OPERATOR,
     .request = &new_project_schema,
     .reply = &made_project_schema,
     .http_status = 201,
     .summary = "Make a project and its first admin key",
     .handler = create_project},
    {.method = "GET",
     .path = "/projects/{id}",
     .scope = LM_SCOPE_ANY,
     .id_prefix = "prj",
     .reply = &project_schema,
     .summary = "Show a project",
     .handler = get_project},
    {.method = "PATCH",
     .path = "/projects/{id}",
     .scope = LM_SCOPE_OPERATOR,
     .id_prefix = "prj",
     .request = &project_change_schema,
     .reply = &project_schema,
     .summary = "Rename or archive a project",
     .handler = change_project},
    {.method = "GET",
     .path = "/projects/{id}/members",
     .scope = LM_SCOPE_READ,
     .id_prefix = "prj",
     .reply = &member_schema,
     .shape = LM_API_LIST,
     .summary = "List a project's members",
     .handler = list_members},
    {.method = "POST",
     .path = "/projects/{id}/members",
     .scope = LM_SCOPE_ADMIN,
     .id_prefix = "prj",
     .request = &new_member_schema,
     .reply = &member_schema,
     .http_status = 201,
     .summary = "Add a member",
     .handler = add_member},
    {.method = "PATCH",
     .path = "/projects/{id}/members/{member}",
     .scope = LM_SCOPE_ADMIN,
     .id_prefix = "prj",
     .request = &member_change_schema,
     .reply = &member_schema,
     .summary = "Change a member's role",
     .handler = change_member},
    {.method = "DELETE",
     .path = "/projects/{id}/members/{member}",
     .scope = LM_SCOPE_ADMIN,
     .id_prefix = "prj",
     .shape = LM_API_EMPTY,
     .summary = "Remove a member and revoke their keys",
     .handler = remove_member},
};
const lm_api_table lm_api_projects = LM_API_TABLE(rows);
