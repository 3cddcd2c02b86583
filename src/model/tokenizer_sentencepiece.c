/* tokenizer.model: SentencePiece's ModelProto, read by a small reader of the protocol buffer wire format. Field numbers
 * from sentencepiece_model.proto; wire format from the Protocol Buffers encoding guide.
 */
#include "base/mem.h"
#include "model/tokenizer_readers.h"

/* ------------------------------------------------------------------------------------------------- wire format */

typedef enum wire_type {
    WIRE_VARINT = 0,
    WIRE_FIXED64 = 1,
    WIRE_BYTES = 2,
    WIRE_FIXED32 = 5
} wire_type;

typedef struct wire_field {
    uint32_t number;
    wire_type type;
    uint64_t varint; /* also the bits of fixed32 and fixed64 */
    lm_str bytes;
} wire_field;

static LM_MUST_USE bool take_varint(lm_str *in, uint64_t *out) {
    uint64_t value = 0;
    for (size_t i = 0; i < in->len && i < 10; i++) {
        uint8_t byte = (uint8_t)in->ptr[i];
        value |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte & 0x80) continue;
        *in = (lm_str){in->ptr + i + 1, in->len - i - 1};
        *out = value;
        return true;
    }
    return false;
}

static LM_MUST_USE bool take_bytes(lm_str *in, uint64_t n, lm_str *out) {
    if (n > in->len) return false;
    *out = (lm_str){in->ptr, (size_t)n};
    *in = (lm_str){in->ptr + n, in->len - (size_t)n};
    return true;
}

/* The next field of a message; false when the bytes break the format. */
static LM_MUST_USE bool take_field(lm_str *in, wire_field *out) {
    uint64_t key, n;
    if (!take_varint(in, &key) || key >> 3 > UINT32_MAX) return false;
    *out = (wire_field){.number = (uint32_t)(key >> 3), .type = (wire_type)(key & 7)};
    switch (out->type) {
    case WIRE_VARINT: return take_varint(in, &out->varint);
    case WIRE_BYTES: return take_varint(in, &n) && take_bytes(in, n, &out->bytes);
    case WIRE_FIXED32:
    case WIRE_FIXED64: {
        lm_str fixed;
        if (!take_bytes(in, out->type == WIRE_FIXED32 ? 4 : 8, &fixed)) return false;
        memcpy(&out->varint, fixed.ptr, fixed.len);
        return true;
    }
    default: return false;
    }
}

/* ------------------------------------------------------------------------------------------------- messages */

enum { /* field numbers */
       MODEL_PIECES = 1,
       MODEL_TRAINER = 2,
       MODEL_NORMALIZER = 3,
       PIECE_TEXT = 1,
       PIECE_SCORE = 2,
       PIECE_TYPE = 3,
       TRAINER_MODEL_TYPE = 3,
       TRAINER_SUFFIX = 24,
       TRAINER_BYTE_FALLBACK = 35,
       TRAINER_UNK_ID = 40,
       TRAINER_BOS_ID = 41,
       TRAINER_EOS_ID = 42,
       TRAINER_PAD_ID = 43,
       NORMALIZER_CHARSMAP = 2,
       NORMALIZER_DUMMY_PREFIX = 3,
       NORMALIZER_REMOVE_EXTRA = 4,
       NORMALIZER_ESCAPE = 5,
};

/* The trainer's numbers for kinds of models; others (whole words, single characters) are not in use. */
static const struct {
    uint64_t number;
    lm_tokenizer_kind_id kind;
} model_types[] = {{1, LM_TOKENIZER_UNIGRAM}, {2, LM_TOKENIZER_SPM}};

/* What the messages say besides pieces, with the format's defaults. */
typedef struct model_settings {
    uint64_t model_type;
    bool byte_fallback, suffix;
    int32_t unk, bos, eos, pad;
    lm_str charsmap;
    bool dummy_prefix, remove_extra, escape;
} model_settings;

static LM_MUST_USE loam_status malformed(const char *what, loam_error *err) {
    lm_error_set(err, LOAM_CORRUPT, "%s is cut off or broken", what);
    return lm_error_hint(err, LOAM_CORRUPT,
                         "this should be a SentencePiece model; fetch the file again");
}

static LM_MUST_USE loam_status read_piece(lm_str in, lm_tokenizer_spec *spec, loam_error *err) {
    lm_str text = {"", 0};
    float score = 0;
    lm_token_type type = LM_TOKEN_NORMAL;
    while (in.len > 0) {
        wire_field field;
        if (!take_field(&in, &field)) return malformed("a piece", err);
        if (field.number == PIECE_TEXT && field.type == WIRE_BYTES) text = field.bytes;
        if (field.number == PIECE_SCORE && field.type == WIRE_FIXED32)
            memcpy(&score, &field.varint, sizeof score);
        if (field.number == PIECE_TYPE && field.type == WIRE_VARINT)
            LM_TRY(lm_token_type_of((int64_t)field.varint, &type, err));
    }
    if (score != score)
        return lm_error_set(err, LOAM_CORRUPT, "piece %zu has no number as score",
                            spec->tokens.len);
    return lm_tokenizer_spec_add_token(spec, text, type, score, err);
}

