/* Money: integer micro-units (a millionth) of a currency, never a float. Any thread.
 *
 * Amounts are quantity times price over a divisor, computed in full (192 bits in between) and rounded once, half to even. */
#ifndef LM_CLOUD_MONEY_H
#define LM_CLOUD_MONEY_H

#include <stdint.h>

#include "base/str.h"

enum { LM_MICROS = 1000000, LM_MONEY_TEXT_BYTES = 48 };

typedef unsigned __int128 lm_u128;

/* quantity * price_micros / divisor, rounded half to even. price >= 0, 0 < divisor < 2^127. LOAM_LIMIT when the result does
 * not fit int64. */
loam_status lm_money_charge(lm_u128 quantity, int64_t price_micros, lm_u128 divisor,
                            int64_t *out_micros, loam_error *err) LM_MUST_USE;

/* "63,863.01 CNY": rounded half to even to two places, for people; amounts below a cent show all their places. With currency
 * NULL: the number alone. */
void lm_money_format(int64_t micros, const char *currency, char out[LM_MONEY_TEXT_BYTES]);

/* "-12,345,678": digits in groups of three. */
void lm_i64_format_grouped(int64_t number, char out[LM_MONEY_TEXT_BYTES]);

/* "63863.013698": all six places, for machines (CSV). */
void lm_money_format_exact(int64_t micros, char out[LM_MONEY_TEXT_BYTES]);

/* "63863.013698", "120000.00": all the places it has, at least two, so that what is added up adds up. */
void lm_money_format_full(int64_t micros, char out[LM_MONEY_TEXT_BYTES]);

/* "120000", "0.5", "1,250.25": at most six places after the point. LOAM_INVALID otherwise. */
loam_status lm_money_parse(const char *text, int64_t *out_micros, loam_error *err) LM_MUST_USE;

/* Decimal text of a 128-bit number divided by 10^scale, with `places` digits after the point (the rest cut): FLOPs as P·h
 * and the like. */
void lm_u128_format_scaled(lm_u128 value, lm_u128 scale, int places, char out[LM_MONEY_TEXT_BYTES]);

#endif
