/* Uplift models: fitted, asked, saved, loaded; rankings judged. */
#include "testsupport.h"

enum { ROWS = 120 };

/* The contact works on customers with works = 1 and on nobody else; noise says nothing. */
static churn_feature_table *shop(uint32_t *treatment, double *outcome) {
    int64_t ids[ROWS];
    double values[2 * ROWS];
    for (int i = 0; i < ROWS; i++) {
        ids[i] = i + 1;
        values[i] = i % 2;
        values[ROWS + i] = (i * 11) % 13;
        treatment[i] = (uint32_t)(i / 2 % 2);
        outcome[i] = i % 2 == 1 && treatment[i] == 1 ? 1.0 : 0.0;
    }
    const char *names[] = {"works", "noise"};
    churn_customers *customers = NULL;
    churn_feature_table *table = NULL;
    churn_error *error = NULL;
    OK(churn_customers_from_int64(ids, ROWS, &customers, &error));
    OK(churn_feature_table_from_columns(customers, "2020-01-01", names, 2, values, &table, &error));
    churn_customers_free(customers);
    return table;
}

static void a_model_is_saved_and_read(const char *settings, int has_errors) {
    uint32_t treatment[ROWS];
    double outcome[ROWS], effect[ROWS], again[ROWS], errors[ROWS];
    churn_error *error = NULL;
    churn_feature_table *table = shop(treatment, outcome);
    struct ArrowArrayStream stream;
    churn_uplift_model *model = NULL, *copy = NULL;
    size_t rows = 0;
    OK(churn_feature_table_export(table, &stream, &error));
    OK(churn_uplift_fit(&stream, treatment, outcome, NULL, settings, NULL, &model, &error));
    CHECK(stream.release == NULL);
    CHECK(churn_uplift_model_treatments(model) == 1);

    churn_texts *columns = NULL;
    OK(churn_uplift_model_columns(model, &columns, &error));
    CHECK(churn_texts_len(columns) == 3);
    const char *name = NULL;
    OK(churn_texts_get(columns, 1, &name, &error));
    SAME_TEXT(name, "works");
    churn_texts_free(columns);

    OK(churn_feature_table_export(table, &stream, &error));
    OK(churn_uplift_predict(model, &stream, effect, errors, ROWS, &rows, &error));
    CHECK(rows == ROWS);
    CHECK(effect[1] > 0.5 && fabs(effect[0]) < 0.3);
    CHECK(isnan(errors[1]) == !has_errors);

    churn_bytes *bytes = NULL;
    OK(churn_uplift_model_to_bytes(model, &bytes, &error));
    OK(churn_uplift_model_from_bytes(churn_bytes_data(bytes), churn_bytes_len(bytes), &copy, &error));
    OK(churn_feature_table_export(table, &stream, &error));
    OK(churn_uplift_predict(copy, &stream, again, NULL, ROWS, &rows, &error));
    for (int i = 0; i < ROWS; i++)
        CHECK(effect[i] == again[i]);
    churn_uplift_model *none = NULL;
    FAILS_AT(churn_uplift_model_from_bytes(churn_bytes_data(bytes), churn_bytes_len(bytes) / 2, &none,
                                           &error),
             CHURN_INVALID_PARAMETER, "model");
    CHECK(none == NULL);
    churn_bytes_free(bytes);

    churn_analysis *held_out = NULL;
    const double *score = NULL, *unseen = NULL;
    OK(churn_feature_table_export(table, &stream, &error));
    OK(churn_uplift_out_of_fold(&stream, treatment, outcome, NULL, settings, NULL, &held_out, &error));
    CHECK(churn_analysis_len(held_out) == ROWS);
    OK(churn_analysis_numbers(held_out, "effect_1", &unseen, &error));
    OK(churn_analysis_numbers(held_out, "score_1", &score, &error));
    CHECK(unseen[1] > 0.5);
    CHECK(strstr(churn_analysis_facts(held_out), "\"average_effects\":[{") != NULL);

    /* The ranking is judged by scores that it has not seen. */
    churn_analysis *toc = NULL, *curve = NULL;
    const double *height = NULL, *gain = NULL;
    OK(churn_uplift_rate(unseen, score, ROWS, "{\"replicates\": 50}", &toc, &error));
    OK(churn_analysis_numbers(toc, "toc", &height, &error));
    CHECK(fabs(height[churn_analysis_len(toc) - 1]) < 1e-9 && height[0] > 0.0);
    CHECK(strstr(churn_analysis_facts(toc), "\"autoc\":{\"estimate\":0.") != NULL);
    churn_analysis_free(toc);
    double cost[ROWS];
    for (int i = 0; i < ROWS; i++)
        cost[i] = 0.25;
    OK(churn_uplift_cost_curve(1, unseen, cost, score, ROWS, &curve, &error));
    OK(churn_analysis_numbers(curve, "gain", &gain, &error));
    CHECK(gain[0] == 0.0 && gain[churn_analysis_len(curve) - 1] > 0.2);
    churn_analysis_free(curve);
    OK(churn_profit_curve(unseen, score, cost, ROWS, 0.95, &curve, &error));
    CHECK(strstr(churn_analysis_facts(curve), "\"share\":0.") != NULL);
    churn_analysis_free(curve);
    churn_analysis_free(held_out);

    churn_uplift_model_free(copy);
    churn_uplift_model_free(model);
    churn_feature_table_free(table);
}