static LM_MUST_USE loam_status read_trainer(lm_str in, model_settings *out, loam_error *err) {
    while (in.len > 0) {
        wire_field field;
        if (!take_field(&in, &field)) return malformed("the trainer's settings", err);
        if (field.type != WIRE_VARINT) continue;
        switch (field.number) {
        case TRAINER_MODEL_TYPE: out->model_type = field.varint; break;
        case TRAINER_SUFFIX: out->suffix = field.varint != 0; break;
        case TRAINER_BYTE_FALLBACK: out->byte_fallback = field.varint != 0; break;
        case TRAINER_UNK_ID: out->unk = (int32_t)field.varint; break;
        case TRAINER_BOS_ID: out->bos = (int32_t)field.varint; break;
        case TRAINER_EOS_ID: out->eos = (int32_t)field.varint; break;
        case TRAINER_PAD_ID: out->pad = (int32_t)field.varint; break;
        default: break;
        }
    }
    return LOAM_OK;
}

static LM_MUST_USE loam_status read_normalizer(lm_str in, model_settings *out, loam_error *err) {
    while (in.len > 0) {
        wire_field field;
        if (!take_field(&in, &field)) return malformed("the normalizer's settings", err);
        switch (field.number) {
        case NORMALIZER_CHARSMAP: out->charsmap = field.bytes; break;
        case NORMALIZER_DUMMY_PREFIX: out->dummy_prefix = field.varint != 0; break;
        case NORMALIZER_REMOVE_EXTRA: out->remove_extra = field.varint != 0; break;
        case NORMALIZER_ESCAPE: out->escape = field.varint != 0; break;
        default: break;
        }
    }
    return LOAM_OK;
}

static LM_MUST_USE loam_status read_model(lm_str in, lm_tokenizer_spec *spec,
                                          model_settings *settings, loam_error *err) {
    while (in.len > 0) {
        wire_field field;
        if (!take_field(&in, &field)) return malformed("the file", err);
        if (field.type != WIRE_BYTES) continue;
        switch (field.number) {
        case MODEL_PIECES: LM_TRY(read_piece(field.bytes, spec, err)); break;
        case MODEL_TRAINER: LM_TRY(read_trainer(field.bytes, settings, err)); break;
        case MODEL_NORMALIZER: LM_TRY(read_normalizer(field.bytes, settings, err)); break;
        default: break;
        }
    }
    return spec->tokens.len ? LOAM_OK : malformed("the list of pieces", err);
}

static LM_MUST_USE loam_status choose_kind(const model_settings *settings, lm_tokenizer_spec *spec,
                                           loam_error *err) {
    for (size_t i = 0; i < LM_COUNT_OF(model_types); i++) {
        if (model_types[i].number != settings->model_type) continue;
        spec->kind = model_types[i].kind;
        return LOAM_OK;
    }
    lm_error_set(err, LOAM_UNSUPPORTED, "SentencePiece model type %llu",
                 (unsigned long long)settings->model_type);
    return lm_error_hint(err, LOAM_UNSUPPORTED, "loam knows 1 (Unigram) and 2 (BPE)");
}

static LM_MUST_USE loam_status apply_settings(const model_settings *settings,
                                              lm_tokenizer_spec *spec, loam_error *err) {
    lm_normalizer_step step = {.kind = LM_NORMALIZER_SENTENCEPIECE,
                               .prefixes = settings->dummy_prefix && !settings->suffix,
                               .suffixes = settings->dummy_prefix && settings->suffix,
                               .squeezes = settings->remove_extra,
                               .escapes = settings->escape};
    step.pattern = lm_tokenizer_spec_copy(spec, settings->charsmap);
    if (!step.pattern.ptr) return lm_error_no_memory(err, settings->charsmap.len);
    spec->byte_fallback = settings->byte_fallback;
    spec->fuse_unk = spec->single_precision = true;
    spec->symbols_inside = spec->symbols_spell_spaces = true;
    spec->unk = settings->unk;
    spec->bos = settings->bos;
    spec->pad = settings->pad;
    spec->add_bos = settings->bos >= 0;
    LM_TRY(lm_tokenizer_spec_add_normalizer(spec, step, err));
    LM_TRY(lm_tokenizer_spec_decode_metaspace(spec, step.prefixes, err));
    return settings->eos >= 0 ? lm_tokenizer_spec_add_eos(spec, settings->eos, err) : LOAM_OK;
}

loam_status lm_tokenizer_read_sentencepiece(lm_str bytes, const char *path, lm_tokenizer_spec *out,
                                            loam_error *err) {
    model_settings settings = {.model_type = model_types[0].number,
                               .unk = 0,
                               .bos = 1,
                               .eos = 2,
                               .pad = -1,
                               .charsmap = {"", 0},
                               .dummy_prefix = true,
                               .remove_extra = true,
                               .escape = true};
    lm_tokenizer_spec spec;
    loam_status status = lm_tokenizer_spec_init(&spec, LM_TOKENIZER_SPM, err);
    if (status == LOAM_OK) status = read_model(bytes, &spec, &settings, err);
    if (status == LOAM_OK) status = choose_kind(&settings, &spec, err);
    if (status == LOAM_OK) status = apply_settings(&settings, &spec, err);
    if (status == LOAM_OK) {
        *out = spec;
        return LOAM_OK;
    }
    lm_tokenizer_spec_deinit(&spec);
    return lm_error_prefix(err, status, "%s", path);
}
