/* The event log from columns: all types, missing cells, cleaning, bad input, ownership. */
#include "testsupport.h"

static const int64_t DAYS[] = {10, 11, 12, 12};
static const double VALUES[] = {9.5, 20.0, 3.0, 4.0};

static churn_columns *columns_with_times(void) {
    churn_error *error = NULL;
    churn_columns *columns = NULL;
    OK(churn_columns_new(&columns, &error));
    OK(churn_columns_set_times(columns, DAYS, COUNT(DAYS), "D", &error));
    OK(churn_columns_set_kind(columns, CHURN_KIND_PURCHASE, &error));
    OK(churn_columns_set_values(columns, VALUES, COUNT(VALUES), &error));
    return columns;
}

static churn_event_log *build(churn_columns *columns, const char *cleaning) {
    churn_error *error = NULL;
    churn_event_log *log = NULL;
    OK(churn_event_log_build(columns, cleaning, NULL, &log, &error));
    churn_columns_free(columns);
    return log;
}

static void integer_ids(void) {
    churn_error *error = NULL;
    churn_columns *columns = columns_with_times();
    /* The log must not depend on the arrays once it is built. */
    int64_t *ids = malloc(4 * sizeof *ids);
    CHECK(ids != NULL);
    ids[0] = 7, ids[1] = -2, ids[2] = 7, ids[3] = 5;
    OK(churn_columns_set_int64(columns, CHURN_COLUMN_CUSTOMER, ids, 4, &error));
    churn_event_log *log = build(columns, NULL);
    free(ids);

    CHECK(churn_event_log_len(log) == 4);
    const churn_customers *customers = churn_event_log_customers(log);
    CHECK(churn_customers_len(customers) == 3);
    CHECK(churn_customers_id_type(customers) == CHURN_ID_INT64);
    int64_t id = 0;
    OK(churn_customers_int64(customers, 0, &id, &error));
    CHECK(id == -2);
    size_t row = 99;
    OK(churn_customers_find_int64(customers, 7, &row, &error));
    CHECK(row == 2);
    FAILS(churn_customers_find_int64(customers, 8, &row, &error), CHURN_UNKNOWN_NAME,
          "customer: expected one of 3 customers, got 8");
    CHECK(row == 2);
    FAILS(churn_customers_int64(customers, 3, &id, &error), CHURN_INVALID_PARAMETER,
          "row: expected a number below 3, got 3");
    uint64_t unsigned_id = 0;
    FAILS(churn_customers_uint64(customers, 0, &unsigned_id, &error), CHURN_INVALID_PARAMETER,
          "customers: expected an unsigned integer id, got signed integer ids");
    char buffer[8];
    size_t length = 0;
    OK(churn_customers_format(customers, 0, buffer, sizeof buffer, &length, &error));
    SAME_TEXT(buffer, "-2");
    CHECK(length == 2);
    FAILS(churn_customers_format(customers, 0, buffer, 2, NULL, &error), CHURN_INVALID_PARAMETER,
          "capacity: expected room for 3 bytes, got 2");
    OK(churn_customers_format(customers, 0, buffer, 3, NULL, &error));

    int64_t first = 0, last = 0;
    OK(churn_event_log_time_range(log, &first, &last, &error));
    CHECK(first == 10 * INT64_C(86400000000));
    CHECK(last == 12 * INT64_C(86400000000));
    churn_event_log_free(log);
}

static void unsigned_ids(void) {
    churn_error *error = NULL;
    churn_columns *columns = columns_with_times();
    const uint64_t ids[] = {UINT64_MAX, 1, UINT64_MAX, 1};
    const uint8_t valid[] = {1, 1, 1, 0};
    OK(churn_columns_set_uint64(columns, CHURN_COLUMN_CUSTOMER, ids, 4, &error));
    OK(churn_columns_set_valid(columns, CHURN_COLUMN_CUSTOMER, valid, 4, &error));
    churn_event_log *log = build(columns, NULL);
    const churn_customers *customers = churn_event_log_customers(log);
    CHECK(churn_customers_id_type(customers) == CHURN_ID_UINT64);
    uint64_t id = 0;
    OK(churn_customers_uint64(customers, 1, &id, &error));
    CHECK(id == UINT64_MAX);
    size_t row = 99;
    OK(churn_customers_find_uint64(customers, UINT64_MAX, &row, &error));
    CHECK(row == 1);

    uint64_t rows_in = 0, rows_kept = 0, dropped = 0;
    double money = 0.0;
    const churn_cleaning_report *report = churn_event_log_report(log);
    OK(churn_cleaning_report_rows(report, &rows_in, &rows_kept, &error));
    CHECK(rows_in == 4 && rows_kept == 3);
    OK(churn_cleaning_report_dropped(report, "missing_customer", &dropped, &money, &error));
    CHECK(dropped == 1 && money == 4.0);
    OK(churn_cleaning_report_dropped(report, "duplicate", &dropped, NULL, &error));
    CHECK(dropped == 0);
    CHECK(churn_cleaning_report_dropped(report, "boredom", &dropped, &money, &error) ==
          CHURN_UNKNOWN_NAME);
    SAME_TEXT(churn_error_what(error), "reason");
    churn_error_free(error);
    error = NULL;
    CHECK(strstr(churn_cleaning_report_text(report), "missing_customer") != NULL);
    FAILS_AT(churn_cleaning_report_rows(NULL, &rows_in, NULL, &error), CHURN_NULL_POINTER, "report");
    churn_event_log_free(log);
}

