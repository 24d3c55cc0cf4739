/* Experiments, hold-outs, policies and uplift metrics: answers as JSON. */
#include "testsupport.h"

static int has(const churn_bytes *answer, const char *part) {
    size_t length = churn_bytes_len(answer);
    char *text = malloc(length + 1);
    memcpy(text, churn_bytes_data(answer), length);
    text[length] = '\0';
    int found = strstr(text, part) != NULL;
    if (!found) {
        fprintf(stderr, "%s\n", text);
    }
    free(text);
    return found;
}

static void arms_are_compared(void) {
    churn_error *error = NULL;
    churn_bytes *answer = NULL;
    uint32_t arm[8] = {0, 1, 0, 1, 0, 1, 0, 1};
    double money[8] = {1, 3, 2, 4, 3, 5, 4, 6};
    double before[8] = {1, 1, 2, 2, 3, 3, 4, 4.5};
    const char *names[2] = {"control", "coupon"};
    OK(churn_compare_arms(arm, money, 8, names, 2, "money", NULL, 0, NULL, &answer, &error));
    CHECK(has(answer, "\"arm\":\"coupon\",\"difference\":{\"value\":2.0"));
    churn_bytes_free(answer);
    OK(churn_compare_arms(arm, money, 8, names, 2, "money", before, 1,
                          "{\"bootstrap\": {\"draws\": 0}}", &answer, &error));
    CHECK(has(answer, "\"bootstrap\":null"));
    churn_bytes_free(answer);
    answer = NULL;
    FAILS_AT(churn_compare_arms(arm, money, 8, names, 2, "binary", NULL, 0, NULL, &answer, &error),
             CHURN_INVALID_VALUE, "experiment.outcome");
    FAILS_AT(churn_compare_arms(arm, money, 8, names, 2, "many", NULL, 0, NULL, &answer, &error),
             CHURN_INVALID_PARAMETER, "kind");
    FAILS_AT(churn_compare_arms(NULL, money, 8, names, 2, "money", NULL, 0, NULL, &answer, &error),
             CHURN_NULL_POINTER, "arm");
    CHECK(answer == NULL);
}

/* What an experiment and an uplift model say goes on as effects of actions. */
static void results_become_effects(void) {
    churn_error *error = NULL;
    churn_bytes *result = NULL, *effects = NULL;
    uint32_t arm[8] = {0, 1, 0, 1, 0, 1, 0, 1};
    double stayed[8] = {0, 1, 1, 1, 0, 0, 0, 1};
    const char *names[2] = {"control", "coupon"};
    OK(churn_compare_arms(arm, stayed, 8, names, 2, "binary", NULL, 0, NULL, &result, &error));
    OK(churn_experiment_effects(result,
                                "[{\"arm\": \"coupon\", \"action\": \"win_back\", "
                                "\"channels\": [\"sms\"]}]",
                                &effects, &error));
    CHECK(has(effects, "{\"action\":\"win_back\",\"channels\":[\"sms\"],\"change\":0.5,"));
    churn_bytes_free(effects);
    effects = NULL;
    FAILS_AT(churn_experiment_effects(result, "[{\"arm\": \"mail\", \"action\": \"win_back\"}]",
                                      &effects, &error),
             CHURN_UNKNOWN_NAME, "arms[0].arm");
    CHECK(effects == NULL);
    churn_bytes_free(result);

    /* Predictions twice as far apart as the scores say. */
    double held_out[4] = {0.0, 1.0, 0.0, 1.0}, scores[4] = {0.1, 0.6, 0.1, 0.6};
    double predicted[2] = {1.0, 0.0}, change[2] = {0, 0}, uncertain[2] = {1, 1};
    OK(churn_uplift_calibrate(held_out, scores, 4, predicted, 2, change, uncertain, &error));
    CHECK(change[0] > 0.599 && change[0] < 0.601 && change[1] > 0.099 && change[1] < 0.101);
    CHECK(uncertain[0] < 1e-9 && uncertain[1] < 1e-9);
    scores[2] = NAN;
    FAILS_AT(churn_uplift_calibrate(held_out, scores, 4, predicted, 2, change, uncertain, &error),
             CHURN_INVALID_VALUE, "calibration.scores");
    FAILS_AT(churn_uplift_calibrate(held_out, scores, 4, predicted, 2, NULL, uncertain, &error),
             CHURN_NULL_POINTER, "change");
}

static void rankings_and_policies(void) {
    churn_error *error = NULL;
    churn_bytes *answer = NULL;
    double score[6] = {0.9, 0.8, 0.7, 0.2, 0.1, 0.0};
    uint8_t treated[6] = {1, 0, 1, 0, 1, 0};
    double bought[6] = {1, 0, 1, 1, 0, 1};
    OK(churn_uplift_metrics(score, treated, bought, 6, 0.5, 2, &answer, &error));
    CHECK(has(answer, "\"average_effect\":0.0"));
    churn_bytes_free(answer);
    double half[4] = {0.5, 0.5, 0.5, 0.5}, reward[4] = {0, 1, 0, 1}, policy[4] = {0, 1, 0, 1};
    OK(churn_policy_value(reward, half, policy, NULL, NULL, 4, "inverse_propensity", 0.95, &answer,
                          &error));
    CHECK(has(answer, "\"value\":{\"value\":1.0"));
    churn_bytes_free(answer);
    answer = NULL;
    half[2] = 0.0;
    FAILS_AT(churn_policy_value(reward, half, policy, NULL, NULL, 4, "inverse_propensity", 0.95,
                                &answer, &error),
             CHURN_INVALID_VALUE, "policy.propensity");
    CHECK(answer == NULL);
}

static void hold_outs_are_reported(void) {
    churn_error *error = NULL;
    churn_event_log *log = small_shop();
    const char *ids[4] = {"ann", "bea", "cem", "dora"};
    const char *names[2] = {"held out", "contacted"};
    uint32_t arm[4] = {0, 1, 0, 1};
    /* 2020-01-01 for all. */
    int64_t at[4] = {INT64_C(1577836800000000), INT64_C(1577836800000000),
                     INT64_C(1577836800000000), INT64_C(1577836800000000)};
    double cost[4] = {0, 2, 0, 2};
    churn_customers *customers = NULL;
    churn_exposures *exposures = NULL;
    churn_bytes *answer = NULL;
    OK(churn_customers_from_texts(ids, 4, &customers, &error));
    OK(churn_exposures_new(customers, arm, at, names, 2, &exposures, &error));
    OK(churn_exposures_incremental(exposures, log, 90, cost, NULL, NULL, &answer, &error));
    CHECK(has(answer, "\"treated\":2,\"held_out\":2"));
    CHECK(has(answer, "\"cost\":4.0"));
    churn_bytes_free(answer);
    answer = NULL;
    arm[2] = 7;
    churn_exposures *none = NULL;
    FAILS_AT(churn_exposures_new(customers, arm, at, names, 2, &none, &error), CHURN_INVALID_VALUE,
             "experiment.arm");
    CHECK(none == NULL);
    FAILS_AT(churn_exposures_incremental(exposures, log, 90, cost, NULL, "{\"margin\": 2}", &answer,
                                         &error),
             CHURN_INVALID_PARAMETER, "incremental.margin");
    churn_exposures_free(exposures);
    churn_customers_free(customers);
    churn_event_log_free(log);
}

int main(void) {
    arms_are_compared();
    results_become_effects();
    rankings_and_policies();
    hold_outs_are_reported();
    churn_exposures_free(NULL);
    churn_uplift_model_free(NULL);
    CHECK(churn_uplift_model_treatments(NULL) == 0);
    return 0;
}
