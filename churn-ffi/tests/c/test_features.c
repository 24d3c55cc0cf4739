/* The feature table: values against arithmetic by hand, population, export, errors. */
#include "testsupport.h"

static double value(const churn_feature_table *table, const char *feature, size_t row) {
    churn_error *error = NULL;
    const double *values = NULL;
    OK(churn_feature_table_column(table, feature, &values, &error));
    return values[row];
}

static void values(void) {
    churn_error *error = NULL;
    churn_feature_table *table = small_table();
    /* dora's only event is after as_of: she is not there. */
    CHECK(churn_feature_table_len(table) == 3);
    CHECK(churn_feature_table_as_of_micros(table) == INT64_C(1585699200000000));
    const churn_customers *customers = churn_feature_table_customers(table);
    CHECK(churn_customers_len(customers) == 3);
    size_t ann = 9, bea = 9, dora = 9;
    OK(churn_customers_find_text(customers, "ann", &ann, &error));
    OK(churn_customers_find_text(customers, "bea", &bea, &error));
    FAILS(churn_customers_find_text(customers, "dora", &dora, &error), CHURN_UNKNOWN_NAME,
          "customer: expected one of 3 customers, got dora");
    NEAR(value(table, "orders", ann), 3.0);
    NEAR(value(table, "total_value", ann), 60.0);
    NEAR(value(table, "total_value", bea), 150.0);
    NEAR(value(table, "days_since_last", ann), 27.0);
    NEAR(value(table, "days_since_last", bea), 152.0);

    /* Every column has its description, and both ways of reading it agree. */
    size_t count = churn_feature_table_feature_count(table);
    CHECK(count > 20);
    for (size_t i = 0; i < count; i++) {
        const char *name = NULL, *unit = NULL, *definition = NULL, *undefined = NULL;
        OK(churn_feature_table_describe(table, i, &name, &unit, &definition, &undefined, &error));
        CHECK(strlen(name) > 0 && strlen(unit) > 0 && strlen(definition) > 0);
        const double *by_name = NULL, *by_position = NULL;
        OK(churn_feature_table_column(table, name, &by_name, &error));
        OK(churn_feature_table_column_at(table, i, &by_position, &error));
        CHECK(by_name == by_position);
        for (size_t row = 0; row < 3; row++) {
            /* NaN only where the description says so. */
            CHECK(!isnan(by_name[row]) || strlen(undefined) > 0);
        }
    }
    const char *name = NULL;
    CHECK(churn_feature_table_describe(table, count, &name, NULL, NULL, NULL, &error) ==
          CHURN_INVALID_PARAMETER);
    churn_error_free(error);
    error = NULL;
    const double *nothing = NULL;
    CHECK(churn_feature_table_column(table, "totl_value", &nothing, &error) == CHURN_UNKNOWN_NAME);
    SAME_TEXT(churn_error_got(error), "\"totl_value\"");
    CHECK(nothing == NULL);
    churn_error_free(error);
    churn_feature_table_free(table);
}

static void many_instants(void) {
    churn_error *error = NULL;
    churn_event_log *log = small_shop();
    const char *instants[] = {"2020-04-01", "2019-12-01", "2020-04-01"};
    const char *spec = "{\"features\": [\"total_value\", \"orders\"]}";
    churn_feature_table *tables[3] = {NULL, NULL, NULL};
    OK(churn_feature_table_build_many(log, instants, 3, spec, NULL, tables, &error));
    for (size_t i = 0; i < 3; i++) {
        churn_feature_table *one = NULL;
        OK(churn_feature_table_build(log, instants[i], spec, NULL, &one, NULL, &error));
        size_t rows = churn_feature_table_len(one);
        CHECK(churn_feature_table_len(tables[i]) == rows);
        CHECK(churn_feature_table_as_of_micros(tables[i]) == churn_feature_table_as_of_micros(one));
        for (size_t row = 0; row < rows; row++) {
            NEAR(value(tables[i], "total_value", row), value(one, "total_value", row));
        }
        churn_feature_table_free(one);
        churn_feature_table_free(tables[i]);
        tables[i] = NULL;
    }
    OK(churn_feature_table_build_many(log, NULL, 0, spec, NULL, NULL, &error));
    instants[1] = "1 April";
    FAILS_AT(churn_feature_table_build_many(log, instants, 3, spec, NULL, tables, &error),
             CHURN_INVALID_PARAMETER, "as_of");
    FAILS_AT(churn_feature_table_build_many(log, instants, 3, spec, NULL, NULL, &error),
             CHURN_NULL_POINTER, "tables");
    CHECK(tables[0] == NULL && tables[2] == NULL);
    churn_event_log_free(log);

    churn_texts *keep = NULL;
    OK(churn_features_need(spec, &keep, &error));
    const char *json = NULL;
    OK(churn_texts_get(keep, 0, &json, &error));
    SAME_TEXT(json,
              "{\"kinds\":[\"purchase\"],\"channels\":false,\"orders\":true,\"items\":false}");
    churn_texts_free(keep);
    FAILS_AT(churn_features_need("{\"features\": [\"totl_value\"]}", &keep, &error),
             CHURN_UNKNOWN_NAME, "features.features");
}

