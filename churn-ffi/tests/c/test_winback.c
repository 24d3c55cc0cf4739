/* The flow in one call gives the same bits as the steps one by one; results are shared by threads. */
#include <pthread.h>

#include "testsupport.h"

static const char AS_OF[] = "2023-06-01";
static const char SHOP[] = "{\"customers\": 300, \"seed\": 5}";

static churn_event_log *shop(void) {
    churn_error *error = NULL;
    churn_event_log *log = NULL;
    OK(churn_event_log_simulate(SHOP, NULL, &log, &error));
    return log;
}

static void same_as_the_steps(void) {
    churn_error *error = NULL;
    churn_event_log *log = shop();
    churn_win_back *result = NULL;
    OK(churn_win_back_run(log, AS_OF, NULL, NULL, &result, &error));

    churn_feature_table *table = NULL;
    churn_population *population = NULL;
    churn_scorecard *card = NULL;
    churn_scores *scores = NULL;
    churn_segments *tiers = NULL, *rfm = NULL, *stages = NULL;
    churn_grid *grid = NULL;
    churn_playbook *playbook = NULL;
    churn_plan *plan = NULL;
    OK(churn_feature_table_build(log, AS_OF, NULL, NULL, &table, &population, &error));
    churn_event_log_free(log);
    OK(churn_scorecard_default(&card, &error));
    OK(churn_scorecard_score(card, table, NULL, &scores, &error));
    OK(churn_segments_risk_tiers(scores, NULL, &tiers, &error));
    OK(churn_grid_named("rf25", &grid, &error));
    OK(churn_grid_assign(grid, table, &rfm, &error));
    OK(churn_segments_lifecycle(table, &stages, &error));
    const churn_segments *groupings[] = {tiers, rfm, stages};
    OK(churn_playbook_from_toml(NULL, table, groupings, 3, &playbook, &error));
    OK(churn_playbook_match(playbook, table, scores, groupings, 3, &plan, &error));

    size_t n = churn_feature_table_len(table);
    CHECK(n > 100 && n == churn_feature_table_len(churn_win_back_features(result)));
    size_t count = churn_feature_table_feature_count(table);
    CHECK(count == churn_feature_table_feature_count(churn_win_back_features(result)));
    for (size_t i = 0; i < count; i++) {
        const double *a = NULL, *b = NULL;
        OK(churn_feature_table_column_at(table, i, &a, &error));
        OK(churn_feature_table_column_at(churn_win_back_features(result), i, &b, &error));
        CHECK(memcmp(a, b, n * sizeof *a) == 0);
    }
    const char *a = NULL, *b = NULL;
    OK(churn_population_to_json(population, &a, &error));
    OK(churn_population_to_json(churn_win_back_population(result), &b, &error));
    SAME_TEXT(a, b);
    CHECK(memcmp(churn_scores_churn_probability(scores),
                 churn_scores_churn_probability(churn_win_back_scores(result)),
                 n * sizeof(double)) == 0);
    CHECK(memcmp(churn_segments_codes(tiers), churn_segments_codes(churn_win_back_risk_tier(result)),
                 n * sizeof(uint32_t)) == 0);
    CHECK(memcmp(churn_segments_codes(rfm),
                 churn_segments_codes(churn_win_back_rfm_segment(result)),
                 n * sizeof(uint32_t)) == 0);
    CHECK(memcmp(churn_segments_codes(stages),
                 churn_segments_codes(churn_win_back_lifecycle(result)),
                 n * sizeof(uint32_t)) == 0);
    CHECK(memcmp(churn_plan_action_codes(plan),
                 churn_plan_action_codes(churn_win_back_plan(result)), n * sizeof(int32_t)) == 0);
    CHECK(memcmp(churn_plan_offer_cost(plan), churn_plan_offer_cost(churn_win_back_plan(result)),
                 n * sizeof(double)) == 0);

    churn_win_back_free(result);
    churn_plan_free(plan);
    churn_playbook_free(playbook);
    churn_grid_free(grid);
    churn_segments_free(stages);
    churn_segments_free(rfm);
    churn_segments_free(tiers);
    churn_scores_free(scores);
    churn_scorecard_free(card);
    churn_population_free(population);
    churn_feature_table_free(table);
}

