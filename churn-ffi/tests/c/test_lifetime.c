/* Models of buying: from a log and from arrays, answers, value, JSON, the main flow, mistakes. */
#include "testsupport.h"

static const double frequency[] = {2, 1, 0, 0, 0, 7, 1, 0, 3, 0};
static const double recency[] = {30.4, 1.7, 0, 0, 0, 29.4, 5, 0, 25, 0};
static const double age[] = {38.9, 38.9, 38, 36, 35, 38.9, 37, 36.5, 33, 34};
static const double money[] = {22, 12, 0, 0, 0, 35, 60, 0, 18, 0};
static const double web[] = {1, 0, 0, 1, 0, 1, 1, 0, 1, 0};
static const char *const names[] = {"web"};

static churn_buyers *ten(int with_web) {
    churn_error *error = NULL;
    churn_buyers *buyers = NULL;
    OK(churn_buyers_from_columns(frequency, recency, age, money, NULL, NULL, 10, 7.0, names, web,
                                 with_web ? 1 : 0, &buyers, &error));
    CHECK(churn_buyers_len(buyers) == 10);
    return buyers;
}

static const double *numbers(const churn_analysis *analysis, const char *column) {
    churn_error *error = NULL;
    const double *cells = NULL;
    OK(churn_analysis_numbers(analysis, column, &cells, &error));
    return cells;
}

static void answers(void) {
    churn_error *error = NULL;
    churn_buyers *buyers = ten(0);
    churn_lifetime *model = NULL, *again = NULL;
    OK(churn_lifetime_fit(buyers, NULL, NULL, &model, &error));
    const char *text = NULL, *same = NULL;
    OK(churn_lifetime_report(model, &text, &error));
    CHECK(strstr(text, "\"family\":\"mbg_nbd\"") && strstr(text, "\"log_likelihood\":"));
    CHECK(strstr(text, "\"alpha\":") && strstr(text, "\"aic\":"));
    OK(churn_lifetime_to_json(model, &text, &error));
    OK(churn_lifetime_from_json(text, &again, &error));
    OK(churn_lifetime_to_json(again, &same, &error));
    SAME_TEXT(text, same);

    churn_analysis *found = NULL;
    OK(churn_lifetime_answers(model, buyers, 13.0, 0.9, 3, &found, &error));
    CHECK(churn_analysis_len(found) == 10);
    const double *alive = numbers(found, "probability_alive");
    const double *low = numbers(found, "probability_alive_lower");
    const double *none = numbers(found, "no_purchase_probability");
    const double *zero = numbers(found, "purchases_0");
    CHECK(alive[5] > alive[1] && alive[2] < 1.0 && low[5] <= alive[5]);
    for (size_t row = 0; row < 10; row++) {
        CHECK(fabs(none[row] - zero[row]) < 1e-9);
        CHECK(numbers(found, "expected_purchases_upper")[row] >=
              numbers(found, "expected_purchases")[row]);
    }
    churn_analysis_free(found);

    churn_spend *spend = NULL;
    OK(churn_spend_fit(buyers, NULL, NULL, &spend, &error));
    OK(churn_spend_report(spend, &text, &error));
    CHECK(strstr(text, "\"left_out\":5") != NULL);
    OK(churn_lifetime_value(model, spend, buyers, "{\"margin\": 0.5}", 0.9, &found, &error));
    const double *value = numbers(found, "customer_value");
    CHECK(value[5] > value[2] && numbers(found, "customer_value_lower")[5] <= value[5]);
    CHECK(numbers(found, "expected_spend")[2] > 0.0);
    churn_analysis_free(found);
    churn_spend_free(spend);

    /* The covariate helps or does not; the test says how likely that is by chance. */
    churn_buyers *with_web = ten(1);
    churn_lifetime *larger = NULL;
    OK(churn_lifetime_fit(with_web, "{\"purchase_covariates\": [\"web\"]}", NULL, &larger, &error));
    double statistic = -1.0, p_value = -1.0;
    uint32_t degrees = 0;
    OK(churn_lifetime_likelihood_ratio(model, larger, &statistic, &degrees, &p_value, &error));
    CHECK(degrees == 1 && statistic >= 0.0 && p_value > 0.0 && p_value <= 1.0);
    FAILS_AT(churn_lifetime_answers(larger, buyers, 13.0, 0.0, 0, &found, &error),
             CHURN_UNKNOWN_NAME, "covariates");
    churn_lifetime_free(larger);
    churn_buyers_free(with_web);
    churn_lifetime_free(again);
    churn_lifetime_free(model);
    churn_buyers_free(buyers);
}

