#include "cloud/keyring.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include <sodium.h>

#include "base/map.h"
#include "base/mem.h"
#include "cloud/secret.h"

/* What the ring knows of one key. */
typedef struct key_state {
    lm_caller caller;
    uint8_t hash[LM_SECRET_HASH_BYTES];
    bool revoked, project_archived;
    int64_t expires_ms, token_budget, money_budget_micros, requests_per_minute; /* 0: none */
    int64_t tokens_used, micros_used;         /* booked or settled */
    int64_t tokens_reserved, micros_reserved; /* of requests under way */
    double allowance; /* requests it may make now: a bucket that fills over a minute */
    int64_t refilled_ms;
} key_state;

struct lm_keyring {
    pthread_mutex_t lock; /* guards the map and all states */
    lm_map *states;       /* key id -> key_state * */
};

loam_status lm_keyring_new(lm_keyring **out, loam_error *err) {
    lm_keyring *keyring = lm_calloc(1, sizeof *keyring);
    if (!keyring) return lm_error_no_memory(err, sizeof *keyring);
    pthread_mutex_init(&keyring->lock, NULL);
    keyring->states = lm_map_new();
    if (!keyring->states) {
        lm_keyring_free(keyring);
        return lm_error_no_memory(err, 0);
    }
    *out = keyring;
    return LOAM_OK;
}

void lm_keyring_free(lm_keyring *keyring) {
    if (!keyring) return;
    size_t cursor = 0;
    lm_str id;
    uint64_t state;
    while (keyring->states && lm_map_next(keyring->states, &cursor, &id, &state))
        lm_free((void *)(uintptr_t)state);
    lm_map_free(keyring->states);
    pthread_mutex_destroy(&keyring->lock);
    lm_free(keyring);
}

static key_state *find(const lm_keyring *keyring, const char *key_id) {
    uint64_t state;
    return lm_map_get(keyring->states, lm_str_of(key_id), &state) ? (key_state *)(uintptr_t)state
                                                                  : NULL;
}

static key_state *find_or_add(lm_keyring *keyring, const char *key_id) {
    key_state *state = find(keyring, key_id);
    if (state) return state;
    state = lm_calloc(1, sizeof *state);
    if (state && !lm_map_set(keyring->states, lm_str_of(key_id), (uintptr_t)state)) {
        lm_free(state);
        state = NULL;
    }
    return state;
}

static lm_role lesser_role(const lm_key_standing *standing) {
    lm_role role = LM_ROLE_VIEWER, bound;
    if (!lm_role_parse(standing->key.role, &role)) role = LM_ROLE_VIEWER;
    if (standing->member_role && lm_role_parse(standing->member_role, &bound) && bound < role)
        role = bound;
    return role;
}

static void set_standing(key_state *state, const lm_key_standing *standing) {
    const lm_key *key = &standing->key;
    memcpy(state->caller.key_id, key->id, sizeof key->id);
    memcpy(state->caller.project_id, key->project_id, sizeof key->project_id);
    state->caller.role = lesser_role(standing);
    state->caller.scopes = (unsigned)key->scopes & lm_role_scopes(state->caller.role);
    if (!lm_secret_hash_parse(key->secret_hash, state->hash))
        memset(state->hash, 0, sizeof state->hash);
    state->revoked = key->revoked_ms != 0;
    state->project_archived = standing->project_archived;
    state->expires_ms = key->expires_ms;
    state->token_budget = key->token_budget;
    state->money_budget_micros = key->money_budget_micros;
    state->requests_per_minute = key->requests_per_minute;
}

/* A key already known keeps its counts, allowance and reservations: they are ahead of the ledger. */
static bool put_locked(lm_keyring *keyring, const lm_key_standing *standing) {
    bool is_new = !find(keyring, standing->key.id);
    key_state *state = find_or_add(keyring, standing->key.id);
    if (!state) return false;
    set_standing(state, standing);
    if (!is_new) return true;
    state->tokens_used = standing->tokens_used;
    state->micros_used = standing->micros_used;
    state->allowance = (double)state->requests_per_minute;
    return true;
}

loam_status lm_keyring_put(lm_keyring *keyring, const lm_key_standings *standings,
                           loam_error *err) {
    bool complete = true;
    pthread_mutex_lock(&keyring->lock);
    for (size_t i = 0; i < standings->len; i++)
        complete = put_locked(keyring, &standings->ptr[i]) && complete;
    pthread_mutex_unlock(&keyring->lock);
    return complete ? LOAM_OK : lm_error_no_memory(err, sizeof(key_state));
}

loam_status lm_keyring_load(lm_keyring *keyring, lm_db *db, loam_error *err) {
    lm_arena arena;
    lm_arena_init(&arena, 0, 0);
    lm_key_standings standings;
    loam_status status = lm_key_standings_read(db, NULL, &arena, &standings, err);
    if (status == LOAM_OK) status = lm_keyring_put(keyring, &standings, err);
    lm_arena_deinit(&arena);
    return status;
}

