/* Learned models: fitted on a log and on a table, saved, loaded, scoring and explaining. */
#include "testsupport.h"

static const char SETTINGS[] = "{\"folds\": 3, \"boosting\": {\"trees\": 20}}";

/* A table of its own: 60 customers, one number that tells, one that does not, and the label. */
static churn_feature_table *labelled(void) {
    enum { ROWS = 60 };
    int64_t ids[ROWS];
    double values[3 * ROWS];
    for (int i = 0; i < ROWS; i++) {
        ids[i] = i + 1;
        values[i] = i % 20;
        values[ROWS + i] = i % 20 + (i * 7) % 9 > 13 ? 1.0 : 0.0;
        values[2 * ROWS + i] = (i * 11) % 13;
    }
    const char *names[] = {"silence", "label", "noise"};
    churn_customers *customers = NULL;
    churn_feature_table *table = NULL;
    churn_error *error = NULL;
    OK(churn_customers_from_int64(ids, ROWS, &customers, &error));
    OK(churn_feature_table_from_columns(customers, "2020-01-01", names, 3, values, &table, &error));
    churn_customers_free(customers);
    return table;
}

static void from_a_table(void) {
    churn_error *error = NULL;
    churn_feature_table *table = labelled();
    struct ArrowArrayStream stream;
    churn_model *model = NULL, *copy = NULL;
    OK(churn_feature_table_export(table, &stream, &error));
    OK(churn_model_fit(&stream, "label", SETTINGS, NULL, &model, &error));
    CHECK(stream.release == NULL);

    churn_analysis *report = NULL, *told = NULL, *again = NULL;
    OK(churn_model_report(model, &report, &error));
    CHECK(churn_analysis_len(report) == 2);
    CHECK(strstr(churn_analysis_facts(report), "\"roc_auc\":0.") != NULL);
    churn_analysis_free(report);

    const double *probability = NULL, *points = NULL, *repeated = NULL;
    OK(churn_feature_table_export(table, &stream, &error));
    OK(churn_model_explain(model, &stream, &told, &error));
    CHECK(churn_analysis_len(told) == 60);
    OK(churn_analysis_numbers(told, "churn_probability", &probability, &error));
    OK(churn_analysis_numbers(told, "points_silence", &points, &error));
    CHECK(probability[19] > 0.6 && probability[0] < 0.4);
    CHECK(points[19] > 0.0 && points[0] < 0.0);

    /* The same model from its bytes. */
    churn_bytes *bytes = NULL;
    OK(churn_model_to_bytes(model, &bytes, &error));
    OK(churn_model_from_bytes(churn_bytes_data(bytes), churn_bytes_len(bytes), &copy, &error));
    OK(churn_feature_table_export(table, &stream, &error));
    OK(churn_model_predict(copy, &stream, &again, &error));
    OK(churn_analysis_numbers(again, "churn_probability", &repeated, &error));
    for (int i = 0; i < 60; i++)
        CHECK(probability[i] == repeated[i]);
    churn_model *none = NULL;
    FAILS_AT(churn_model_from_bytes(churn_bytes_data(bytes), churn_bytes_len(bytes) / 2, &none, &error),
             CHURN_INVALID_PARAMETER, "model");
    CHECK(none == NULL);
    churn_bytes_free(bytes);
    churn_analysis_free(again);

    /* One row at a time; the scorer outlives the model. */
    const char *columns[] = {"noise", "unread", "customer", "silence"};
    churn_scorer *scorer = NULL;
    OK(churn_scorer_new(copy, columns, 4, &scorer, &error));
    churn_model_free(copy);
    for (int i = 0; i < 60; i++) {
        double row[] = {(i * 11) % 13, 0.0, i + 1, i % 20}, one = -1.0;
        OK(churn_scorer_predict(scorer, row, 4, &one, &error));
        NEAR(one, probability[i]);
    }
    double row[] = {0.0, 0.0, 1.0, 3.0}, untouched = -1.0, level = 0.0;
    FAILS_AT(churn_scorer_predict(scorer, row, 3, &untouched, &error), CHURN_LENGTH_MISMATCH, "row");
    CHECK(untouched == -1.0);
    FAILS_AT(churn_scorer_level(scorer, "silence", "x", &level, &error), CHURN_UNKNOWN_NAME,
             "categorical column");
    churn_scorer_free(scorer);
    FAILS_AT(churn_scorer_new(model, columns, 3, &scorer, &error), CHURN_UNKNOWN_NAME, "column");

    churn_analysis *drift = NULL;
    const double *psi = NULL;
    OK(churn_feature_table_export(table, &stream, &error));
    OK(churn_model_drift(model, &stream, &drift, &error));
    OK(churn_analysis_numbers(drift, "psi", &psi, &error));
    CHECK(churn_analysis_len(drift) == 4);
    NEAR(psi[0], 0.0);
    churn_analysis_free(drift);

    churn_analysis_free(told);
    churn_model_free(model);
    churn_feature_table_free(table);
}

static void from_a_log(void) {
    churn_error *error = NULL;
    churn_event_log *log = NULL;
    churn_model *model = NULL;
    OK(churn_event_log_simulate("{\"customers\": 200, \"days\": 400}", NULL, &log, &error));
    OK(churn_model_fit_log(log, "{\"churn\": {\"horizon_days\": 60}}", SETTINGS, NULL, &model, &error));

    churn_feature_table *table = NULL;
    churn_scores *scores = NULL;
    churn_win_back *result = NULL;
    OK(churn_win_back_run_with_model(log, NULL, model, NULL, NULL, &result, &error));
    CHECK(churn_scores_horizon_days(churn_win_back_scores(result)) == 60);
    OK(churn_model_score(model, churn_win_back_features(result), &scores, &error));
    size_t rows = churn_scores_len(scores);
    const double *flow = churn_scores_churn_probability(churn_win_back_scores(result));
    const double *own = churn_scores_churn_probability(scores);
    for (size_t i = 0; i < rows; i++)
        CHECK(flow[i] == own[i] && own[i] > 0.0 && own[i] < 1.0);
    churn_scores_free(scores);
    churn_win_back_free(result);

    /* Columns are found by name. */
    table = small_table();
    scores = NULL;
    CHECK(churn_model_score(model, table, &scores, &error) == CHURN_UNKNOWN_NAME);
    CHECK(scores == NULL);
    churn_error_free(error);
    error = NULL;
    churn_feature_table_free(table);
    churn_model_free(model);

    model = NULL;
    CHECK(churn_model_fit_log(log, "{\"horizon\": 60}", NULL, NULL, &model, &error) ==
          CHURN_INVALID_PARAMETER);
    churn_error_free(error);
    error = NULL;
    FAILS_AT(churn_model_fit_log(NULL, NULL, NULL, NULL, &model, &error), CHURN_NULL_POINTER, "log");
    churn_event_log_free(log);
    churn_model_free(NULL);
    churn_scorer_free(NULL);
}

int main(void) {
    from_a_table();
    from_a_log();
    return 0;
}