static void of_a_log(void) {
    churn_error *error = NULL;
    churn_event_log *log = small_shop();
    churn_summary *summary = NULL;
    OK(churn_summary_build(log, "2020-04-01", "{\"time_scale\": 7}", NULL, &summary, &error));
    double gaps = churn_summary_log_gaps(summary)[0];
    CHECK(fabs(exp(gaps) - 31.0 * 29.0 / 49.0) < 1e-9);
    churn_buyers *buyers = NULL;
    OK(churn_buyers_from_summary(summary, NULL, NULL, 0, &buyers, &error));
    churn_lifetime *model = NULL;
    OK(churn_lifetime_fit(buyers, "{\"family\": \"pareto_nbd\"}", NULL, &model, &error));
    churn_scores *scores = NULL;
    OK(churn_lifetime_score(model, summary, 90, &scores, &error));
    CHECK(churn_scores_len(scores) == 2);
    churn_feature_table *features = NULL;
    OK(churn_lifetime_features(model, summary, 90, &features, &error));
    CHECK(churn_feature_table_feature_count(features) == 3);
    churn_feature_table_free(features);
    churn_scores_free(scores);

    churn_analysis *later = NULL;
    OK(churn_summary_holdout(summary, log, "2020-06-01", "{\"time_scale\": 7}", &later, &error));
    CHECK(churn_analysis_len(later) == 2 && numbers(later, "frequency")[0] == 0.0);
    CHECK(strstr(churn_analysis_facts(later), "\"duration\":8.7") != NULL);
    churn_analysis_free(later);
    FAILS_AT(churn_summary_holdout(summary, log, "2020-06-01", NULL, &later, &error),
             CHURN_INVALID_PARAMETER, "holdout.settings");
    churn_summary_free(summary);
    /* Customers hold on to what they need. */
    CHECK(churn_buyers_len(buyers) == 2);
    churn_buyers_free(buyers);
    churn_lifetime_free(model);

    /* The main flow, with a model of buying in place of the scorecard. */
    churn_win_back *result = NULL;
    OK(churn_win_back_run(log, "2020-04-01", "{\"lifetime\": {\"horizon_days\": 60}}", NULL,
                          &result, &error));
    CHECK(churn_win_back_lifetime(result) != NULL);
    const char *text = NULL;
    OK(churn_lifetime_report(churn_win_back_lifetime(result), &text, &error));
    CHECK(strstr(text, "\"mbg_nbd\"") != NULL);
    const churn_scores *churn = churn_win_back_scores(result);
    /* ann, bea, cem, who never bought. */
    CHECK(churn_scores_len(churn) == 3 && churn_scores_churn_probability(churn)[2] == 1.0);
    CHECK(churn_scores_churn_probability(churn)[0] < churn_scores_churn_probability(churn)[1]);
    churn_win_back_free(result);
    OK(churn_win_back_run(log, "2020-04-01", NULL, NULL, &result, &error));
    CHECK(churn_win_back_lifetime(result) == NULL);
    churn_win_back_free(result);
    churn_event_log_free(log);
}

static void rounds_and_renewals(void) {
    churn_error *error = NULL;
    static const double gifts[] = {0, 1, 6, 3}, last[] = {0, 2, 6, 5}, rounds[] = {6, 6, 6, 6};
    static const double people[] = {50, 12, 11, 9};
    churn_buyers *buyers = NULL;
    churn_analysis *found = NULL;
    const char *text = NULL;
    OK(churn_buyers_from_columns(gifts, last, rounds, NULL, NULL, people, 4, 1.0, NULL, NULL, 0,
                                 &buyers, &error));
    churn_bg_bb *bg_bb = NULL;
    OK(churn_bg_bb_fit(buyers, NULL, &bg_bb, &error));
    OK(churn_bg_bb_answers(bg_bb, buyers, 2, &found, &error));
    CHECK(numbers(found, "probability_alive")[2] > numbers(found, "probability_alive")[1]);
    churn_analysis_free(found);
    OK(churn_bg_bb_report(bg_bb, &text, &error));
    CHECK(strstr(text, "\"delta\":") != NULL);
    churn_bg_bb_free(bg_bb);
    churn_buyers_free(buyers);

    static const double cohort[] = {1000, 631, 468, 382, 326, 289, 262, 241};
    static const double made[] = {0, 5};
    double kept[2], worth[2];
    churn_renewals *renewals = NULL;
    OK(churn_renewals_fit_survivors(cohort, 8, NULL, &renewals, &error));
    OK(churn_renewals_survival(renewals, made, 2, 1, kept, &error));
    CHECK(fabs(kept[0] - 0.627) < 1e-3 && kept[1] > kept[0]);
    OK(churn_renewals_discounted(renewals, made, 2, 0.1, worth, &error));
    CHECK(worth[1] > worth[0]);
    churn_renewals_free(renewals);
    static const uint8_t odd[] = {1, 3};
    FAILS(churn_renewals_fit(made, odd, 2, NULL, &renewals, &error), CHURN_INVALID_VALUE,
          "contracts.churned[1]: expected 0 or 1, got 3");
}

