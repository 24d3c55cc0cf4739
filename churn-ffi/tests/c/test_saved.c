/* Saved logs and tables: whole, damaged, stopped; one customer on demand; tables brought up to date. */
#include "testsupport.h"

static const char *const IDS[] = {"bea", "dan", "bea", "ann", "cem"};
static const int64_t DAYS[] = {10, 12, 30, 11, 29};
static const double VALUES[] = {1.0, 2.0, 4.0, 8.0, 16.0};

static churn_columns *columns(size_t from, size_t to) {
    churn_error *error = NULL;
    churn_columns *made = NULL;
    OK(churn_columns_new(&made, &error));
    OK(churn_columns_set_texts(made, CHURN_COLUMN_CUSTOMER, IDS + from, to - from, &error));
    OK(churn_columns_set_times(made, DAYS + from, to - from, "D", &error));
    OK(churn_columns_set_kind(made, CHURN_KIND_PURCHASE, &error));
    OK(churn_columns_set_values(made, VALUES + from, to - from, &error));
    return made;
}

static churn_event_log *build(size_t from, size_t to) {
    churn_error *error = NULL;
    churn_event_log *log = NULL;
    churn_columns *some = columns(from, to);
    OK(churn_event_log_build(some, NULL, NULL, &log, &error));
    churn_columns_free(some);
    return log;
}

static void same_tables(const churn_feature_table *a, const churn_feature_table *b) {
    churn_error *error = NULL;
    size_t rows = churn_feature_table_len(a), count = churn_feature_table_feature_count(a);
    CHECK(rows == churn_feature_table_len(b) && count == churn_feature_table_feature_count(b));
    for (size_t i = 0; i < count; i++) {
        const double *x = NULL, *y = NULL;
        OK(churn_feature_table_column_at(a, i, &x, &error));
        OK(churn_feature_table_column_at(b, i, &y, &error));
        CHECK(memcmp(x, y, rows * sizeof *x) == 0);
    }
}

static void logs_and_tables_come_back(void) {
    churn_error *error = NULL;
    churn_event_log *log = build(0, 5), *loaded = NULL, *again = NULL;
    churn_bytes *bytes = NULL, *table_bytes = NULL;
    OK(churn_event_log_save(log, NULL, &bytes, &error));
    size_t count = churn_bytes_len(bytes);
    OK(churn_event_log_load(churn_bytes_data(bytes), count, NULL, &loaded, &error));
    const char *path = "churn-test-saved.churn";
    OK(churn_event_log_save_file(log, path, NULL, &error));
    OK(churn_event_log_load_file(path, NULL, &again, &error));
    CHECK(remove(path) == 0);

    churn_feature_table *a = NULL, *b = NULL, *c = NULL, *d = NULL;
    OK(churn_feature_table_build(log, "1970-03-01", NULL, NULL, &a, NULL, &error));
    OK(churn_feature_table_build(loaded, "1970-03-01", NULL, NULL, &b, NULL, &error));
    OK(churn_feature_table_build(again, "1970-03-01", NULL, NULL, &c, NULL, &error));
    same_tables(a, b);
    same_tables(a, c);
    OK(churn_feature_table_save(a, NULL, &table_bytes, &error));
    OK(churn_feature_table_load(churn_bytes_data(table_bytes), churn_bytes_len(table_bytes), NULL,
                                &d, &error));
    same_tables(a, d);
    CHECK(churn_feature_table_as_of_micros(a) == churn_feature_table_as_of_micros(d));
    SAME_TEXT(churn_cleaning_report_text(churn_event_log_report(log)),
              churn_cleaning_report_text(churn_event_log_report(loaded)));

    /* Damage, a wrong kind of file, a file that is not there. */
    uint8_t *damaged = malloc(count);
    memcpy(damaged, churn_bytes_data(bytes), count);
    churn_event_log *none = NULL;
    for (size_t i = 0; i < count; i += 7) {
        damaged[i] ^= 0x20;
        CHECK(churn_event_log_load(damaged, count, NULL, &none, NULL) == CHURN_INVALID_VALUE);
        damaged[i] ^= 0x20;
        CHECK(churn_event_log_load(damaged, i, NULL, &none, NULL) == CHURN_INVALID_VALUE);
    }
    damaged[12] = 9;
    FAILS(churn_event_log_load(damaged, count, NULL, &none, &error), CHURN_INVALID_VALUE,
          "file.version: expected a version from 1 to 1, which this library reads, got 9");
    free(damaged);
    FAILS(churn_event_log_load(churn_bytes_data(table_bytes), churn_bytes_len(table_bytes), NULL,
                               &none, &error),
          CHURN_INVALID_VALUE, "file: expected an event log, got a file of another kind (2)");
    FAILS_AT(churn_event_log_load_file("/nowhere/at/all", NULL, &none, &error),
             CHURN_INVALID_VALUE, "/nowhere/at/all");
    FAILS_AT(churn_event_log_save_file(log, "/nowhere/at/all", NULL, &error), CHURN_INVALID_VALUE,
             "/nowhere/at/all");
    FAILS_AT(churn_event_log_load(NULL, 3, NULL, &none, &error), CHURN_NULL_POINTER, "bytes");
    churn_progress *progress = NULL;
    OK(churn_progress_new(&progress, &error));
    OK(churn_progress_cancel(progress, &error));
    FAILS_AT(churn_event_log_save(log, progress, &bytes, &error), CHURN_CANCELLED, "file.save");
    FAILS_AT(churn_event_log_load(churn_bytes_data(bytes), count, progress, &none, &error),
             CHURN_CANCELLED, "file.load");
    CHECK(none == NULL);
    churn_progress_free(progress);
    churn_bytes_free(bytes);
    churn_bytes_free(table_bytes);
    churn_event_log_free(log);
    churn_event_log_free(loaded);
    churn_event_log_free(again);
    churn_feature_table_free(a);
    churn_feature_table_free(b);
    churn_feature_table_free(c);
    churn_feature_table_free(d);
}