static void stories(void) {
    churn_error *error = NULL;
    churn_event_log *log = shop();
    churn_win_back *result = NULL;
    OK(churn_win_back_run(log, AS_OF, NULL, NULL, &result, &error));
    churn_event_log_free(log);
    size_t rows[3] = {999, 999, 999}, count = 9;
    OK(churn_win_back_examples(result, rows, 1, &count, &error));
    CHECK(count == 1 && rows[0] < 999 && rows[1] == 999);
    size_t high = rows[0];
    OK(churn_win_back_examples(result, rows, 3, &count, &error));
    CHECK(count >= 2 && count <= 3 && rows[0] == high);
    const uint32_t *tiers = churn_segments_codes(churn_win_back_risk_tier(result));
    for (size_t i = 0; i < count; i++) {
        CHECK(churn_plan_action_codes(churn_win_back_plan(result))[rows[i]] != CHURN_NO_ACTION);
        CHECK(i == 0 || tiers[rows[i]] < tiers[rows[i - 1]]);
    }
    FAILS_AT(churn_win_back_examples(result, NULL, 3, &count, &error), CHURN_NULL_POINTER, "rows");

    churn_texts *story = NULL;
    const char *text = NULL;
    char id[32];
    OK(churn_customers_format(churn_plan_customers(churn_win_back_plan(result)), high, id,
                              sizeof id, NULL, &error));
    OK(churn_win_back_story(result, high, NULL, &story, &error));
    CHECK(churn_texts_len(story) == 1);
    OK(churn_texts_get(story, 0, &text, &error));
    CHECK(strncmp(text, "Customer ", 9) == 0 && strncmp(text + 9, id, strlen(id)) == 0);
    churn_texts_free(story);
    story = NULL;
    FAILS_AT(churn_win_back_story(result, 300, NULL, &story, &error), CHURN_INVALID_PARAMETER,
             "row");
    CHECK(story == NULL);
    churn_win_back_free(result);
}

/* Without an instant all events are the past. */
static void day_after_the_last_event(void) {
    churn_error *error = NULL;
    churn_event_log *log = small_shop();
    churn_win_back *result = NULL;
    OK(churn_win_back_run(log, NULL, NULL, NULL, &result, &error));
    churn_event_log_free(log);
    /* dora bought on 2020-05-01. */
    CHECK(churn_plan_as_of_micros(churn_win_back_plan(result)) == INT64_C(1588377600000000));
    CHECK(churn_plan_len(churn_win_back_plan(result)) == 4);

    churn_bytes *english = NULL, *chinese = NULL;
    OK(churn_win_back_plan_csv(result, NULL, &english, &error));
    OK(churn_win_back_plan_csv(result, "zh", &chinese, &error));
    churn_bytes *none = NULL;
    FAILS_AT(churn_win_back_plan_csv(result, "de", &none, &error), CHURN_UNKNOWN_NAME, "language");
    FAILS_AT(churn_win_back_plan_csv(NULL, NULL, &none, &error), CHURN_NULL_POINTER, "result");
    FAILS_AT(churn_win_back_plan_csv(result, NULL, NULL, &error), CHURN_NULL_POINTER, "csv");
    CHECK(none == NULL);
    churn_win_back_free(result);
    static const char header[] = "customer,as_of,churn_probability,horizon_days,risk_tier,";
    const char *bytes = (const char *)churn_bytes_data(english);
    size_t length = churn_bytes_len(english), lines = 0;
    CHECK(length > sizeof header && memcmp(bytes, header, sizeof header - 1) == 0);
    for (size_t i = 0; i < length; i++) {
        lines += bytes[i] == '\n';
    }
    CHECK(lines == 5 && bytes[length - 1] == '\n');
    CHECK(churn_bytes_len(chinese) != length ||
          memcmp(bytes, churn_bytes_data(chinese), length) != 0);
    churn_bytes_free(english);
    churn_bytes_free(chinese);

    churn_columns *columns = NULL;
    OK(churn_columns_new(&columns, &error));
    OK(churn_columns_set_int64(columns, CHURN_COLUMN_CUSTOMER, NULL, 0, &error));
    OK(churn_columns_set_times(columns, NULL, 0, "D", &error));
    OK(churn_columns_set_kind(columns, CHURN_KIND_PURCHASE, &error));
    OK(churn_event_log_build(columns, NULL, NULL, &log, &error));
    churn_columns_free(columns);
    result = NULL;
    FAILS(churn_win_back_run(log, NULL, NULL, NULL, &result, &error), CHURN_NOT_ENOUGH_DATA,
          "events: expected at least one event, or a stated as_of, got none");
    CHECK(result == NULL);
    churn_event_log_free(log);
}

