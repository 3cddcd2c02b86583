#include "databases.h"

#include "cloud/ledger.h"
#include "cloud/money.h"
#include "cloud/month.h"
#include "cloud/table/project.h"
#include "cloud/table/migrate.h"

#define HOUR_MS INT64_C(3600000)
#define DAY_MS (24 * HOUR_MS)
static const int64_t peta = 1000000000000000;

/* A database with one project, and a ledger on it. */
typedef struct books {
    lm_db *db;
    lm_id_gen ids;
    lm_ledger *ledger;
    lm_arena arena;
    char project_id[LM_ID_BYTES];
    int64_t november_ms;
} books;

static void open_books(books *b, void **state) {
    assert_ok(lm_db_open(test_database_new(*state), &b->db, &err));
    assert_ok(lm_migrate(b->db, &err));
    lm_id_gen_init(&b->ids);
    lm_arena_init(&b->arena, 0, 0);
    lm_project project = {.name = "p"};
    lm_id_new(&b->ids, "prj", project.id);
    memcpy(b->project_id, project.id, sizeof project.id);
    assert_ok(lm_table_insert(b->db, &lm_project_table, &project, &err));
    assert_ok(lm_ledger_new(&b->ids, &b->ledger, &err));
    b->november_ms = lm_month_start_ms((lm_month){2026, 11});
}

static void close_books(books *b) {
    lm_ledger_free(b->ledger);
    lm_arena_deinit(&b->arena);
    lm_id_gen_deinit(&b->ids);
    lm_db_close(b->db);
}

static void set_price(books *b, const char *kind, const char *model, const char *unit,
                      int64_t micros, int64_t effective_ms) {
    lm_price price = {.kind = kind,
                      .model = model,
                      .unit = unit,
                      .amount_micros = micros,
                      .currency = "CNY",
                      .effective_ms = effective_ms};
    lm_id_new(&b->ids, "prc", price.id);
    assert_ok(lm_table_insert(b->db, &lm_price_table, &price, &err));
    assert_ok(lm_ledger_load(b->ledger, b->db, &err));
}

static int64_t book(books *b, lm_usage usage) {
    usage.project_id = b->project_id;
    if (!usage.kind) usage.kind = LM_USAGE_REQUEST;
    if (!usage.model) usage.model = "m";
    lm_booking booking;
    assert_ok(lm_ledger_book(b->ledger, b->db, &usage, &booking, &err));
    assert_true(booking.is_new);
    return booking.amount_micros;
}

static int64_t sum_of_charges(books *b, lm_charge_sums *sums, lm_month month) {
    lm_usage_span span = {b->project_id, lm_month_start_ms(month),
                          lm_month_start_ms(lm_month_next(month))};
    assert_ok(lm_charge_sum_up(b->db, &span, &b->arena, sums, &err));
    int64_t total = 0;
    for (size_t i = 0; i < sums->len; i++) total += sums->ptr[i].amount_micros;
    return total;
}

/* 5 PFLOPS for 30 days at 120,000 CNY per P·year, 179,000 after day 12. */
static void test_price_change_within_a_month(void **state) {
    books b;
    open_books(&b, state);
    set_price(&b, "ph_leased", "*", "p_year", INT64_C(120000) * LM_MICROS, b.november_ms - DAY_MS);
    set_price(&b, "ph_leased", "*", "p_year", INT64_C(179000) * LM_MICROS,
              b.november_ms + 12 * DAY_MS);
    int64_t micros = book(&b, (lm_usage){.reference = "lease",
                                         .kind = LM_USAGE_LEASE,
                                         .start_ms = b.november_ms,
                                         .end_ms = b.november_ms + 30 * DAY_MS,
                                         .peak_flops = 5 * peta});
    char text[LM_MONEY_TEXT_BYTES];
    lm_money_format(micros, "CNY", text);
    assert_string_equal(text, "63,863.01 CNY");
    lm_charge_sums sums = {0};
    assert_int_equal(sum_of_charges(&b, &sums, (lm_month){2026, 11}), micros);
    assert_int_equal(sums.len, 2);
    assert_int_equal(sums.ptr[0].to_ms, sums.ptr[1].from_ms);
    assert_true(sums.ptr[0].leased_flops_ms == (lm_u128)(5 * peta) * (12 * DAY_MS));
    lm_vec_deinit(&sums);
    close_books(&b);
}