static void selection(void) {
    churn_error *error = NULL;
    churn_event_log *log = small_shop();
    churn_feature_table *table = NULL;
    OK(churn_feature_table_build(log, "2020-04-01", "{\"features\": [\"total_value\", \"orders\"]}",
                                 NULL, &table, NULL, &error));
    CHECK(churn_feature_table_feature_count(table) == 2);
    const char *name = NULL;
    OK(churn_feature_table_describe(table, 1, &name, NULL, NULL, NULL, &error));
    SAME_TEXT(name, "orders");
    churn_feature_table_free(table);

    /* Few features learn little; others are refused by name. */
    table = NULL;
    churn_population *little = NULL, *all = NULL;
    OK(churn_feature_table_build(log, "2020-04-01", "{\"features\": [\"orders\"]}", NULL, &table,
                                 &little, &error));
    churn_feature_table_free(table);
    table = NULL;
    const char *gaps = "{\"features\": [\"gap_mean\"]}";
    FAILS_AT(churn_feature_table_build_with(log, "2020-04-01", gaps, little, NULL, &table, &error),
             CHURN_INVALID_PARAMETER, "population");
    churn_describer *describer = NULL;
    FAILS_AT(churn_describer_new(log, "2020-04-01", gaps, little, &describer, &error),
             CHURN_INVALID_PARAMETER, "population");
    CHECK(table == NULL && describer == NULL);
    OK(churn_population_fit(log, "2020-04-01", "{\"features\": [\"orders\"]}", NULL, &all, &error));
    OK(churn_feature_table_build_with(log, "2020-04-01", gaps, all, NULL, &table, &error));
    churn_feature_table_free(table);
    churn_population_free(little);
    churn_population_free(all);

    table = NULL;
    FAILS_AT(churn_feature_table_build(log, "1 April", NULL, NULL, &table, NULL, &error),
             CHURN_INVALID_PARAMETER, "as_of");
    FAILS_AT(churn_feature_table_build(log, "2020-04-01", "{\"window\": 3}", NULL, &table, NULL,
                                       &error),
             CHURN_INVALID_PARAMETER, "features");
    FAILS_AT(churn_feature_table_build(log, NULL, NULL, NULL, &table, NULL, &error),
             CHURN_NULL_POINTER, "as_of");
    FAILS_AT(churn_feature_table_build(NULL, "2020-04-01", NULL, NULL, &table, NULL, &error),
             CHURN_NULL_POINTER, "log");
    CHECK(table == NULL);

    churn_progress *progress = NULL;
    OK(churn_progress_new(&progress, &error));
    OK(churn_progress_cancel(progress, &error));
    CHECK(churn_feature_table_build(log, "2020-04-01", NULL, progress, &table, NULL, &error) ==
          CHURN_CANCELLED);
    CHECK(table == NULL);
    churn_error_free(error);
    churn_progress_free(progress);
    churn_event_log_free(log);
}