static loam_status check_valid(const key_state *state, int64_t now_ms, loam_error *err) {
    const char *what = state->revoked ? "the API key was revoked"
                       : state->expires_ms && now_ms >= state->expires_ms
                           ? "the API key has expired"
                       : state->project_archived ? "the API key's project is archived"
                                                 : NULL;
    if (!what) return LOAM_OK;
    lm_error_set(err, LOAM_DENIED, "%s", what);
    return lm_error_hint(err, LOAM_DENIED, "ask an admin of the project for a new key");
}

loam_status lm_keyring_authenticate(lm_keyring *keyring, const char *secret, int64_t now_ms,
                                    lm_caller *out, loam_error *err) {
    char key_id[LM_ID_BYTES];
    uint8_t hash[LM_SECRET_HASH_BYTES];
    bool well_formed = secret && lm_secret_parse(secret, key_id, hash);
    loam_status status = LOAM_DENIED;
    bool known = false;
    if (well_formed) {
        pthread_mutex_lock(&keyring->lock);
        const key_state *state = find(keyring, key_id);
        known = state && sodium_memcmp(state->hash, hash, sizeof hash) == 0;
        if (known) status = check_valid(state, now_ms, err);
        if (status == LOAM_OK) *out = state->caller;
        pthread_mutex_unlock(&keyring->lock);
    }
    if (known) return status;
    lm_error_set(err, LOAM_DENIED,
                 secret ? "the API key is not known here" : "no API key was given");
    return lm_error_hint(err, LOAM_DENIED, "send it as 'Authorization: Bearer loam-sk-...'");
}

static void refill(key_state *state, int64_t now_ms) {
    double full = (double)state->requests_per_minute;
    if (now_ms > state->refilled_ms)
        state->allowance += full * (double)(now_ms - state->refilled_ms) / 60000.0;
    if (state->allowance > full) state->allowance = full;
    state->refilled_ms = now_ms;
}

loam_status lm_keyring_admit(lm_keyring *keyring, const char *key_id, int64_t now_ms,
                             int64_t *out_retry_after_s, loam_error *err) {
    pthread_mutex_lock(&keyring->lock);
    key_state *state = find(keyring, key_id);
    int64_t per_minute = state ? state->requests_per_minute : 0;
    bool admitted = true;
    if (per_minute) {
        refill(state, now_ms);
        admitted = state->allowance >= 1;
        if (admitted) state->allowance -= 1;
        if (!admitted)
            *out_retry_after_s = 1 + (int64_t)((1 - state->allowance) * 60 / (double)per_minute);
    }
    pthread_mutex_unlock(&keyring->lock);
    if (admitted) return LOAM_OK;
    lm_error_set(err, LOAM_LIMIT, "the API key may make %" PRId64 " requests a minute", per_minute);
    return lm_error_hint(err, LOAM_LIMIT, "try again in %" PRId64 " s", *out_retry_after_s);
}

static loam_status check_budget(int64_t budget, int64_t used, int64_t reserved, const char *unit,
                                loam_error *err) {
    if (budget == 0 || used + reserved < budget) return LOAM_OK;
    lm_error_set(err, LOAM_LIMIT, "the API key's budget of %" PRId64 " %s is used up", budget,
                 unit);
    return lm_error_hint(err, LOAM_LIMIT,
                         "ask an admin of the project for a key with a larger budget");
}

static int64_t add_bounded(int64_t a, int64_t b) {
    int64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? INT64_MAX / 2 : sum;
}

loam_status lm_keyring_reserve(lm_keyring *keyring, const char *key_id, int64_t tokens,
                               int64_t micros, lm_reservation *out, loam_error *err) {
    loam_status status = LOAM_OK;
    pthread_mutex_lock(&keyring->lock);
    key_state *state = find(keyring, key_id);
    if (state)
        status = check_budget(state->token_budget, state->tokens_used, state->tokens_reserved,
                              "tokens", err);
    if (state && status == LOAM_OK)
        status = check_budget(state->money_budget_micros, state->micros_used,
                              state->micros_reserved, "money micro-units", err);
    if (state && status == LOAM_OK) {
        state->tokens_reserved = add_bounded(state->tokens_reserved, tokens);
        state->micros_reserved = add_bounded(state->micros_reserved, micros);
    }
    pthread_mutex_unlock(&keyring->lock);
    if (status != LOAM_OK) return status;
    *out = (lm_reservation){.tokens = tokens, .micros = micros};
    snprintf(out->key_id, sizeof out->key_id, "%s", key_id);
    return LOAM_OK;
}

void lm_keyring_settle(lm_keyring *keyring, lm_reservation *reservation, int64_t tokens,
                       int64_t micros) {
    pthread_mutex_lock(&keyring->lock);
    key_state *state = find(keyring, reservation->key_id);
    if (state) {
        state->tokens_reserved -= reservation->tokens;
        state->micros_reserved -= reservation->micros;
        state->tokens_used += tokens;
        state->micros_used += micros;
    }
    pthread_mutex_unlock(&keyring->lock);
    *reservation = (lm_reservation){0};
}

bool lm_keyring_spent(lm_keyring *keyring, const char *key_id, int64_t *out_tokens,
                      int64_t *out_micros) {
    pthread_mutex_lock(&keyring->lock);
    const key_state *state = find(keyring, key_id);
    if (state) {
        *out_tokens = state->tokens_used;
        *out_micros = state->micros_used;
    }
    pthread_mutex_unlock(&keyring->lock);
    return state != NULL;
}
