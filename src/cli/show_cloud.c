#include "cli/show_cloud.h"

#include <stdio.h>
#include <string.h>

#include "cli/rest_client.h"
#include "cli/show_memory.h"

static const char *text_of(const json_t *row, const char *key) {
    const char *text = json_string_value(json_object_get(row, key));
    return text ? text : "";
}

static long long number_of(const json_t *row, const char *key) {
    return json_integer_value(json_object_get(row, key));
}

static const char *pool_name(const json_t *pools, const char *id) {
    size_t i;
    json_t *pool;
    json_array_foreach(pools, i, pool) {
        if (strcmp(text_of(pool, "id"), id) == 0) return text_of(pool, "name");
    }
    return id;
}

static json_t *node_json(const json_t *node, const json_t *pools, const json_t *memory) {
    long long n_bytes = number_of(node, "memory_bytes");
    json_int_t context = lm_show_context_in(memory, n_bytes - n_bytes / LM_SHOW_SYSTEM_SHARE);
    return json_pack("{s:s, s:s, s:I, s:I, s:b}", "name", text_of(node, "name"), "pool",
                     pool_name(pools, text_of(node, "pool_id")), "memory_bytes",
                     (json_int_t)n_bytes, "longest_context", context, "fits",
                     context >= number_of(memory, "context"));
}

json_t *lm_show_cloud(const char *url, const char *key, const json_t *memory) {
    const lm_rest rest = {.url = url, .key = key};
    json_t *pools = NULL, *nodes = NULL, *cloud = json_pack("{s:s}", "url", url), *node;
    loam_error err = {0};
    size_t i;
    loam_status status = lm_rest_list(&rest, "/pools", 0, &pools, &err);
    if (status == LOAM_OK) status = lm_rest_list(&rest, "/nodes", 0, &nodes, &err);
    json_t *list = json_array();
    json_array_foreach(nodes, i, node) {
        if (strcmp(text_of(node, "state"), "up") == 0)
            json_array_append_new(list, node_json(node, pools, memory));
    }
    if (status == LOAM_OK)
        json_object_set(cloud, "nodes", list);
    else
        json_object_set_new(cloud, "error", json_string(err.message));
    json_decref(list);
    json_decref(nodes);
    json_decref(pools);
    return cloud;
}

void lm_show_cloud_print(const json_t *cloud) {
    const json_t *nodes = json_object_get(cloud, "nodes");
    const char *label = "cloud         ";
    size_t i;
    json_t *node;
    if (!nodes)
        printf("%s%s cannot be asked: %s\n", label, text_of(cloud, "url"), text_of(cloud, "error"));
    json_array_foreach(nodes, i, node) {
        char size[32];
        lm_size_text((double)number_of(node, "memory_bytes"), size);
        printf("%s%s in pool %s, %s: ", label, text_of(node, "name"), text_of(node, "pool"), size);
        if (number_of(node, "longest_context") > 0)
            printf("%lld tokens of context\n", number_of(node, "longest_context"));
        else
            printf("does not fit\n");
        label = "              ";
    }
}
