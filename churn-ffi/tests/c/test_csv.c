/* The event log from CSV bytes, plain and gzip. */
#include "testsupport.h"

static const char FILE_TEXT[] =
    "CustomerID,InvoiceDate,InvoiceNo,Quantity,UnitPrice\n"
    "17850,2010-12-01 08:26:00,536365,6,2.55\n"
    "17850,2010-12-01 08:26:00,536365,2,3.00\n"
    ",2010-12-02 10:00:00,536366,1,9.00\n"
    "13047,2010-12-03 09:00:00,536367,-4,1.25\n";

/* "customer,time\nann,2020-01-01\nbea,2020-01-02\n", compressed by gzip. */
static const uint8_t GZIPPED[] = {
    0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0x4b, 0x2e,
    0x2d, 0x2e, 0xc9, 0xcf, 0x4d, 0x2d, 0xd2, 0x29, 0xc9, 0xcc, 0x4d, 0xe5,
    0x4a, 0xcc, 0xcb, 0xd3, 0x31, 0x32, 0x30, 0x32, 0xd0, 0x35, 0x30, 0x04,
    0x22, 0xae, 0xa4, 0xd4, 0x44, 0x04, 0xd7, 0x88, 0x0b, 0x00, 0xf3, 0xae,
    0xe8, 0x6e, 0x2c, 0x00, 0x00, 0x00,
};

static const char OPTIONS[] =
    "{\"names\": {\"customer\": \"CustomerID\", \"time\": \"InvoiceDate\", \"order\": \"InvoiceNo\","
    " \"value\": \"Quantity*UnitPrice\"}}";

static void plain(void) {
    churn_error *error = NULL;
    churn_event_log *log = NULL;
    OK(churn_event_log_read_csv((const uint8_t *)FILE_TEXT, strlen(FILE_TEXT), OPTIONS,
                                "{\"negative_value\": \"refund\"}", NULL, &log, &error));
    CHECK(churn_event_log_len(log) == 3);
    CHECK(churn_customers_len(churn_event_log_customers(log)) == 2);
    size_t row = 99;
    char id[16];
    OK(churn_customers_format(churn_event_log_customers(log), 1, id, sizeof id, NULL, &error));
    SAME_TEXT(id, "17850");
    if (churn_customers_id_type(churn_event_log_customers(log)) == CHURN_ID_TEXT) {
        OK(churn_customers_find_text(churn_event_log_customers(log), "13047", &row, &error));
        CHECK(row == 0);
    }
    uint64_t dropped = 0;
    double money = 0.0;
    OK(churn_cleaning_report_dropped(churn_event_log_report(log), "missing_customer", &dropped,
                                     &money, &error));
    CHECK(dropped == 1 && money == 9.0);
    churn_event_log_free(log);
}

static void gzipped(void) {
    churn_error *error = NULL;
    churn_event_log *log = NULL;
    OK(churn_event_log_read_csv(GZIPPED, sizeof GZIPPED, NULL, NULL, NULL, &log, &error));
    CHECK(churn_event_log_len(log) == 2);
    int64_t first = 0;
    int64_t last = 0;
    OK(churn_event_log_time_range(log, &first, &last, &error));
    CHECK(first == INT64_C(1577836800000000) && last - first == INT64_C(86400000000));
    churn_event_log_free(log);
    /* Cut short: an error, not half a log. */
    log = NULL;
    CHECK(churn_event_log_read_csv(GZIPPED, sizeof GZIPPED - 12, NULL, NULL, NULL, &log, &error) ==
          CHURN_INVALID_VALUE);
    CHECK(log == NULL);
    churn_error_free(error);
}

static void bad_files_are_named(void) {
    churn_error *error = NULL;
    churn_event_log *log = NULL;
    /* Negative money is refused by default: column and row. */
    CHECK(churn_event_log_read_csv((const uint8_t *)FILE_TEXT, strlen(FILE_TEXT), OPTIONS, NULL,
                                   NULL, &log, &error) == CHURN_INVALID_VALUE);
    SAME_TEXT(churn_error_what(error), "events.value");
    CHECK(churn_error_row(error) == 3);
    churn_error_free(error);
    error = NULL;

    const char bad_time[] = "customer,time\nann,2020-01-01\nbea,soon\n";
    CHECK(churn_event_log_read_csv((const uint8_t *)bad_time, strlen(bad_time), NULL, NULL, NULL,
                                   &log, &error) == CHURN_INVALID_VALUE);
    CHECK(churn_error_row(error) == 1);
    CHECK(churn_error_line(error) == 3);
    CHECK(strstr(churn_error_got(error), "soon") != NULL);
    churn_error_free(error);
    error = NULL;

    const char no_time[] = "customer,when\nann,2020-01-01\n";
    CHECK(churn_event_log_read_csv((const uint8_t *)no_time, strlen(no_time), NULL, NULL, NULL,
                                   &log, &error) == CHURN_UNKNOWN_NAME);
    churn_error_free(error);
    error = NULL;
    CHECK(churn_event_log_read_csv(NULL, 0, NULL, NULL, NULL, &log, &error) ==
          CHURN_NOT_ENOUGH_DATA);
    churn_error_free(error);
    error = NULL;
    FAILS(churn_event_log_read_csv(NULL, 5, NULL, NULL, NULL, &log, &error), CHURN_NULL_POINTER,
          "bytes: expected a pointer, got NULL");
    CHECK(churn_event_log_read_csv((const uint8_t *)FILE_TEXT, 1, "{\"delimter\": \";\"}", NULL,
                                   NULL, &log, &error) == CHURN_INVALID_PARAMETER);
    SAME_TEXT(churn_error_what(error), "csv");
    churn_error_free(error);
    CHECK(log == NULL);
}

int main(void) {
    plain();
    gzipped();
    bad_files_are_named();
    return 0;
}
