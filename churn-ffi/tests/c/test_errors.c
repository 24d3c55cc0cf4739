/* Error objects, NULL arguments, freeing NULL. */
#include "testsupport.h"

static void names_of_statuses(void) {
    SAME_TEXT(churn_status_name(CHURN_OK), "Ok");
    SAME_TEXT(churn_status_name(CHURN_INVALID_VALUE), "InvalidValue");
    SAME_TEXT(churn_status_name(CHURN_PANIC), "Panic");
    SAME_TEXT(churn_status_name(12345), "Unknown");
    CHECK(strlen(churn_version()) >= 5);
}

static void getters_of_null(void) {
    CHECK(churn_error_code(NULL) == CHURN_OK);
    CHECK(churn_error_kind(NULL) == NULL);
    CHECK(churn_error_message(NULL) == NULL);
    CHECK(churn_error_what(NULL) == NULL);
    CHECK(churn_error_expected(NULL) == NULL);
    CHECK(churn_error_got(NULL) == NULL);
    CHECK(churn_error_row(NULL) == -1);
    CHECK(churn_error_line(NULL) == -1);
    CHECK(churn_event_log_len(NULL) == 0);
    CHECK(churn_event_log_customers(NULL) == NULL);
    CHECK(churn_event_log_channel_count(NULL) == 0);
    CHECK(churn_event_log_report(NULL) == NULL);
    CHECK(churn_customers_len(NULL) == 0);
    CHECK(churn_customers_id_type(NULL) == 0);
}

static void freeing_null(void) {
    churn_error_free(NULL);
    churn_columns_free(NULL);
    churn_event_log_free(NULL);
    churn_progress_free(NULL);
}

static void null_is_reported_by_name(void) {
    churn_error *error = NULL;
    FAILS(churn_columns_new(NULL, &error), CHURN_NULL_POINTER,
          "columns: expected a pointer, got NULL");
    FAILS(churn_columns_set_kind(NULL, CHURN_KIND_VIEW, &error), CHURN_NULL_POINTER,
          "columns: expected a pointer, got NULL");
    churn_event_log *log = NULL;
    FAILS(churn_event_log_build(NULL, NULL, NULL, &log, &error), CHURN_NULL_POINTER,
          "columns: expected a pointer, got NULL");
    CHECK(log == NULL);

    churn_columns *columns = NULL;
    OK(churn_columns_new(&columns, &error));
    FAILS(churn_columns_set_int64(columns, CHURN_COLUMN_CUSTOMER, NULL, 3, &error),
          CHURN_NULL_POINTER, "cells: expected a pointer, got NULL");
    FAILS(churn_columns_set_times(columns, NULL, 0, NULL, &error), CHURN_NULL_POINTER,
          "unit: expected a pointer, got NULL");
    FAILS(churn_columns_set_packed_texts(columns, CHURN_COLUMN_KIND, NULL, 0, NULL, 0, &error),
          CHURN_NULL_POINTER, "offsets: expected a pointer, got NULL");
    /* Nobody wants the object: the status alone comes back, and nothing leaks. */
    CHECK(churn_columns_set_times(columns, NULL, 0, NULL, NULL) == CHURN_NULL_POINTER);
    churn_columns_free(columns);
}

static void the_error_is_an_object(void) {
    churn_error *error = NULL;
    churn_columns *columns = NULL;
    OK(churn_columns_new(&columns, &error));
    CHECK(churn_columns_set_times(columns, NULL, 0, "fortnight", &error) == CHURN_UNKNOWN_NAME);
    churn_error *first = error;
    error = NULL;
    /* A later error does not touch an earlier one. */
    FAILS(churn_columns_set_kind(columns, 99, &error), CHURN_INVALID_PARAMETER,
          "kind: expected one of the codes CHURN_KIND_\xe2\x80\xa6, got 99");
    CHECK(churn_error_code(first) == CHURN_UNKNOWN_NAME);
    SAME_TEXT(churn_error_kind(first), "UnknownName");
    SAME_TEXT(churn_error_what(first), "time_unit");
    SAME_TEXT(churn_error_expected(first), "one of D, s, ms, us, ns");
    SAME_TEXT(churn_error_got(first), "\"fortnight\"");
    SAME_TEXT(churn_error_message(first),
              "time_unit: expected one of D, s, ms, us, ns, got \"fortnight\"");
    CHECK(churn_error_row(first) == -1);
    CHECK(churn_error_line(first) == -1);
    churn_error_free(first);
    churn_columns_free(columns);
}

static void text_must_be_utf8(void) {
    churn_error *error = NULL;
    churn_columns *columns = NULL;
    OK(churn_columns_new(&columns, &error));
    FAILS(churn_columns_set_times(columns, NULL, 0, "m\xffs", &error), CHURN_INVALID_PARAMETER,
          "unit: expected text in UTF-8, got byte 0xff at offset 1");
    churn_columns_free(columns);
}

int main(void) {
    names_of_statuses();
    getters_of_null();
    freeing_null();
    null_is_reported_by_name();
    the_error_is_an_object();
    text_must_be_utf8();
    return 0;
}
