/* Streams: batches in, one log per partition out, together equal to one log. */
#include "testsupport.h"

enum { ROWS = 6000, CUSTOMERS = 500, PARTITIONS = 5 };

static int64_t ids[ROWS], days[ROWS];
static double values[ROWS];

static void make_rows(void) {
    for (int64_t i = 0; i < ROWS; i++) {
        ids[i] = i * i % CUSTOMERS;
        days[i] = 17000 + i * 7919 % 700;
        values[i] = (double)(i % 97) / 4.0;
    }
}

static churn_columns *columns(size_t from, size_t rows) {
    churn_error *error = NULL;
    churn_columns *made = NULL;
    OK(churn_columns_new(&made, &error));
    OK(churn_columns_set_int64(made, CHURN_COLUMN_CUSTOMER, ids + from, rows, &error));
    OK(churn_columns_set_times(made, days + from, rows, "D", &error));
    OK(churn_columns_set_kind(made, CHURN_KIND_PURCHASE, &error));
    OK(churn_columns_set_values(made, values + from, rows, &error));
    return made;
}

static churn_partitioned_log *stream_of_all(void) {
    churn_error *error = NULL;
    churn_log_stream *stream = NULL;
    OK(churn_log_stream_new(".", "{\"partitions\": 5}", NULL, &stream, &error));
    for (size_t from = 0; from < ROWS; from += 1500) {
        churn_columns *batch = columns(from, 1500);
        OK(churn_log_stream_push(stream, batch, NULL, &error));
        churn_columns_free(batch);
    }
    CHECK(churn_log_stream_rows(stream) == ROWS);
    churn_partitioned_log *parts = NULL;
    OK(churn_log_stream_finish(stream, NULL, &parts, &error));
    CHECK(churn_log_stream_rows(stream) == 0);
    churn_columns *late = columns(0, 1);
    FAILS(churn_log_stream_push(stream, late, NULL, &error), CHURN_INVALID_PARAMETER,
          "stream: expected a stream that is not finished, got one that is");
    churn_columns_free(late);
    churn_log_stream_free(stream);
    return parts;
}

static void equals_one_log(void) {
    churn_error *error = NULL;
    churn_partitioned_log *parts = stream_of_all();
    churn_columns *all = columns(0, ROWS);
    churn_event_log *whole = NULL;
    OK(churn_event_log_build(all, NULL, NULL, &whole, &error));
    churn_columns_free(all);
    CHECK(churn_partitioned_log_partitions(parts) == PARTITIONS);
    CHECK(churn_partitioned_log_len(parts) == ROWS);
    const churn_customers *customers = churn_event_log_customers(whole);
    CHECK(churn_partitioned_log_customer_count(parts) == churn_customers_len(customers));
    SAME_TEXT(churn_cleaning_report_text(churn_partitioned_log_report(parts)),
              churn_cleaning_report_text(churn_event_log_report(whole)));

    const char *as_of = "2018-06-01";
    churn_feature_table *table = NULL;
    churn_population *population = NULL, *learned = NULL;
    OK(churn_feature_table_build(whole, as_of, NULL, NULL, &table, &population, &error));
    OK(churn_partitioned_log_learn(parts, as_of, NULL, NULL, &learned, &error));
    const char *a = NULL, *b = NULL;
    OK(churn_population_to_json(population, &a, &error));
    OK(churn_population_to_json(learned, &b, &error));
    SAME_TEXT(a, b);
    const churn_customers *rows = churn_feature_table_customers(table);
    size_t seen = 0;
    for (size_t p = 0; p < PARTITIONS; p++) {
        churn_feature_table *part = NULL;
        churn_event_log *log = NULL;
        OK(churn_partitioned_log_features(parts, p, as_of, NULL, learned, NULL, &part, &error));
        OK(churn_partitioned_log_log(parts, p, NULL, &log, &error));
        CHECK(churn_event_log_len(log) > 0);
        const churn_customers *own = churn_feature_table_customers(part);
        for (size_t i = 0; i < churn_customers_len(own); i++, seen++) {
            int64_t id = 0;
            size_t row = 0;
            OK(churn_customers_int64(own, i, &id, &error));
            OK(churn_customers_find_int64(rows, id, &row, &error));
            for (size_t j = 0; j < churn_feature_table_feature_count(table); j++) {
                const double *x = NULL, *y = NULL;
                OK(churn_feature_table_column_at(part, j, &x, &error));
                OK(churn_feature_table_column_at(table, j, &y, &error));
                CHECK(memcmp(&x[i], &y[row], sizeof *x) == 0);
            }
        }
        churn_event_log_free(log);
        churn_feature_table_free(part);
    }
    CHECK(seen == churn_feature_table_len(table));
    churn_event_log *none = NULL;
    FAILS(churn_partitioned_log_log(parts, PARTITIONS, NULL, &none, &error),
          CHURN_INVALID_PARAMETER, "partition: expected a number below 5, got 5");
    churn_feature_table_free(table);
    churn_population_free(population);
    churn_population_free(learned);
    churn_event_log_free(whole);
    churn_partitioned_log_free(parts);
}