static void one_customer_and_fresh_tables(void) {
    churn_error *error = NULL;
    churn_event_log *log = build(0, 3);
    churn_feature_table *table = NULL, *fresh = NULL, *whole = NULL;
    churn_population *population = NULL;
    OK(churn_feature_table_build(log, "1970-03-01", NULL, NULL, &table, &population, &error));
    churn_columns *late = columns(3, 5);
    churn_appended *appended = NULL;
    OK(churn_event_log_append(log, late, NULL, &appended, &error));
    churn_columns_free(late);
    OK(churn_feature_table_refresh(table, log, churn_appended_touched(appended),
                                   churn_appended_touched_count(appended), NULL, population, NULL,
                                   &fresh, &error));
    OK(churn_feature_table_build_with(log, "1970-03-01", NULL, population, NULL, &whole, &error));
    CHECK(churn_feature_table_len(table) == 2 && churn_feature_table_len(fresh) == 4);
    same_tables(fresh, whole);
    churn_feature_table *none = NULL;
    size_t beyond = 4;
    FAILS_AT(churn_feature_table_refresh(table, log, &beyond, 1, NULL, population, NULL, &none,
                                         &error),
             CHURN_INVALID_PARAMETER, "touched[0]");
    FAILS_AT(churn_feature_table_refresh(table, log, NULL, 0, "{\"features\": [\"orders\"]}",
                                         population, NULL, &none, &error),
             CHURN_MISALIGNED, "table.features");

    churn_describer *describer = NULL;
    OK(churn_describer_new(log, "1970-03-01", NULL, population, &describer, &error));
    size_t count = churn_describer_feature_count(describer);
    CHECK(count == churn_feature_table_feature_count(whole));
    double *values = malloc(count * sizeof *values);
    for (size_t row = 0; row < 4; row++) {
        OK(churn_describer_describe(describer, log, row, values, count, &error));
        for (size_t i = 0; i < count; i++) {
            const double *column = NULL;
            OK(churn_feature_table_column_at(whole, i, &column, &error));
            CHECK(memcmp(&column[row], &values[i], sizeof *values) == 0);
            const char *a = NULL, *b = NULL;
            OK(churn_describer_feature(describer, i, &a, &error));
            OK(churn_feature_table_describe(whole, i, &b, NULL, NULL, NULL, &error));
            SAME_TEXT(a, b);
        }
    }
    OK(churn_describer_describe(describer, log, 0, values, 1, &error)); /* room for one only */
    FAILS_AT(churn_describer_describe(describer, log, 4, values, count, &error),
             CHURN_INVALID_PARAMETER, "row");
    const char *name = NULL;
    FAILS_AT(churn_describer_feature(describer, count, &name, &error), CHURN_INVALID_PARAMETER,
             "index");
    churn_describer_free(describer);
    describer = NULL;
    OK(churn_describer_new(log, "1970-01-12", "{\"features\": [\"orders\"]}", NULL, &describer,
                           &error));
    FAILS(churn_describer_describe(describer, log, 0, values, count, &error), CHURN_UNKNOWN_NAME,
          "row: expected a customer with an event before 1970-01-12, got ann");
    OK(churn_describer_describe(describer, log, 1, values, count, &error));
    CHECK(values[0] == 1.0);
    churn_describer_free(describer);
    churn_describer_free(NULL);
    CHECK(churn_describer_feature_count(NULL) == 0);
    free(values);
    churn_appended_free(appended);
    churn_population_free(population);
    churn_feature_table_free(table);
    churn_feature_table_free(fresh);
    churn_feature_table_free(whole);
    churn_event_log_free(log);
}

static void csv_is_appended(void) {
    churn_error *error = NULL;
    churn_event_log *log = build(0, 3);
    const char *csv = "customer,time,value\ncem,1970-01-30,16\nbea,1970-02-03,8\n";
    churn_appended *appended = NULL;
    OK(churn_event_log_append_csv(log, (const uint8_t *)csv, strlen(csv), NULL, NULL, &appended,
                                  &error));
    CHECK(churn_appended_new_customers(appended) == 1);
    CHECK(churn_appended_touched_count(appended) == 2);
    CHECK(churn_event_log_len(log) == 5);
    churn_appended_free(appended);
    const char *wrong = "customer,time,value\ncem,soon,16\n";
    FAILS_AT(churn_event_log_append_csv(log, (const uint8_t *)wrong, strlen(wrong), NULL, NULL,
                                        NULL, &error),
             CHURN_INVALID_VALUE, "events.time");
    CHECK(churn_event_log_len(log) == 5);
    churn_event_log_free(log);
}

int main(void) {
    logs_and_tables_come_back();
    one_customer_and_fresh_tables();
    csv_is_appended();
    return 0;
}
