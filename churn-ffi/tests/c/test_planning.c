/* Experiments before they start, and two policies on the choices of a third. */
#include "testsupport.h"

static int near(double got, double expected, double tolerance) {
    if (fabs(got - expected) <= tolerance) {
        return 1;
    }
    fprintf(stderr, "got %.9g, expected %.9g\n", got, expected);
    return 0;
}

/* (z.975 + z.8)^2 = 7.848879...; two arms of variance 1 and a difference of a half. */
static void sizes_are_planned(void) {
    churn_error *error = NULL;
    uint64_t units = 0;
    double effect = 0, power = 0;
    OK(churn_experiment_sample_size(0.5, 1.0, 1.0, NULL, &units, &error));
    CHECK(units == 63);
    OK(churn_experiment_detectable_effect(63, 1.0, 1.0, NULL, &effect, &error));
    CHECK(near(effect, sqrt(2.0 / 63.0 * 7.8488797), 1e-6));
    OK(churn_experiment_power(effect, 63, 1.0, 1.0, NULL, &power, &error));
    CHECK(near(power, 0.8, 1e-5));
    OK(churn_experiment_sample_size(0.5, 1.0, 1.0, "{\"treated_per_control\": 2}", &units, &error));
    CHECK(units == 48);
    FAILS_AT(churn_experiment_sample_size(0.0, 1.0, 1.0, NULL, &units, &error),
             CHURN_INVALID_PARAMETER, "experiment.plan.effect");
    FAILS_AT(churn_experiment_power(0.5, 63, 1.0, 1.0, NULL, NULL, &error), CHURN_NULL_POINTER,
             "power");
    FAILS_AT(churn_experiment_detectable_effect(0, 1.0, 1.0, NULL, &effect, &error),
             CHURN_NOT_ENOUGH_DATA, "experiment.plan.control_units");
}

/* Lan & DeMets, two equally spaced looks, 5 % two-sided. */
static void looks_have_bounds(void) {
    churn_error *error = NULL;
    double looks[2] = {0.5, 1.0}, bounds[2] = {0, 0};
    OK(churn_group_sequential_bounds(looks, 2, 0.95, "obrien_fleming", bounds, &error));
    CHECK(near(bounds[0], 2.963, 1e-3) && near(bounds[1], 1.969, 1e-3));
    OK(churn_group_sequential_bounds(looks, 2, 0.95, "pocock", bounds, &error));
    CHECK(near(bounds[0], 2.157, 1e-3) && near(bounds[1], 2.201, 1e-3));
    FAILS_AT(churn_group_sequential_bounds(looks, 2, 0.95, "often", bounds, &error),
             CHURN_INVALID_PARAMETER, "spending");
    FAILS_AT(churn_group_sequential_bounds(NULL, 2, 0.95, "pocock", bounds, &error),
             CHURN_NULL_POINTER, "looks");
}

static void the_log_says_how_many(void) {
    churn_error *error = NULL;
    churn_columns *columns = NULL;
    churn_event_log *log = NULL;
    churn_bytes *answer = NULL;
    /* Three reach ten days of silence; one of them comes back within a week and spends 7. */
    const char *customers[] = {"ann", "ann", "bea", "cid"};
    const int64_t days[] = {18900, 18912, 18901, 18902};
    const double money[] = {1.0, 7.0, 1.0, 1.0};
    OK(churn_columns_new(&columns, &error));
    OK(churn_columns_set_texts(columns, CHURN_COLUMN_CUSTOMER, customers, 4, &error));
    OK(churn_columns_set_times(columns, days, 4, "D", &error));
    OK(churn_columns_set_kind(columns, CHURN_KIND_PURCHASE, &error));
    OK(churn_columns_set_values(columns, money, 4, &error));
    OK(churn_event_log_build(columns, NULL, NULL, &log, &error));
    /* 1970-01-01 + 18,922 days. */
    OK(churn_experiment_plan_from_log(log, "2021-10-22", 10, 7, 10, &answer, &error));
    CHECK(strstr((const char *)churn_bytes_data(answer), "{\"eligible\":3,\"eligible_per_day\":0.3,"
                                                         "\"baseline_rate\":0.333333") != NULL);
    churn_bytes_free(answer);
    answer = NULL;
    FAILS_AT(churn_experiment_plan_from_log(log, "2021-10-22", 0, 7, 10, &answer, &error),
             CHURN_INVALID_PARAMETER, "experiment.plan.silence_days");
    FAILS_AT(churn_experiment_plan_from_log(NULL, "2021-10-22", 10, 7, 10, &answer, &error),
             CHURN_NULL_POINTER, "log");
    CHECK(answer == NULL);
    churn_event_log_free(log);
    churn_columns_free(columns);
}

/* Two options by chance of a half each: always the first earns 1, always the second 3. */
static void policies_are_compared(void) {
    churn_error *error = NULL;
    churn_bytes *answer = NULL;
    double reward[4] = {1, 3, 1, 3}, propensity[4] = {0.5, 0.5, 0.5, 0.5};
    double first[4] = {1, 0, 1, 0}, second[4] = {0, 1, 0, 1};
    OK(churn_policy_compare(reward, propensity, first, second, NULL, NULL, NULL, 4,
                            "inverse_propensity", 0.95, &answer, &error));
    CHECK(strncmp((const char *)churn_bytes_data(answer), "{\"value\":2.0,", 13) == 0);
    churn_bytes_free(answer);
    answer = NULL;
    FAILS_AT(churn_policy_compare(reward, propensity, first, NULL, NULL, NULL, NULL, 4,
                                  "inverse_propensity", 0.95, &answer, &error),
             CHURN_NULL_POINTER, "second");
    FAILS_AT(churn_policy_compare(reward, propensity, first, second, reward, NULL, NULL, 4,
                                  "doubly_robust", 0.95, &answer, &error),
             CHURN_NULL_POINTER, "of_first");
    CHECK(answer == NULL);
}

int main(void) {
    sizes_are_planned();
    looks_have_bounds();
    the_log_says_how_many();
    policies_are_compared();
    return 0;
}
