/* Unigram language model: of all ways to cut the text into pieces, the one with the highest sum of log probabilities,
 * found by dynamic programming over a trie of the pieces. Linear in the text: no piece is longer than its limit.
 * Source: Kudo, arXiv:1804.10959; ties, unknown characters and precision as SentencePiece and tokenizers have them.
 */
#include <math.h>

#include "model/tokenizer_impl.h"
#include "model/utf8.h"

enum { LATTICE_NONE = -2, LATTICE_UNKNOWN = -1 };
static const double unknown_penalty = 10;
static const float symbol_bonus =
    0.1f; /* of a user-defined token in SentencePiece, for every byte but one */

static bool is_piece(const lm_token *token) {
    return token->type == LM_TOKEN_NORMAL || token->type == LM_TOKEN_USER_DEFINED;
}

/* tokenizers' model does not know of kinds of tokens: everything in its vocabulary is a piece. */
static bool is_listed(const lm_token *token) {
    return token->in_model;
}

static lm_str piece_of(const lm_tokenizer *tokenizer, int32_t id) {
    const lm_token *token = &tokenizer->spec.tokens.ptr[id];
    return is_piece(token) ? token->text : LM_STR("");
}

static double unknown_score(const lm_tokenizer_spec *spec) {
    double min = INFINITY;
    for (size_t id = 0; id < spec->tokens.len; id++) {
        const lm_token *token = &spec->tokens.ptr[id];
        bool counts = spec->single_precision ? token->type == LM_TOKEN_NORMAL : token->in_model;
        if (counts && token->score < min) min = token->score;
    }
    if (min == INFINITY) min = 0;
    return spec->single_precision ? (float)min - (float)unknown_penalty : min - unknown_penalty;
}

static loam_status prepare(lm_tokenizer *tokenizer, loam_error *err) {
    tokenizer->unk_score = unknown_score(&tokenizer->spec);
    LM_TRY(lm_tokens_trie(tokenizer, tokenizer->spec.single_precision ? is_piece : is_listed,
                          &tokenizer->trie, err));
    return lm_words_index(tokenizer, piece_of, err);
}

static double score_of(const lm_tokenizer *tokenizer, int32_t id, size_t len) {
    const lm_token *token = &tokenizer->spec.tokens.ptr[id];
    if (!tokenizer->spec.single_precision || token->type != LM_TOKEN_USER_DEFINED)
        return token->score;
    return (float)(len - 1) * symbol_bonus;
}

static void offer(const lm_tokenizer *tokenizer, lm_encode_scratch *scratch, size_t start,
                  size_t end, int32_t id, double score) {
    lm_lattice_node *node = &scratch->lattice.ptr[end];
    double sum = scratch->lattice.ptr[start].score + score;
    if (tokenizer->spec.single_precision) sum = (float)sum;
    if (node->id != LATTICE_NONE && sum <= node->score) return;
    *node = (lm_lattice_node){.score = sum, .start = (uint32_t)start, .id = id};
}

/* Offers all pieces that begin at `at`, and unk when none is the character itself. */
static void offer_all(const lm_tokenizer *tokenizer, lm_str word, size_t at, size_t char_bytes,
                      lm_encode_scratch *scratch) {
    bool has_single = false;
    uint32_t node = 0;
    for (size_t end = at; end < word.len;) {
        int32_t id;
        node = lm_token_trie_step(tokenizer->trie, node, (uint8_t)word.ptr[end++], &id);
        if (node == 0) break;
        if (id < 0) continue;
        offer(tokenizer, scratch, at, end, id, score_of(tokenizer, id, end - at));
        if (end == at + char_bytes) has_single = true;
    }
    if (!has_single)
        offer(tokenizer, scratch, at, at + char_bytes, LATTICE_UNKNOWN, tokenizer->unk_score);
}

static LM_MUST_USE bool run_lattice(const lm_tokenizer *tokenizer, lm_str word,
                                    lm_encode_scratch *scratch) {
    scratch->lattice.len = 0;
    if (!lm_vec_reserve(&scratch->lattice, word.len + 1)) return false;
    scratch->lattice.len = word.len + 1;
    for (size_t i = 0; i <= word.len; i++) scratch->lattice.ptr[i].id = LATTICE_NONE;
    scratch->lattice.ptr[0] = (lm_lattice_node){.id = LATTICE_UNKNOWN};
    for (size_t at = 0; at < word.len;) {
        size_t n = lm_utf8_char_bytes(word.ptr + at, word.len - at);
        if (n == 0) n = 1; /* a byte that is no UTF-8 */
        offer_all(tokenizer, word, at, n, scratch);
        at += n;
    }
    return true;
}

/* The best way is known from its end; this makes it known from its beginning. */
static void link_forward(lm_lattice_node *nodes, size_t len) {
    for (size_t end = len; end > 0; end = nodes[end].start)
        nodes[nodes[end].start].next = (uint32_t)end;
}

static LM_MUST_USE bool emit_unknown(const lm_tokenizer *tokenizer, lm_str text, bool after_unknown,
                                     bool *out_is_unk, lm_vec_i32 *ids) {
    bool done = false;
    *out_is_unk = true;
    if (tokenizer->spec.byte_fallback && !lm_encode_bytes(tokenizer, text, ids, &done))
        return false;
    if (done) {
        *out_is_unk = false;
        return true;
    }
    if ((after_unknown && tokenizer->spec.fuse_unk) || tokenizer->spec.unk < 0) return true;
    return lm_vec_push(ids, tokenizer->spec.unk);
}

static bool encode_word(const lm_tokenizer *tokenizer, lm_str word, lm_encode_scratch *scratch,
                        lm_vec_i32 *ids) {
    if (!run_lattice(tokenizer, word, scratch)) return false;
    const lm_lattice_node *nodes = scratch->lattice.ptr;
    link_forward(scratch->lattice.ptr, word.len);
    bool after_unknown = false;
    for (size_t at = 0; at < word.len;) {
        size_t end = nodes[at].next;
        int32_t id = nodes[end].id;
        lm_str piece = {word.ptr + at, end - at};
        if (id < 0 || id == tokenizer->spec.unk) {
            if (!emit_unknown(tokenizer, piece, after_unknown, &after_unknown, ids)) return false;
        } else {
            after_unknown = false;
            if (!lm_vec_push(ids, id)) return false;
        }
        at = end;
    }
    return true;
}

const lm_tokenizer_ops lm_tokenizer_ops_unigram = {
    .name = "unigram", .prepare = prepare, .encode = lm_words_encode, .encode_word = encode_word};