/* The same texts in the three layouts must give the same log. */
static void text_ids(void) {
    churn_error *error = NULL;
    const char *pointers[] = {"bea", "ann", NULL, "\xc3\xbc" "rs"};
    const char bytes[] = "beaann\xc3\xbcrs";
    const int64_t offsets[] = {0, 3, 6, 6, 10};
    const uint32_t codes[] = {2, 0, 3, 1};
    const char *names[] = {"ann", "\xc3\xbc" "rs", "bea", ""};
    for (int layout = 0; layout < 3; layout++) {
        churn_columns *columns = columns_with_times();
        switch (layout) {
        case 0:
            OK(churn_columns_set_texts(columns, CHURN_COLUMN_CUSTOMER, pointers, 4, &error));
            break;
        case 1:
            OK(churn_columns_set_packed_texts(columns, CHURN_COLUMN_CUSTOMER, bytes,
                                              sizeof bytes - 1, offsets, 4, &error));
            break;
        default:
            OK(churn_columns_set_coded_texts(columns, CHURN_COLUMN_CUSTOMER, codes, 4, names, 4,
                                             &error));
        }
        churn_event_log *log = build(columns, NULL);
        CHECK(churn_event_log_len(log) == 3);
        const churn_customers *customers = churn_event_log_customers(log);
        CHECK(churn_customers_len(customers) == 3);
        CHECK(churn_customers_id_type(customers) == CHURN_ID_TEXT);
        const char *text = NULL;
        size_t length = 0, row = 99;
        OK(churn_customers_text(customers, 2, &text, &length, &error));
        CHECK(length == 4 && memcmp(text, "\xc3\xbcrs", 4) == 0);
        OK(churn_customers_find_text(customers, "bea", &row, &error));
        CHECK(row == 1);
        char buffer[16];
        OK(churn_customers_format(customers, 0, buffer, sizeof buffer, NULL, &error));
        SAME_TEXT(buffer, "ann");
        churn_event_log_free(log);
    }
}

static void all_columns(void) {
    churn_error *error = NULL;
    churn_columns *columns = columns_with_times();
    const int64_t ids[] = {1, 1, 2, 2};
    const char *kinds[] = {"bought", "message_sent", "message_sent", "view"};
    const char *channels[] = {NULL, "sms", "email", NULL};
    const uint64_t orders[] = {5, 0, 0, 0};
    const uint8_t order_valid[] = {1, 0, 0, 0};
    const char *items[] = {"soap", NULL, NULL, "soap"};
    OK(churn_columns_set_int64(columns, CHURN_COLUMN_CUSTOMER, ids, 4, &error));
    OK(churn_columns_set_texts(columns, CHURN_COLUMN_KIND, kinds, 4, &error));
    OK(churn_columns_set_texts(columns, CHURN_COLUMN_CHANNEL, channels, 4, &error));
    OK(churn_columns_set_uint64(columns, CHURN_COLUMN_ORDER, orders, 4, &error));
    OK(churn_columns_set_valid(columns, CHURN_COLUMN_ORDER, order_valid, 4, &error));
    OK(churn_columns_set_texts(columns, CHURN_COLUMN_ITEM, items, 4, &error));
    churn_event_log *log = NULL;
    CHECK(churn_event_log_build(columns, NULL, NULL, &log, &error) == CHURN_INVALID_VALUE);
    SAME_TEXT(churn_error_what(error), "events.kind");
    SAME_TEXT(churn_error_got(error), "\"bought\"");
    CHECK(churn_error_row(error) == 0);
    churn_error_free(error);
    error = NULL;
    CHECK(log == NULL);
    log = build(columns, "{\"kinds\": {\"bought\": \"purchase\"}}");
    CHECK(churn_event_log_channel_count(log) == 2);
    const char *name = NULL;
    OK(churn_event_log_channel(log, 0, &name, &error));
    SAME_TEXT(name, "email");
    OK(churn_event_log_channel(log, 1, &name, &error));
    SAME_TEXT(name, "sms");
    FAILS(churn_event_log_channel(log, 2, &name, &error), CHURN_INVALID_PARAMETER,
          "index: expected a number below 2, got 2");
    churn_event_log_free(log);
}