/* The same month booked hour by hour differs from the whole by rounding alone: half a micro-unit a record. */
static void test_segments_add_up(void **state) {
    books b;
    open_books(&b, state);
    set_price(&b, "ph_leased", "*", "p_year", INT64_C(120000) * LM_MICROS, 1);
    set_price(&b, "ph_leased", "*", "p_year", INT64_C(179000) * LM_MICROS,
              b.november_ms + 12 * DAY_MS);
    int64_t total = 0;
    for (int hour = 0; hour < 720; hour++) {
        char reference[32];
        snprintf(reference, sizeof reference, "run/%d", hour);
        total += book(&b, (lm_usage){.reference = reference,
                                     .kind = LM_USAGE_RUN,
                                     .peak_flops = 5 * peta,
                                     .start_ms = b.november_ms + hour * HOUR_MS,
                                     .end_ms = b.november_ms + (hour + 1) * HOUR_MS});
    }
    assert_in_range(total, 63863013698 - 360, 63863013698 + 360);
    lm_charge_sums sums = {0};
    assert_int_equal(sum_of_charges(&b, &sums, (lm_month){2026, 11}), total);
    lm_vec_deinit(&sums);
    close_books(&b);
}

static void test_booked_once_and_never_repriced(void **state) {
    books b;
    open_books(&b, state);
    set_price(&b, "input_tokens", "*", "million_tokens", 2 * LM_MICROS, 1);
    set_price(&b, "output_tokens", "*", "million_tokens", 8 * LM_MICROS, 1);
    lm_usage usage = {.reference = "req_1",
                      .kind = LM_USAGE_REQUEST,
                      .project_id = b.project_id,
                      .model = "m",
                      .start_ms = b.november_ms,
                      .end_ms = b.november_ms + 5,
                      .prompt_tokens = 100,
                      .completion_tokens = 7};
    lm_booking booking;
    assert_ok(lm_ledger_book(b.ledger, b.db, &usage, &booking, &err));
    assert_true(booking.is_new);
    assert_int_equal(booking.amount_micros, 100 * 2 + 7 * 8);
    usage.completion_tokens = 9000;
    assert_ok(lm_ledger_book(b.ledger, b.db, &usage, &booking, &err));
    assert_false(booking.is_new);
    set_price(&b, "output_tokens", "*", "million_tokens", 80 * LM_MICROS, 1);
    lm_charge_sums sums = {0};
    assert_int_equal(sum_of_charges(&b, &sums, (lm_month){2026, 11}), 256);
    lm_vec_deinit(&sums);
    close_books(&b);
}

static void test_own_price_goes_before_the_general(void **state) {
    books b;
    open_books(&b, state);
    set_price(&b, "output_tokens", "big", "million_tokens", 100 * LM_MICROS, b.november_ms);
    set_price(&b, "output_tokens", "*", "million_tokens", 1 * LM_MICROS, b.november_ms + 10);
    lm_usage usage = {
        .start_ms = b.november_ms + 20, .end_ms = b.november_ms + 21, .completion_tokens = 3};
    usage.reference = "1";
    usage.model = "big";
    assert_int_equal(book(&b, usage), 300);
    usage.reference = "2";
    usage.model = "small";
    assert_int_equal(book(&b, usage), 3);
    usage.reference = "3"; /* before any price took effect for it: recorded, not charged */
    usage.start_ms = b.november_ms + 5;
    assert_int_equal(book(&b, usage), 0);
    assert_int_equal(lm_ledger_estimate(b.ledger, "big", 10, 10), 1000);
    close_books(&b);
}

static void test_months_do_not_share_a_charge(void **state) {
    books b;
    open_books(&b, state);
    set_price(&b, "ph_leased", "*", "p_hour", 10 * LM_MICROS, 1);
    int64_t micros = book(&b, (lm_usage){.reference = "r",
                                         .kind = LM_USAGE_LEASE,
                                         .start_ms = b.november_ms - 2 * HOUR_MS,
                                         .end_ms = b.november_ms + 3 * HOUR_MS,
                                         .peak_flops = peta});
    assert_int_equal(micros, 50 * LM_MICROS);
    lm_charge_sums october = {0}, november = {0};
    assert_int_equal(sum_of_charges(&b, &october, (lm_month){2026, 10}), 20 * LM_MICROS);
    assert_int_equal(sum_of_charges(&b, &november, (lm_month){2026, 11}), 30 * LM_MICROS);
    lm_vec_deinit(&october);
    lm_vec_deinit(&november);
    close_books(&b);
}

