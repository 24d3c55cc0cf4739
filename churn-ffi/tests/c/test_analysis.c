/* Survival, retention, lifecycle over time, stickiness: numbers by hand, ownership, errors. */
#include "testsupport.h"

static const double weeks[] = {1, 2, 2, 3};
static const uint8_t ended[] = {1, 1, 0, 1};

static const double *numbers(const churn_analysis *analysis, const char *column) {
    churn_error *error = NULL;
    const double *cells = NULL;
    OK(churn_analysis_numbers(analysis, column, &cells, &error));
    return cells;
}

static void curves(void) {
    churn_error *error = NULL;
    churn_analysis *curve = NULL;
    OK(churn_kaplan_meier(weeks, ended, NULL, 4, NULL, &curve, &error));
    CHECK(churn_analysis_len(curve) == 4);
    const double *survival = numbers(curve, "survival");
    CHECK(survival[0] == 1.0 && survival[1] == 0.75 && survival[2] == 0.5 && survival[3] == 0.0);
    CHECK(numbers(curve, "at_risk")[2] == 3.0 && numbers(curve, "censored")[2] == 1.0);
    CHECK(numbers(curve, "survival") == survival);
    SAME_TEXT(churn_analysis_facts(curve), "{\"median\":2.0}");
    const double *none = NULL;
    FAILS_AT(churn_analysis_numbers(curve, "hazard", &none, &error), CHURN_UNKNOWN_NAME, "column");

    struct ArrowArrayStream stream;
    struct ArrowSchema schema;
    OK(churn_analysis_export(curve, &stream, &error));
    churn_analysis_free(curve);
    CHECK(stream.get_schema(&stream, &schema) == 0 && schema.n_children == 7);
    SAME_TEXT(schema.children[4]->name, "survival");
    schema.release(&schema);
    stream.release(&stream);

    OK(churn_nelson_aalen(weeks, ended, NULL, 4, "{\"ties\": \"together\"}", &curve, &error));
    NEAR(numbers(curve, "cumulative_hazard")[2], 0.25 + 1.0 / 3.0);
    churn_analysis_free(curve);

    static const uint32_t groups[] = {0, 1, 0, 1};
    OK(churn_log_rank(weeks, ended, NULL, groups, 4, "\"wilcoxon\"", &curve, &error));
    CHECK(churn_analysis_len(curve) == 2 && numbers(curve, "observed")[1] == 2.0);
    churn_analysis_free(curve);
}

static void models(void) {
    churn_error *error = NULL;
    static const double stop[] = {5, 8, 3, 12, 9, 14, 2, 7};
    static const uint8_t left[] = {1, 1, 1, 0, 1, 1, 1, 0};
    static const double covariates[] = {1, 0, 2, 0, 1, 0, 1, 2, 30, 25, 41, 37, 22, 35, 40, 28};
    static const char *const names[] = {"complaints", "age"};
    churn_cox *cox = NULL;
    churn_analysis *summary = NULL;
    OK(churn_cox_fit(stop, left, NULL, NULL, 8, names, covariates, 2, NULL, NULL, &cox, &error));
    OK(churn_cox_summary(cox, &summary, &error));
    CHECK(churn_analysis_len(summary) == 2 && numbers(summary, "standard_error")[0] > 0.0);
    CHECK(strstr(churn_analysis_facts(summary), "\"events\":6") != NULL);
    const double *texts = NULL;
    FAILS_AT(churn_analysis_numbers(summary, "covariate", &texts, &error),
             CHURN_INVALID_PARAMETER, "column");
    churn_analysis_free(summary);
    double survival[4];
    static const double times[] = {4, 9}, one[] = {1, 30}, after[] = {4};
    OK(churn_cox_survival(cox, one, NULL, NULL, 1, times, 2, survival, &error));
    OK(churn_cox_survival(cox, one, NULL, after, 1, times, 2, survival + 2, &error));
    CHECK(1.0 > survival[0] && survival[0] > survival[1] && survival[1] > 0.0);
    CHECK(survival[2] < 1.0 && survival[2] > survival[3]);
    FAILS_AT(churn_cox_survival(cox, one, NULL, NULL, 1, times, 2, NULL, &error),
             CHURN_NULL_POINTER, "survival");
    churn_cox_free(cox);

    churn_weibull *weibull = NULL;
    OK(churn_weibull_fit(stop, left, 8, names, covariates, 2, NULL, &weibull, &error));
    OK(churn_weibull_survival(weibull, one, NULL, 1, times, 2, survival, &error));
    CHECK(1.0 > survival[0] && survival[0] > survival[1] && survival[1] > 0.0);
    OK(churn_weibull_summary(weibull, &summary, &error));
    CHECK(churn_analysis_len(summary) == 4);
    churn_analysis_free(summary);
    churn_weibull_free(weibull);
    OK(churn_weibull_fit(stop, left, 8, NULL, NULL, 0, NULL, &weibull, &error));
    churn_weibull_free(weibull);

    static const double right[] = {0, 1, 0, 0};
    static const double ends[] = {1, 4};
    static const uint8_t both[] = {1, 1};
    static const double at[] = {2, 5};
    double scores[2], integrated = -1.0;
    OK(churn_survival_brier(ends, both, 2, right, at, 2, scores, &integrated, &error));
    CHECK(scores[0] == 0.0 && scores[1] == 0.0 && integrated == 0.0);
    OK(churn_survival_brier(ends, both, 2, right, at, 2, NULL, &integrated, &error));
}