static void bad_input_is_named(void) {
    churn_error *error = NULL;
    churn_event_log *log = NULL;
    const int64_t ids[] = {1, 1, 2, 2};
    const double negative[] = {1.0, 2.0, -3.0, 4.0};

    churn_columns *columns = columns_with_times();
    FAILS(churn_event_log_build(columns, NULL, NULL, &log, &error), CHURN_INVALID_PARAMETER,
          "events.customer: expected a column, got none");
    OK(churn_columns_set_int64(columns, CHURN_COLUMN_CUSTOMER, ids, 3, &error));
    FAILS(churn_event_log_build(columns, NULL, NULL, &log, &error), CHURN_LENGTH_MISMATCH,
          "events.time: expected 3 rows, got 4");
    OK(churn_columns_set_int64(columns, CHURN_COLUMN_CUSTOMER, ids, 4, &error));
    OK(churn_columns_set_values(columns, negative, 4, &error));
    CHECK(churn_event_log_build(columns, NULL, NULL, &log, &error) == CHURN_INVALID_VALUE);
    SAME_TEXT(churn_error_what(error), "events.value");
    CHECK(churn_error_row(error) == 2);
    churn_error_free(error);
    error = NULL;
    /* Settings: the field and the line. */
    CHECK(churn_event_log_build(columns, "{\n \"negative\": 1}", NULL, &log, &error) ==
          CHURN_INVALID_PARAMETER);
    SAME_TEXT(churn_error_what(error), "cleaning");
    CHECK(churn_error_line(error) == 2);
    CHECK(strstr(churn_error_got(error), "negative") != NULL);
    churn_error_free(error);
    error = NULL;
    FAILS(churn_event_log_build(columns, NULL, NULL, NULL, &error), CHURN_NULL_POINTER,
          "log: expected a pointer, got NULL");

    FAILS(churn_columns_set_int64(columns, CHURN_COLUMN_KIND, ids, 4, &error),
          CHURN_INVALID_PARAMETER,
          "column: expected a column that may hold integers, got events.kind");
    FAILS(churn_columns_set_int64(columns, 0, ids, 4, &error), CHURN_INVALID_PARAMETER,
          "column: expected one of the codes CHURN_COLUMN_\xe2\x80\xa6, got 0");
    FAILS(churn_columns_set_valid(columns, 8, NULL, 0, &error), CHURN_INVALID_PARAMETER,
          "column: expected one of the codes CHURN_COLUMN_\xe2\x80\xa6, got 8");
    /* An address that no double can have. */
    OK(churn_columns_set_values(columns, (const double *)((uintptr_t)negative + 1), 3, &error));
    FAILS(churn_event_log_build(columns, NULL, NULL, &log, &error), CHURN_INVALID_PARAMETER,
          "events.value: expected an aligned pointer, got an address that is not a multiple of 8");
    OK(churn_columns_set_values(columns, VALUES, 4, &error));

    const uint8_t flags[] = {1, 1, 1, 1};
    OK(churn_columns_set_valid(columns, CHURN_COLUMN_CHANNEL, flags, 4, &error));
    FAILS(churn_event_log_build(columns, NULL, NULL, &log, &error), CHURN_INVALID_PARAMETER,
          "events.channel: expected a column, got none");
    OK(churn_columns_set_valid(columns, CHURN_COLUMN_CHANNEL, NULL, 0, &error));
    OK(churn_columns_set_valid(columns, CHURN_COLUMN_VALUE, flags, 3, &error));
    FAILS(churn_event_log_build(columns, NULL, NULL, &log, &error), CHURN_LENGTH_MISMATCH,
          "events.value.valid: expected 4 rows, got 3");
    CHECK(log == NULL);
    churn_columns_free(columns);
}

