/* Appending: equal to one build, what it tells, and a log that a mistake leaves as it was. */
#include "testsupport.h"

/* The arrays outlive the columns, which only point to them. */
static churn_columns *columns(const char *const *ids, const int64_t *days, const double *values,
                              size_t rows) {
    churn_error *error = NULL;
    churn_columns *made = NULL;
    OK(churn_columns_new(&made, &error));
    OK(churn_columns_set_texts(made, CHURN_COLUMN_CUSTOMER, ids, rows, &error));
    OK(churn_columns_set_times(made, days, rows, "D", &error));
    OK(churn_columns_set_kind(made, CHURN_KIND_PURCHASE, &error));
    OK(churn_columns_set_values(made, values, rows, &error));
    return made;
}

static churn_event_log *build(churn_columns *columns) {
    churn_error *error = NULL;
    churn_event_log *log = NULL;
    OK(churn_event_log_build(columns, NULL, NULL, &log, &error));
    churn_columns_free(columns);
    return log;
}

static const char *const IDS[] = {"bea", "dan", "bea", "ann", "cem", NULL};
static const int64_t DAYS[] = {10, 12, 30, 11, 29, 31};
static const double VALUES[] = {1.0, 2.0, 4.0, 8.0, 16.0, 32.0};

static void equals_one_build(void) {
    churn_error *error = NULL;
    churn_event_log *log = build(columns(IDS, DAYS, VALUES, 3));
    churn_columns *late = columns(IDS + 3, DAYS + 3, VALUES + 3, 3);
    churn_appended *appended = NULL;
    OK(churn_event_log_append(log, late, NULL, &appended, &error));
    CHECK(churn_appended_new_customers(appended) == 2);
    CHECK(churn_appended_touched_count(appended) == 2);
    const size_t *touched = churn_appended_touched(appended);
    CHECK(touched[0] == 0 && touched[1] == 2); /* ann and cem among ann, bea, cem, dan */
    uint64_t in = 0, kept = 0;
    double money = 0;
    OK(churn_cleaning_report_rows(churn_appended_report(appended), &in, &kept, &error));
    CHECK(in == 3 && kept == 2);
    OK(churn_cleaning_report_dropped(churn_appended_report(appended), "missing_customer", NULL,
                                     &money, &error));
    CHECK(money == 32.0);

    /* The log shows the new state, and gives the bits of a log built at once. */
    churn_event_log *all = build(columns(IDS, DAYS, VALUES, 6));
    CHECK(churn_event_log_len(log) == 5 && churn_event_log_len(all) == 5);
    CHECK(churn_customers_len(churn_event_log_customers(log)) == 4);
    SAME_TEXT(churn_cleaning_report_text(churn_event_log_report(log)),
              churn_cleaning_report_text(churn_event_log_report(all)));
    churn_feature_table *a = NULL, *b = NULL;
    OK(churn_feature_table_build(log, "1970-03-01", NULL, NULL, &a, NULL, &error));
    OK(churn_feature_table_build(all, "1970-03-01", NULL, NULL, &b, NULL, &error));
    for (size_t i = 0; i < churn_feature_table_feature_count(a); i++) {
        const double *x = NULL, *y = NULL;
        OK(churn_feature_table_column_at(a, i, &x, &error));
        OK(churn_feature_table_column_at(b, i, &y, &error));
        CHECK(memcmp(x, y, 4 * sizeof *x) == 0);
    }

    /* What an append told, and the tables, do not need the log or the batch. */
    churn_columns_free(late);
    churn_event_log_free(log);
    churn_event_log_free(all);
    CHECK(churn_appended_touched(appended)[1] == 2);
    CHECK(churn_feature_table_len(a) == 4);
    churn_appended_free(appended);
    churn_feature_table_free(a);
    churn_feature_table_free(b);
}

static void mistakes_leave_the_log(void) {
    churn_error *error = NULL;
    churn_event_log *log = build(columns(IDS, DAYS, VALUES, 3));
    churn_appended *appended = NULL;
    const double negative[] = {1.0, -1.0};
    churn_columns *wrong = columns(IDS, DAYS, negative, 2);
    FAILS_AT(churn_event_log_append(log, wrong, NULL, &appended, &error), CHURN_INVALID_VALUE,
             "events.value");
    const int64_t numbers[] = {1, 2};
    churn_columns *other = columns(IDS, DAYS, VALUES, 2);
    OK(churn_columns_set_int64(other, CHURN_COLUMN_CUSTOMER, numbers, 2, &error));
    FAILS_AT(churn_event_log_append(log, other, NULL, &appended, &error), CHURN_INVALID_VALUE,
             "events.customer");
    churn_columns *right = columns(IDS, DAYS, VALUES, 2);
    churn_progress *progress = NULL;
    OK(churn_progress_new(&progress, &error));
    OK(churn_progress_cancel(progress, &error));
    CHECK(churn_event_log_append(log, right, progress, &appended, &error) == CHURN_CANCELLED);
    churn_error_free(error);
    error = NULL;
    FAILS_AT(churn_event_log_append(NULL, right, NULL, &appended, &error), CHURN_NULL_POINTER,
             "log");
    FAILS_AT(churn_event_log_append(log, NULL, NULL, &appended, &error), CHURN_NULL_POINTER,
             "columns");
    CHECK(appended == NULL);
    CHECK(churn_event_log_len(log) == 3);

    /* Nobody wants to know: nothing leaks. */
    OK(churn_event_log_append(log, right, NULL, NULL, &error));
    CHECK(churn_event_log_len(log) == 5);
    churn_progress_free(progress);
    churn_columns_free(wrong);
    churn_columns_free(other);
    churn_columns_free(right);
    churn_event_log_free(log);
}

int main(void) {
    equals_one_build();
    mistakes_leave_the_log();
    churn_appended_free(NULL);
    CHECK(churn_appended_touched(NULL) == NULL && churn_appended_touched_count(NULL) == 0);
    CHECK(churn_appended_new_customers(NULL) == 0 && churn_appended_report(NULL) == NULL);
    return 0;
}