/* A stored population gives the same bits as the one that was just learned. */
static void population(void) {
    churn_error *error = NULL;
    churn_event_log *log = small_shop();
    churn_feature_table *learned = NULL, *applied = NULL;
    churn_population *population = NULL, *stored = NULL;
    OK(churn_feature_table_build(log, "2020-04-01", NULL, NULL, &learned, &population, &error));
    const char *json = NULL, *again = NULL;
    OK(churn_population_to_json(population, &json, &error));
    OK(churn_population_to_json(population, &again, &error));
    CHECK(json == again);
    OK(churn_population_from_json(json, &stored, &error));
    OK(churn_population_to_json(stored, &again, &error));
    SAME_TEXT(json, again);
    churn_population_free(population);
    OK(churn_feature_table_build_with(log, "2020-04-01", NULL, stored, NULL, &applied, &error));
    churn_population_free(stored);
    churn_event_log_free(log);
    size_t count = churn_feature_table_feature_count(learned);
    CHECK(count == churn_feature_table_feature_count(applied));
    for (size_t i = 0; i < count; i++) {
        const double *a = NULL, *b = NULL;
        OK(churn_feature_table_column_at(learned, i, &a, &error));
        OK(churn_feature_table_column_at(applied, i, &b, &error));
        CHECK(memcmp(a, b, 3 * sizeof *a) == 0);
    }
    churn_feature_table_free(learned);
    churn_feature_table_free(applied);
    stored = NULL;
    FAILS_AT(churn_population_from_json("{\"rfm\": 1}", &stored, &error), CHURN_INVALID_PARAMETER,
             "population");
    CHECK(stored == NULL);
}

/* What is exported can be read without this library: only the Arrow structures are used. */
static void export(void) {
    churn_error *error = NULL;
    churn_feature_table *table = small_table();
    double total = value(table, "total_value", 1);
    size_t features = churn_feature_table_feature_count(table);
    struct ArrowArrayStream stream;
    OK(churn_feature_table_export(table, &stream, &error));
    churn_feature_table_free(table);

    struct ArrowSchema schema;
    CHECK(stream.get_schema(&stream, &schema) == 0);
    SAME_TEXT(schema.format, "+s");
    CHECK(schema.n_children == (int64_t)features + 1);
    SAME_TEXT(schema.children[0]->name, "customer");
    SAME_TEXT(schema.children[0]->format, "u");
    struct ArrowArray batch;
    CHECK(stream.get_next(&stream, &batch) == 0);
    CHECK(batch.length == 3);
    const struct ArrowArray *ids = batch.children[0];
    const int32_t *offsets = ids->buffers[1];
    CHECK(memcmp((const char *)ids->buffers[2] + offsets[1], "bea", 3) == 0);
    int found = 0;
    for (int64_t i = 1; i < schema.n_children; i++) {
        SAME_TEXT(schema.children[i]->format, "g");
        if (strcmp(schema.children[i]->name, "total_value") == 0) {
            const double *cells = batch.children[i]->buffers[1];
            CHECK(cells[1 + batch.children[i]->offset] == total);
            found++;
        }
    }
    CHECK(found == 1);
    struct ArrowArray end;
    CHECK(stream.get_next(&stream, &end) == 0 && end.release == NULL);
    batch.release(&batch);
    schema.release(&schema);
    stream.release(&stream);

    FAILS_AT(churn_feature_table_export(NULL, &stream, &error), CHURN_NULL_POINTER, "table");
}

/* Features of one's own: everything is copied, rows stay where they stand. */
static void own_table(void) {
    churn_error *error = NULL;
    churn_customers *customers = NULL;
    const char *ids[] = {"ann", "bea", "\xc3\xbc" "rs"};
    char name[] = "visits";
    const char *names[] = {name, "lifecycle_stage"};
    double cells[] = {1.0, NAN, 3.0, 0.0, 2.0, 5.0};
    OK(churn_customers_from_texts(ids, 3, &customers, &error));
    CHECK(churn_customers_len(customers) == 3);
    churn_feature_table *table = NULL;
    OK(churn_feature_table_from_columns(customers, "2020-04-01", names, 2, cells, &table, &error));
    memset(name, '?', 6);
    cells[0] = 9.0;
    churn_customers_free(customers);
    CHECK(churn_feature_table_len(table) == 3 && churn_feature_table_feature_count(table) == 2);
    CHECK(churn_feature_table_as_of_micros(table) == INT64_C(1585699200000000));
    NEAR(value(table, "visits", 0), 1.0);
    CHECK(isnan(value(table, "visits", 1)));
    NEAR(value(table, "lifecycle_stage", 2), 5.0);
    churn_segments *stages = NULL;
    OK(churn_segments_lifecycle(table, &stages, &error));
    CHECK(churn_segments_len(stages) == 3);
    churn_segments_free(stages);

    /* The customers of another table serve as well. */
    churn_feature_table *more = NULL;
    OK(churn_feature_table_from_columns(churn_feature_table_customers(table), "2020-04-01", names,
                                        1, cells, &more, &error));
    churn_feature_table_free(table);
    CHECK(churn_feature_table_len(more) == 3);
    NEAR(value(more, "??????", 0), 9.0);
    churn_feature_table_free(more);
}