static void bad_texts_are_named(void) {
    churn_error *error = NULL;
    churn_event_log *log = NULL;
    churn_columns *columns = columns_with_times();
    const char *not_utf8[] = {"a", "b", "c\xfe", "d"};
    OK(churn_columns_set_texts(columns, CHURN_COLUMN_CUSTOMER, not_utf8, 4, &error));
    FAILS(churn_event_log_build(columns, NULL, NULL, &log, &error), CHURN_INVALID_VALUE,
          "events.customer[2]: expected text in UTF-8, got byte 0xfe at offset 1");
    const int64_t beyond[] = {0, 1, 2, 9, 3};
    OK(churn_columns_set_packed_texts(columns, CHURN_COLUMN_CUSTOMER, "abc", 3, beyond, 4,
                                      &error));
    FAILS(churn_event_log_build(columns, NULL, NULL, &log, &error), CHURN_INVALID_VALUE,
          "events.customer[2]: expected offsets that ascend from 0 to 3 and split no character, "
          "got 9");
    const int64_t back[] = {0, 2, 1, 3, 3};
    OK(churn_columns_set_packed_texts(columns, CHURN_COLUMN_CUSTOMER, "abc", 3, back, 4, &error));
    CHECK(churn_event_log_build(columns, NULL, NULL, &log, &error) == CHURN_INVALID_VALUE);
    CHECK(churn_error_row(error) == 1);
    churn_error_free(error);
    error = NULL;
    const uint32_t codes[] = {0, 1, 0, 2};
    const char *names[] = {"a", "b"};
    OK(churn_columns_set_coded_texts(columns, CHURN_COLUMN_CUSTOMER, codes, 4, names, 2, &error));
    FAILS(churn_event_log_build(columns, NULL, NULL, &log, &error), CHURN_INVALID_VALUE,
          "events.customer[3]: expected a code below 2, got 2");
    churn_columns_free(columns);
}

/* What was read differently or kept against suspicion is counted with its money. */
static void report_counts_money(void) {
    static const char csv[] =
        "customer,time,value\n"
        "ann,2020-01-05,10\n"
        "ann,2020-01-05,10\n"
        "ann,2020-02-05,-4\n";
    churn_error *error = NULL;
    churn_event_log *log = NULL;
    OK(churn_event_log_read_csv((const uint8_t *)csv, sizeof csv - 1, NULL,
                                "{\"negative_value\": \"refund\"}", NULL, &log, &error));
    const churn_cleaning_report *report = churn_event_log_report(log);
    double purchases = 0, refunds = 0, money = 0;
    uint64_t rows = 0;
    OK(churn_cleaning_report_money(report, &purchases, &refunds, &error));
    CHECK(purchases == 20.0 && refunds == 4.0);
    OK(churn_cleaning_report_money(report, NULL, NULL, &error));
    OK(churn_cleaning_report_read_as_refund(report, &rows, &money, &error));
    CHECK(rows == 1 && money == 4.0);
    OK(churn_cleaning_report_duplicates_kept(report, &rows, &money, &error));
    CHECK(rows == 1 && money == 10.0);
    churn_event_log_free(log);
}

static void empty_log(void) {
    churn_error *error = NULL;
    churn_columns *columns = NULL;
    OK(churn_columns_new(&columns, &error));
    OK(churn_columns_set_int64(columns, CHURN_COLUMN_CUSTOMER, NULL, 0, &error));
    OK(churn_columns_set_times(columns, NULL, 0, "us", &error));
    OK(churn_columns_set_kind_codes(columns, NULL, 0, &error));
    churn_event_log *log = build(columns, NULL);
    CHECK(churn_event_log_len(log) == 0);
    CHECK(churn_customers_len(churn_event_log_customers(log)) == 0);
    CHECK(churn_customers_id_type(churn_event_log_customers(log)) == 0);
    int64_t first = 1, last = 2;
    FAILS(churn_event_log_time_range(log, &first, &last, &error), CHURN_NOT_ENOUGH_DATA,
          "events: expected at least one event, got none");
    CHECK(first == 1 && last == 2);
    churn_event_log_free(log);
}

int main(void) {
    integer_ids();
    unsigned_ids();
    text_ids();
    all_columns();
    bad_input_is_named();
    bad_texts_are_named();
    report_counts_money();
    empty_log();
    CHECK(churn_cleaning_report_text(NULL) == NULL);
    return 0;
}