static void rows_are_named_in_the_stream(void) {
    churn_error *error = NULL;
    churn_log_stream *stream = NULL;
    OK(churn_log_stream_new(NULL, NULL, NULL, &stream, &error));
    churn_columns *good = columns(0, 10), *bad = columns(0, 10);
    OK(churn_log_stream_push(stream, good, NULL, &error));
    double wrong[10] = {0, 0, 0, -1.0};
    OK(churn_columns_set_values(bad, wrong, 10, &error));
    CHECK(churn_log_stream_push(stream, bad, NULL, &error) == CHURN_INVALID_VALUE);
    CHECK(churn_error_row(error) == 13);
    churn_error_free(error);
    error = NULL;

    const char *path = "churn-test-stream.csv";
    FILE *file = fopen(path, "wb");
    CHECK(file != NULL);
    fputs("customer,time,value\n", file);
    fclose(file);
    FAILS_AT(churn_log_stream_push_csv_file(stream, "/nowhere.csv", NULL, NULL, &error),
             CHURN_INVALID_VALUE, "/nowhere.csv");
    OK(churn_log_stream_push_csv_file(stream, path, NULL, NULL, &error));
    CHECK(remove(path) == 0);
    CHECK(churn_log_stream_rows(stream) == 10);
    churn_columns_free(good);
    churn_columns_free(bad);
    churn_log_stream_free(stream);
    churn_log_stream_free(NULL);
    churn_partitioned_log_free(NULL);
    FAILS_AT(churn_log_stream_new(NULL, "{\"partitions\": 0}", NULL, &stream, &error),
             CHURN_INVALID_PARAMETER, "stream.partitions");
    FAILS_AT(churn_log_stream_new("/nowhere", NULL, NULL, &stream, &error), CHURN_INVALID_VALUE,
             "/nowhere");
}

static void a_file_longer_than_a_batch(void) {
    churn_error *error = NULL;
    churn_log_stream *stream = NULL;
    OK(churn_log_stream_new(".", "{\"partitions\": 3}", NULL, &stream, &error));
    const char *path = "churn-test-stream-2.csv";
    FILE *file = fopen(path, "wb");
    CHECK(file != NULL);
    fputs("who;day\n", file);
    for (int i = 0; i < 20000; i++) {
        fprintf(file, "c%d;2020-01-%02d\n", i % 900, 1 + i % 28);
    }
    fclose(file);
    const char *options = "{\"delimiter\": \";\", \"names\": {\"customer\": \"who\", \"time\": \"day\"}}";
    OK(churn_log_stream_push_csv_file(stream, path, options, NULL, &error));
    churn_columns *numbers = columns(0, 2);
    FAILS_AT(churn_log_stream_push(stream, numbers, NULL, &error), CHURN_INVALID_VALUE,
             "events.customer");
    churn_columns_free(numbers);
    CHECK(remove(path) == 0);
    churn_partitioned_log *parts = NULL;
    OK(churn_log_stream_finish(stream, NULL, &parts, &error));
    churn_log_stream_free(stream);
    CHECK(churn_partitioned_log_len(parts) == 20000);
    CHECK(churn_partitioned_log_customer_count(parts) == 900);
    churn_partitioned_log_free(parts);
}

int main(void) {
    make_rows();
    equals_one_log();
    rows_are_named_in_the_stream();
    a_file_longer_than_a_batch();
    return 0;
}
