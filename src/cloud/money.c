#include "cloud/money.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>

/* A 192-bit product as three 64-bit limbs, lowest first. */
typedef struct u192 {
    uint64_t limb[3];
} u192;

static u192 multiply(lm_u128 a, uint64_t b) {
    lm_u128 low = (lm_u128)(uint64_t)a * b;
    lm_u128 high = (a >> 64) * b + (low >> 64);
    return (u192){{(uint64_t)low, (uint64_t)high, (uint64_t)(high >> 64)}};
}

/* Long division bit by bit; false when the quotient does not fit 127 bits. */
static bool divide(u192 value, lm_u128 divisor, lm_u128 *out_quotient, lm_u128 *out_remainder) {
    lm_u128 quotient = 0, remainder = 0;
    for (int bit = 191; bit >= 0; bit--) {
        if (quotient >> 126) return false;
        remainder = remainder << 1 | (value.limb[bit / 64] >> (bit % 64) & 1);
        quotient <<= 1;
        if (remainder >= divisor) {
            remainder -= divisor;
            quotient |= 1;
        }
    }
    *out_quotient = quotient;
    *out_remainder = remainder;
    return true;
}

/* Quotient to the nearest whole, ties to even. remainder < divisor < 2^127. */
static lm_u128 round_half_even(lm_u128 quotient, lm_u128 remainder, lm_u128 divisor) {
    lm_u128 twice = remainder * 2;
    if (twice > divisor || (twice == divisor && (quotient & 1))) quotient++;
    return quotient;
}

loam_status lm_money_charge(lm_u128 quantity, int64_t price_micros, lm_u128 divisor,
                            int64_t *out_micros, loam_error *err) {
    LM_ASSERT(price_micros >= 0 && divisor > 0 && divisor >> 127 == 0);
    lm_u128 quotient, remainder;
    bool fits = divide(multiply(quantity, (uint64_t)price_micros), divisor, &quotient, &remainder);
    if (fits) quotient = round_half_even(quotient, remainder, divisor);
    if (!fits || quotient > INT64_MAX)
        return lm_error_set(err, LOAM_LIMIT, "the amount is too large to be booked");
    *out_micros = (int64_t)quotient;
    return LOAM_OK;
}

static uint64_t magnitude(int64_t number) {
    return number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
}

void lm_i64_format_grouped(int64_t number, char out[LM_MONEY_TEXT_BYTES]) {
    char digits[24];
    int n = snprintf(digits, sizeof digits, "%" PRIu64, magnitude(number)), used = 0;
    if (number < 0) out[used++] = '-';
    for (int i = 0; i < n; i++) {
        if (i > 0 && (n - i) % 3 == 0) out[used++] = ',';
        out[used++] = digits[i];
    }
    out[used] = '\0';
}

void lm_money_format(int64_t micros, const char *currency, char out[LM_MONEY_TEXT_BYTES]) {
    enum { MICROS_PER_CENT = LM_MICROS / 100 };
    uint64_t size = magnitude(micros);
    if (size < MICROS_PER_CENT) {
        char small[LM_MONEY_TEXT_BYTES];
        lm_money_format_full(micros, small);
        snprintf(out, LM_MONEY_TEXT_BYTES, "%.16s%s%.8s", small, currency ? " " : "",
                 currency ? currency : "");
        return;
    }
    uint64_t cents =
        (uint64_t)round_half_even(size / MICROS_PER_CENT, size % MICROS_PER_CENT, MICROS_PER_CENT);
    char whole[LM_MONEY_TEXT_BYTES];
    lm_i64_format_grouped((int64_t)(cents / 100), whole);
    snprintf(out, LM_MONEY_TEXT_BYTES, "%s%.32s.%02d%s%.8s", micros < 0 && cents ? "-" : "", whole,
             (int)(cents % 100), currency ? " " : "", currency ? currency : "");
}

void lm_money_format_exact(int64_t micros, char out[LM_MONEY_TEXT_BYTES]) {
    uint64_t size = magnitude(micros);
    snprintf(out, LM_MONEY_TEXT_BYTES, "%s%" PRIu64 ".%06d", micros < 0 ? "-" : "",
             size / LM_MICROS, (int)(size % LM_MICROS));
}

void lm_money_format_full(int64_t micros, char out[LM_MONEY_TEXT_BYTES]) {
    lm_money_format_exact(micros, out);
    size_t len = strlen(out), shortest = (size_t)(strchr(out, '.') - out) + strlen(".00");
    while (len > shortest && out[len - 1] == '0') out[--len] = '\0';
}

/* Adds one decimal digit; false on overflow. */
static bool push_digit(int64_t *number, int digit) {
    return !__builtin_mul_overflow(*number, 10, number) &&
           !__builtin_add_overflow(*number, digit, number);
}

loam_status lm_money_parse(const char *text, int64_t *out_micros, loam_error *err) {
    int64_t number = 0;
    int places = -1, n_digits = 0; /* places: digits seen after the point, -1 before it */
    bool ok = true;
    for (const char *c = text; *c && ok; c++) {
        if (*c == '.' && places < 0) {
            places = 0;
        } else if (*c >= '0' && *c <= '9') {
            ok = push_digit(&number, *c - '0') && places < 6;
            n_digits++;
            if (places >= 0) places++;
        } else {
            ok = *c == ',' && places < 0 && n_digits > 0;
        }
    }
    for (int i = places < 0 ? 0 : places; i < 6 && ok; i++) ok = push_digit(&number, 0);
    if (!ok || n_digits == 0)
        return lm_error_set(err, LOAM_INVALID, "'%s' is not an amount like 120000 or 0.25", text);
    *out_micros = number;
    return LOAM_OK;
}

void lm_u128_format_scaled(lm_u128 value, lm_u128 scale, int places,
                           char out[LM_MONEY_TEXT_BYTES]) {
    lm_u128 rest = value % scale;
    char fraction[16];
    LM_ASSERT(places < (int)sizeof fraction);
    for (int i = 0; i < places; i++) {
        rest *= 10;
        fraction[i] = (char)('0' + (int)(rest / scale));
        rest %= scale;
    }
    fraction[places] = '\0';
    lm_u128 whole = value / scale;
    if (whole > UINT64_MAX) whole = UINT64_MAX;
    snprintf(out, LM_MONEY_TEXT_BYTES, "%" PRIu64 "%s%s", (uint64_t)whole, places ? "." : "",
             fraction);
}