static void orders_one_by_one(void) {
    churn_error *error = NULL;
    churn_running_summary *ann = NULL;
    double row[5];
    OK(churn_running_summary_new("2020-01-05", NULL, &ann, &error));
    OK(churn_running_summary_add(ann, "2020-02-05", 20.0, &error));
    FAILS_AT(churn_running_summary_add(ann, "2020-01-20", 1.0, &error), CHURN_INVALID_PARAMETER,
             "summary.time");
    OK(churn_running_summary_row(ann, "2020-04-01", row, &error));
    CHECK(row[0] == 1.0 && row[1] == 31.0 && row[2] == 86.0 && row[3] == 20.0);
    NEAR(row[4], log(31.0));
    churn_bytes *json = NULL;
    OK(churn_running_summary_to_json(ann, &json, &error));
    CHECK(churn_bytes_len(json) > 0);
    churn_bytes_free(json);
    churn_running_summary_free(ann);
}

static void mistakes_are_named(void) {
    churn_error *error = NULL;
    churn_buyers *buyers = NULL;
    churn_lifetime *model = NULL;
    churn_spend *spend = NULL;
    churn_analysis *found = NULL;
    static const double x[] = {1, 1}, late[] = {2, 4}, short_[] = {3, 3}, zeros[] = {0, 0};
    FAILS(churn_buyers_from_columns(x, late, short_, NULL, NULL, NULL, 2, 1.0, NULL, NULL, 0,
                                    &buyers, &error),
          CHURN_INVALID_VALUE, "summary.recency[1]: expected at most the age of 3, got 4");
    FAILS_AT(churn_buyers_from_columns(x, NULL, short_, NULL, NULL, NULL, 2, 1.0, NULL, NULL, 0,
                                       &buyers, &error),
             CHURN_NULL_POINTER, "recency");
    OK(churn_buyers_from_columns(zeros, zeros, short_, NULL, NULL, NULL, 2, 1.0, NULL, NULL, 0,
                                 &buyers, &error));
    FAILS(churn_lifetime_fit(buyers, NULL, NULL, &model, &error), CHURN_NOT_ENOUGH_DATA,
          "summary.frequency: expected at least one repeat purchase, got 0");
    FAILS_AT(churn_lifetime_fit(buyers, "{\"family\": \"magic\"}", NULL, &model, &error),
             CHURN_INVALID_PARAMETER, "lifetime");
    FAILS_AT(churn_spend_fit(buyers, NULL, NULL, &spend, &error), CHURN_NOT_ENOUGH_DATA,
             "summary.monetary_value");
    churn_buyers_free(buyers);
    buyers = ten(0);
    OK(churn_lifetime_fit(buyers, NULL, NULL, &model, &error));
    FAILS_AT(churn_lifetime_answers(model, buyers, -1.0, 0.0, 0, &found, &error),
             CHURN_INVALID_PARAMETER, "lifetime.horizon");
    FAILS_AT(churn_lifetime_answers(model, buyers, 1.0, 1.5, 0, &found, &error),
             CHURN_INVALID_PARAMETER, "lifetime.level");
    OK(churn_lifetime_answers(model, buyers, 0.0, 0.0, 0, &found, &error));
    CHECK(numbers(found, "expected_purchases")[0] == 0.0);
    CHECK(numbers(found, "no_purchase_probability")[0] == 1.0);
    churn_analysis_free(found);
    churn_lifetime_free(model);
    churn_buyers_free(buyers);
}

int main(void) {
    answers();
    of_a_log();
    rounds_and_renewals();
    orders_one_by_one();
    mistakes_are_named();
    churn_buyers_free(NULL);
    churn_lifetime_free(NULL);
    churn_spend_free(NULL);
    churn_bg_bb_free(NULL);
    churn_renewals_free(NULL);
    churn_running_summary_free(NULL);
    CHECK(churn_buyers_len(NULL) == 0 && churn_summary_log_gaps(NULL) == NULL);
    CHECK(churn_win_back_lifetime(NULL) == NULL);
    return 0;
}