static void behavior(void) {
    churn_error *error = NULL;
    churn_event_log *log = small_shop();
    churn_analysis *table = NULL;
    OK(churn_retention(log, "2020-04-01", "{\"period\": \"month\", \"periods\": 3}", NULL, &table,
                       &error));
    /* bea began in October, ann in January; six months, four columns each. */
    CHECK(churn_analysis_len(table) == 24);
    CHECK(numbers(table, "size")[0] == 1.0 && numbers(table, "retained")[1] == 1.0);
    CHECK(isnan(numbers(table, "retained")[23]) && numbers(table, "complete")[23] == 0.0);
    CHECK(strstr(churn_analysis_facts(table), "\"weighted\":[1.0,1.0,") != NULL);
    churn_analysis_free(table);

    OK(churn_lifecycle_over_time(log, "2020-04-01", "{\"period\": \"month\"}", NULL, &table,
                                 &error));
    CHECK(numbers(table, "new")[0] == 1.0 && numbers(table, "returning")[1] == 1.0);
    CHECK(numbers(table, "dormant")[2] == 1.0);
    churn_analysis_free(table);

    OK(churn_stickiness(log, "2020-04-01", "{\"period\": \"month\"}", NULL, &table, &error));
    CHECK(churn_analysis_len(table) == 6);
    CHECK(numbers(table, "customers")[1] == 1.0 && numbers(table, "customers")[2] == 1.0);
    churn_analysis_free(table);

    OK(churn_purchase_gaps(log, "2020-04-01", &table, &error));
    CHECK(churn_analysis_len(table) == 5 && numbers(table, "duration")[0] == 31.0);
    CHECK(numbers(table, "event_observed")[2] == 0.0);
    churn_analysis_free(table);

    FAILS_AT(churn_retention(log, "2020-04-01", "{\"periods\": 0}", NULL, &table, &error),
             CHURN_INVALID_PARAMETER, "retention.periods");
    FAILS_AT(churn_retention(NULL, "2020-04-01", NULL, NULL, &table, &error), CHURN_NULL_POINTER,
             "log");
    FAILS_AT(churn_stickiness(log, "2020-04-01", "{\"time_zone\": \"Mars\"}", NULL, &table, &error),
             CHURN_UNKNOWN_NAME, "time_zone");
    churn_event_log_free(log);
}

static void mistakes_are_named(void) {
    churn_error *error = NULL;
    churn_analysis *curve = NULL;
    static const uint8_t wrong[] = {1, 2, 0, 1};
    static const double negative[] = {1, 2, -2, 3}, late[] = {0, 2, 0, 0};
    FAILS(churn_kaplan_meier(negative, ended, NULL, 4, NULL, &curve, &error), CHURN_INVALID_VALUE,
          "durations[2]: expected a finite number not below 0, got -2");
    FAILS(churn_kaplan_meier(weeks, wrong, NULL, 4, NULL, &curve, &error), CHURN_INVALID_VALUE,
          "event_observed[1]: expected 0 or 1, got 2");
    FAILS_AT(churn_kaplan_meier(weeks, ended, late, 4, NULL, &curve, &error), CHURN_INVALID_VALUE,
             "entry");
    FAILS_AT(churn_kaplan_meier(weeks, NULL, NULL, 4, NULL, &curve, &error), CHURN_NULL_POINTER,
             "event_observed");
    FAILS_AT(churn_kaplan_meier(weeks, ended, NULL, 0, NULL, &curve, &error),
             CHURN_NOT_ENOUGH_DATA, "durations");
    FAILS_AT(churn_kaplan_meier(weeks, ended, NULL, 4, NULL, NULL, &error), CHURN_NULL_POINTER,
             "analysis");
    CHECK(curve == NULL);
}

int main(void) {
    curves();
    models();
    behavior();
    mistakes_are_named();
    churn_analysis_free(NULL);
    churn_cox_free(NULL);
    churn_weibull_free(NULL);
    CHECK(churn_analysis_len(NULL) == 0 && churn_analysis_facts(NULL) == NULL);
    return 0;
}