static void own_tables_are_checked(void) {
    churn_error *error = NULL;
    churn_customers *customers = NULL;
    const int64_t ints[] = {-1, 4, 4};
    FAILS(churn_customers_from_int64(ints, 3, &customers, &error), CHURN_INVALID_VALUE,
          "customers[2]: expected ids that ascend and differ, got 4");
    const uint64_t uints[] = {UINT64_MAX, 1};
    FAILS(churn_customers_from_uint64(uints, 2, &customers, &error), CHURN_INVALID_VALUE,
          "customers[1]: expected ids that ascend and differ, got 1");
    const char *texts[] = {"ann", NULL, "\xff"};
    FAILS(churn_customers_from_texts(texts, 2, &customers, &error), CHURN_INVALID_VALUE,
          "customers[1]: expected a customer id, got nothing");
    FAILS(churn_customers_from_texts(texts, 3, &customers, &error), CHURN_INVALID_VALUE,
          "customers[2]: expected text in UTF-8, got byte 0xff at offset 0");
    FAILS_AT(churn_customers_from_int64(NULL, 1, &customers, &error), CHURN_NULL_POINTER, "ids");
    CHECK(customers == NULL);
    OK(churn_customers_from_uint64(NULL, 0, &customers, &error));
    CHECK(churn_customers_len(customers) == 0);
    churn_customers_free(customers);

    OK(churn_customers_from_int64(ints, 2, &customers, &error));
    CHECK(churn_customers_id_type(customers) == CHURN_ID_INT64);
    churn_feature_table *table = NULL;
    const char *twice[] = {"x", "x"};
    const char *lost[] = {"x", NULL};
    const double cells[] = {1.0, 2.0, 3.0, 4.0};
    FAILS(churn_feature_table_from_columns(customers, "2020-04-01", twice, 2, cells, &table, &error),
          CHURN_INVALID_PARAMETER, "table.features: expected names that differ, got \"x\" twice");
    FAILS_AT(churn_feature_table_from_columns(customers, "2020-04-01", lost, 2, cells, &table,
                                              &error),
             CHURN_NULL_POINTER, "names");
    FAILS_AT(churn_feature_table_from_columns(customers, "2020-04-01", lost, 1, NULL, &table,
                                              &error),
             CHURN_NULL_POINTER, "values");
    FAILS_AT(churn_feature_table_from_columns(customers, "2020-04-01", lost, SIZE_MAX, cells, &table,
                                              &error),
             CHURN_INVALID_PARAMETER, "names");
    FAILS_AT(churn_feature_table_from_columns(customers, "now", lost, 1, cells, &table, &error),
             CHURN_INVALID_PARAMETER, "as_of");
    FAILS_AT(churn_feature_table_from_columns(NULL, "2020-04-01", lost, 1, cells, &table, &error),
             CHURN_NULL_POINTER, "customers");
    CHECK(table == NULL);
    churn_customers_free(customers);
}

int main(void) {
    values();
    own_table();
    own_tables_are_checked();
    churn_customers_free(NULL);
    many_instants();
    selection();
    population();
    export();
    churn_feature_table_free(NULL);
    churn_population_free(NULL);
    CHECK(churn_feature_table_len(NULL) == 0 && churn_feature_table_customers(NULL) == NULL);
    CHECK(churn_feature_table_feature_count(NULL) == 0 && churn_feature_table_as_of_micros(NULL) == 0);
    return 0;
}