static void mistakes_are_named(void) {
    uint32_t treatment[ROWS];
    double outcome[ROWS], propensity[2 * ROWS], effect[ROWS];
    churn_error *error = NULL;
    churn_feature_table *table = shop(treatment, outcome);
    struct ArrowArrayStream stream;
    churn_uplift_model *model = NULL;
    for (int i = 0; i < 2 * ROWS; i++)
        propensity[i] = 0.5;
    propensity[6] = 1.0;
    propensity[7] = 0.0;
    OK(churn_feature_table_export(table, &stream, &error));
    FAILS_AT(churn_uplift_fit(&stream, treatment, outcome, propensity, NULL, NULL, &model, &error),
             CHURN_INVALID_VALUE, "uplift.propensity");
    CHECK(stream.release == NULL);
    for (int i = 0; i < ROWS; i++)
        treatment[i] = 0;
    OK(churn_feature_table_export(table, &stream, &error));
    FAILS_AT(churn_uplift_fit(&stream, treatment, outcome, NULL, NULL, NULL, &model, &error),
             CHURN_NOT_ENOUGH_DATA, "uplift.treatment");
    OK(churn_feature_table_export(table, &stream, &error));
    FAILS_AT(churn_uplift_fit(&stream, NULL, outcome, NULL, NULL, NULL, &model, &error),
             CHURN_NULL_POINTER, "treatment");
    size_t rows = 7;
    OK(churn_feature_table_export(table, &stream, &error));
    FAILS_AT(churn_uplift_predict(NULL, &stream, effect, NULL, ROWS, &rows, &error),
             CHURN_NULL_POINTER, "model");
    CHECK(model == NULL && rows == 7);
    churn_feature_table_free(table);

    churn_bytes *answer = NULL;
    double score[4] = {4, 3, 2, 1}, bought[4] = {1, 0, 0, 1};
    uint8_t treated[4] = {1, 0, 2, 0};
    FAILS_AT(churn_uplift_metrics(score, treated, bought, 4, 0.3, 2, &answer, &error),
             CHURN_INVALID_VALUE, "uplift.treated");
    treated[2] = 1;
    FAILS_AT(churn_uplift_intervals(score, treated, bought, 4, 0.3, 2, "{\"replicates\": 1}", &answer,
                                    &error),
             CHURN_INVALID_PARAMETER, "bootstrap.replicates");
    churn_analysis *curve = NULL;
    FAILS_AT(churn_uplift_curve(score, treated, bought, 4, "lift", &curve, &error), CHURN_UNKNOWN_NAME,
             "uplift.curve");
    CHECK(answer == NULL && curve == NULL);
}

int main(void) {
    a_model_is_saved_and_read(NULL, 0);
    a_model_is_saved_and_read("{\"method\": \"t\", \"folds\": 3}", 0);
    a_model_is_saved_and_read("{\"method\": \"forest\", \"forest\": {\"trees\": 20, \"min_per_arm\": 3}}", 1);
    mistakes_are_named();
    return 0;
}
