/* The purchase summary: values against arithmetic by hand, ownership, errors. */
#include "testsupport.h"

static void values(void) {
    churn_error *error = NULL;
    churn_event_log *log = small_shop();
    churn_summary *days = NULL, *weeks = NULL;
    OK(churn_summary_build(log, "2020-04-01", NULL, NULL, &days, &error));
    OK(churn_summary_build(log, "2020-04-01", "{\"time_scale\": 7}", NULL, &weeks, &error));
    churn_event_log_free(log);

    /* cem never bought, dora buys later. */
    CHECK(churn_summary_len(days) == 2);
    const churn_customers *customers = churn_summary_customers(days);
    const char *id = NULL;
    size_t length = 0;
    OK(churn_customers_text(customers, 1, &id, &length, &error));
    CHECK(length == 3 && memcmp(id, "bea", 3) == 0);
    CHECK(churn_summary_as_of_micros(days) == INT64_C(1585699200000000));
    CHECK(churn_summary_unit_days(days) == 1.0 && churn_summary_unit_days(weeks) == 7.0);
    const double *frequency = churn_summary_frequency(days);
    const double *recency = churn_summary_recency(days);
    const double *age = churn_summary_age(days);
    const double *money = churn_summary_monetary_value(days);
    CHECK(frequency[0] == 2.0 && frequency[1] == 1.0);
    CHECK(recency[0] == 60.0 && recency[1] == 31.0);
    CHECK(age[0] == 86.0 && age[1] == 182.0);
    CHECK(money[0] == 25.0 && money[1] == 50.0);
    CHECK(churn_summary_frequency(weeks)[0] == 2.0 && churn_summary_age(weeks)[1] == 26.0);

    struct ArrowArrayStream stream;
    struct ArrowSchema schema;
    struct ArrowArray batch;
    OK(churn_summary_export(days, &stream, &error));
    churn_summary_free(days);
    churn_summary_free(weeks);
    CHECK(stream.get_schema(&stream, &schema) == 0 && schema.n_children == 6);
    SAME_TEXT(schema.children[0]->name, "customer");
    SAME_TEXT(schema.children[4]->name, "monetary_value");
    CHECK(stream.get_next(&stream, &batch) == 0 && batch.length == 2);
    const double *cells = batch.children[4]->buffers[1];
    CHECK(cells[batch.children[4]->offset] == 25.0);
    batch.release(&batch);
    schema.release(&schema);
    stream.release(&stream);
}

static void mistakes_are_named(void) {
    churn_error *error = NULL;
    churn_event_log *log = small_shop();
    churn_summary *summary = NULL;
    FAILS_AT(churn_summary_build(log, "2020-04-01", "{\"period_days\": 0}", NULL, &summary, &error),
             CHURN_INVALID_PARAMETER, "summary.period_days");
    FAILS_AT(churn_summary_build(log, "2020-04-01", "{\"periods\": 0}", NULL, &summary, &error),
             CHURN_INVALID_PARAMETER, "summary");
    FAILS_AT(churn_summary_build(log, "soon", NULL, NULL, &summary, &error),
             CHURN_INVALID_PARAMETER, "as_of");
    FAILS_AT(churn_summary_build(log, NULL, NULL, NULL, &summary, &error), CHURN_NULL_POINTER,
             "as_of");
    FAILS_AT(churn_summary_build(NULL, "2020-04-01", NULL, NULL, &summary, &error),
             CHURN_NULL_POINTER, "log");
    FAILS_AT(churn_summary_build(log, "2020-04-01", NULL, NULL, NULL, &error), CHURN_NULL_POINTER,
             "summary");
    CHECK(summary == NULL);
    churn_event_log_free(log);
}

int main(void) {
    values();
    mistakes_are_named();
    churn_summary_free(NULL);
    CHECK(churn_summary_len(NULL) == 0 && churn_summary_customers(NULL) == NULL);
    CHECK(churn_summary_as_of_micros(NULL) == 0 && churn_summary_unit_days(NULL) == 0.0);
    CHECK(churn_summary_frequency(NULL) == NULL && churn_summary_recency(NULL) == NULL);
    CHECK(churn_summary_age(NULL) == NULL && churn_summary_monetary_value(NULL) == NULL);
    return 0;
}