/* Defaults handed back change nothing. */
static void defaults(void) {
    churn_error *error = NULL;
    churn_event_log *log = small_shop();
    churn_texts *json = NULL;
    const char *settings = NULL;
    OK(churn_defaults_json("winback", &json, &error));
    CHECK(churn_texts_len(json) == 1);
    OK(churn_texts_get(json, 0, &settings, &error));
    churn_win_back *plain = NULL, *stated = NULL;
    OK(churn_win_back_run(log, NULL, NULL, NULL, &plain, &error));
    OK(churn_win_back_run(log, NULL, settings, NULL, &stated, &error));
    churn_texts_free(json);
    churn_event_log_free(log);
    churn_bytes *a = NULL, *b = NULL;
    OK(churn_win_back_plan_csv(plain, NULL, &a, &error));
    OK(churn_win_back_plan_csv(stated, NULL, &b, &error));
    CHECK(churn_bytes_len(a) == churn_bytes_len(b));
    CHECK(memcmp(churn_bytes_data(a), churn_bytes_data(b), churn_bytes_len(a)) == 0);
    churn_bytes_free(a);
    churn_bytes_free(b);
    churn_win_back_free(plain);
    churn_win_back_free(stated);
    json = NULL;
    FAILS_AT(churn_defaults_json("card", &json, &error), CHURN_UNKNOWN_NAME, "defaults");
    FAILS_AT(churn_defaults_json(NULL, &json, &error), CHURN_NULL_POINTER, "name");
    FAILS_AT(churn_defaults_json("grid", NULL, &error), CHURN_NULL_POINTER, "json");
    CHECK(json == NULL);
}

static void bad_settings_are_named(void) {
    churn_error *error = NULL;
    churn_event_log *log = shop();
    churn_win_back *result = NULL;
    FAILS_AT(churn_win_back_run(log, "tomorrow", NULL, NULL, &result, &error),
             CHURN_INVALID_PARAMETER, "as_of");
    FAILS_AT(churn_win_back_run(log, AS_OF, "{\"score\": 1}", NULL, &result, &error),
             CHURN_INVALID_PARAMETER, "winback");
    FAILS_AT(churn_win_back_run(log, AS_OF, "{\"risk_tiers\": {\"high\": 0.2}}", NULL, &result,
                                &error),
             CHURN_INVALID_PARAMETER, "risk_tiers.high");
    FAILS_AT(churn_win_back_run(log, AS_OF, NULL, NULL, NULL, &error), CHURN_NULL_POINTER,
             "result");
    churn_progress *progress = NULL;
    OK(churn_progress_new(&progress, &error));
    OK(churn_progress_cancel(progress, &error));
    CHECK(churn_win_back_run(log, AS_OF, NULL, progress, &result, &error) == CHURN_CANCELLED);
    churn_error_free(error);
    error = NULL;
    CHECK(result == NULL);
    churn_progress_free(progress);
    churn_event_log_free(log);
    FAILS_AT(churn_event_log_simulate("{\"customers\": 0}", NULL, &log, &error),
             CHURN_INVALID_PARAMETER, "shop.customers");
}

/* A const handle is shared: many threads run on one log and read one result, texts included. */
struct shared {
    const churn_event_log *log;
    const churn_win_back *result;
};

static void *use(void *argument) {
    const struct shared *shared = argument;
    churn_error *error = NULL;
    churn_win_back *mine = NULL;
    OK(churn_win_back_run(shared->log, AS_OF, NULL, NULL, &mine, &error));
    const char *a = NULL, *b = NULL;
    OK(churn_plan_summary(churn_win_back_plan(mine), &a, &error));
    OK(churn_plan_summary(churn_win_back_plan(shared->result), &b, &error));
    SAME_TEXT(a, b);
    OK(churn_population_to_json(churn_win_back_population(mine), &a, &error));
    OK(churn_population_to_json(churn_win_back_population(shared->result), &b, &error));
    SAME_TEXT(a, b);
    churn_win_back_free(mine);
    return NULL;
}

static void threads(void) {
    churn_error *error = NULL;
    churn_event_log *log = shop();
    churn_win_back *result = NULL;
    OK(churn_win_back_run(log, AS_OF, NULL, NULL, &result, &error));
    struct shared shared = {log, result};
    pthread_t running[4];
    for (size_t i = 0; i < COUNT(running); i++) {
        CHECK(pthread_create(&running[i], NULL, use, &shared) == 0);
    }
    for (size_t i = 0; i < COUNT(running); i++) {
        CHECK(pthread_join(running[i], NULL) == 0);
    }
    churn_win_back_free(result);
    churn_event_log_free(log);
}

int main(void) {
    same_as_the_steps();
    stories();
    day_after_the_last_event();
    defaults();
    bad_settings_are_named();
    threads();
    churn_bytes_free(NULL);
    CHECK(churn_bytes_len(NULL) == 0 && churn_bytes_data(NULL) == NULL);
    churn_win_back_free(NULL);
    CHECK(churn_win_back_features(NULL) == NULL && churn_win_back_population(NULL) == NULL);
    CHECK(churn_win_back_scores(NULL) == NULL && churn_win_back_risk_tier(NULL) == NULL);
    CHECK(churn_win_back_rfm_segment(NULL) == NULL && churn_win_back_lifecycle(NULL) == NULL);
    CHECK(churn_win_back_plan(NULL) == NULL);
    return 0;
}