static void test_sums_beyond_64_bits(void **state) {
    books b;
    open_books(&b, state);
    for (int i = 0; i < 4; i++) {
        char reference[8];
        snprintf(reference, sizeof reference, "%d", i);
        book(&b, (lm_usage){.reference = reference,
                            .kind = LM_USAGE_RUN,
                            .flops = INT64_MAX,
                            .peak_flops = INT64_MAX / 2,
                            .start_ms = b.november_ms + i * DAY_MS,
                            .end_ms = b.november_ms + (i + 1) * DAY_MS});
    }
    lm_usage_span span = {b.project_id, b.november_ms, b.november_ms + 30 * DAY_MS};
    lm_usage_sums all = {0}, days = {0};
    assert_ok(lm_usage_sum_up(b.db, &span, LM_USAGE_IN_ALL, &b.arena, &all, &err));
    assert_int_equal(all.len, 1);
    assert_true(all.ptr[0].flops == (lm_u128)INT64_MAX * 4);
    assert_true(all.ptr[0].leased_flops_ms == (lm_u128)(INT64_MAX / 2) * (4 * DAY_MS));
    assert_ok(lm_usage_sum_up(b.db, &span, LM_USAGE_BY_DAY, &b.arena, &days, &err));
    assert_int_equal(days.len, 4);
    assert_string_equal(days.ptr[1].group, "2026-11-02");
    lm_vec_deinit(&all);
    lm_vec_deinit(&days);
    close_books(&b);
}

/* Booking into a full disk fails with words that help; what was booked stays, and the rest is booked once there is room. */
static void test_full_disk(void **state) {
    enum { N = 4000 };
    if (test_database_is_postgres(*state)) return; /* the store's tests say why */
    books b;
    open_books(&b, state);
    set_price(&b, "output_tokens", "*", "million_tokens", LM_MICROS, 1);
    assert_ok(lm_db_exec_script(b.db, "PRAGMA max_page_count = 150", &err));
    loam_error failure = {0};
    lm_usage usage = {.kind = LM_USAGE_REQUEST,
                      .project_id = b.project_id,
                      .model = "m",
                      .start_ms = b.november_ms,
                      .end_ms = b.november_ms + 1,
                      .completion_tokens = 2};
    char reference[16];
    lm_booking booking;
    int n_booked = 0;
    for (; n_booked < N && failure.status == LOAM_OK; n_booked += failure.status == LOAM_OK) {
        snprintf(reference, sizeof reference, "r%d", n_booked);
        usage.reference = reference;
        assert_ok(lm_db_begin(b.db, &err));
        if (lm_ledger_book(b.ledger, b.db, &usage, &booking, &failure) != LOAM_OK ||
            lm_db_commit(b.db, &failure) != LOAM_OK)
            lm_db_rollback(b.db);
    }
    assert_in_range(n_booked, 1, N - 1);
    assert_int_equal(failure.status, LOAM_IO);
    assert_non_null(strstr(failure.hint, "free some disk space"));
    assert_ok(lm_db_exec_script(b.db, "PRAGMA max_page_count = 100000", &err));
    for (int i = 0; i < n_booked + 10;
         i++) { /* all again, as after a crash: only what is missing is booked */
        snprintf(reference, sizeof reference, "r%d", i);
        assert_ok(lm_ledger_book(b.ledger, b.db, &usage, &booking, &err));
        assert_int_equal(booking.is_new, i >= n_booked);
    }
    lm_charge_sums sums = {0};
    assert_int_equal(sum_of_charges(&b, &sums, (lm_month){2026, 11}), (n_booked + 10) * 2);
    lm_vec_deinit(&sums);
    close_books(&b);
}

static void test_nonsense_is_refused(void **state) {
    books b;
    open_books(&b, state);
    lm_usage good = {.reference = "r",
                     .kind = LM_USAGE_RUN,
                     .project_id = b.project_id,
                     .model = "",
                     .start_ms = 10,
                     .end_ms = 20};
    lm_booking booking;
    lm_usage bad = good;
    bad.reference = "";
    assert_status(LOAM_INVALID, lm_ledger_book(b.ledger, b.db, &bad, &booking, &err));
    bad = good;
    bad.end_ms = 9;
    assert_status(LOAM_INVALID, lm_ledger_book(b.ledger, b.db, &bad, &booking, &err));
    bad = good;
    bad.flops = -1;
    assert_status(LOAM_INVALID, lm_ledger_book(b.ledger, b.db, &bad, &booking, &err));
    bad = good;
    bad.project_id = "prj_none";
    assert_status(LOAM_CONFLICT, lm_ledger_book(b.ledger, b.db, &bad, &booking, &err));
    close_books(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_price_change_within_a_month),
        cmocka_unit_test(test_segments_add_up),
        cmocka_unit_test(test_booked_once_and_never_repriced),
        cmocka_unit_test(test_own_price_goes_before_the_general),
        cmocka_unit_test(test_months_do_not_share_a_charge),
        cmocka_unit_test(test_sums_beyond_64_bits),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_nonsense_is_refused),
    };
    return test_on_databases(tests);
}
