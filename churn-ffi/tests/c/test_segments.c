/* Risk tiers, lifecycle, grids and profiles. */
#include "testsupport.h"

static churn_scores *scores_of(const churn_feature_table *table) {
    churn_error *error = NULL;
    churn_scorecard *card = NULL;
    churn_scores *scores = NULL;
    OK(churn_scorecard_default(&card, &error));
    OK(churn_scorecard_score(card, table, NULL, &scores, &error));
    churn_scorecard_free(card);
    return scores;
}

static void tiers(void) {
    churn_error *error = NULL;
    churn_feature_table *table = small_table();
    churn_scores *scores = scores_of(table);
    churn_segments *tiers = NULL;
    OK(churn_segments_risk_tiers(scores, NULL, &tiers, &error));
    SAME_TEXT(churn_segments_name(tiers), "risk_tier");
    CHECK(churn_segments_len(tiers) == 3);
    CHECK(churn_customers_len(churn_segments_customers(tiers)) == 3);
    CHECK(churn_segments_as_of_micros(tiers) == churn_scores_as_of_micros(scores));
    CHECK(churn_segments_label_count(tiers) == 3);
    const char *labels[3];
    for (size_t i = 0; i < 3; i++) {
        OK(churn_segments_label(tiers, i, &labels[i], &error));
    }
    SAME_TEXT(labels[0], "low");
    SAME_TEXT(labels[1], "medium");
    SAME_TEXT(labels[2], "high");
    const double *probability = churn_scores_churn_probability(scores);
    const uint32_t *codes = churn_segments_codes(tiers);
    for (size_t row = 0; row < 3; row++) {
        uint32_t expected = probability[row] >= 0.66 ? 2 : probability[row] >= 0.33 ? 1 : 0;
        CHECK(codes[row] == expected);
    }
    FAILS_AT(churn_segments_label(tiers, 3, labels, &error), CHURN_INVALID_PARAMETER, "index");
    churn_segments_free(tiers);

    /* Cuts below every probability: all are high. */
    OK(churn_segments_risk_tiers(scores, "{\"medium\": 1e-9, \"high\": 2e-9}", &tiers, &error));
    for (size_t row = 0; row < 3; row++) {
        CHECK(churn_segments_codes(tiers)[row] == 2);
    }
    churn_segments_free(tiers);
    tiers = NULL;
    FAILS_AT(churn_segments_risk_tiers(scores, "{\"medium\": 0.9}", &tiers, &error),
             CHURN_INVALID_PARAMETER, "risk_tiers.high");
    FAILS_AT(churn_segments_risk_tiers(NULL, NULL, &tiers, &error), CHURN_NULL_POINTER, "scores");
    CHECK(tiers == NULL);
    churn_scores_free(scores);
    churn_feature_table_free(table);
}

static void grids(void) {
    churn_error *error = NULL;
    churn_feature_table *table = small_table();
    churn_grid *grid = NULL, *copy = NULL;
    churn_segments *segments = NULL, *stages = NULL;
    OK(churn_grid_named("rf25", &grid, &error));
    OK(churn_grid_assign(grid, table, &segments, &error));
    size_t cem = 9;
    OK(churn_customers_find_text(churn_segments_customers(segments), "cem", &cem, &error));
    const char *label = NULL;
    OK(churn_segments_label(segments, churn_segments_codes(segments)[cem], &label, &error));
    SAME_TEXT(label, "no_purchase");

    const char *text = NULL, *again = NULL;
    OK(churn_grid_to_toml(grid, &text, &error));
    OK(churn_grid_from_toml(text, &copy, &error));
    OK(churn_grid_to_json(grid, &text, &error));
    OK(churn_grid_to_json(copy, &again, &error));
    SAME_TEXT(text, again);
    churn_grid_free(copy);
    OK(churn_grid_from_json(text, &copy, &error));
    churn_grid_free(copy);
    churn_grid_free(grid);
    FAILS_AT(churn_grid_named("rf26", &grid, &error), CHURN_UNKNOWN_NAME, "grid");
    FAILS_AT(churn_grid_from_toml("name = 'x'\nbins = 3\n[[rules]]\nlabel = 'fresh'\n"
                                  "cells = [{ recency = [2, 3] }]\n",
                                  &grid, &error),
             CHURN_INVALID_PARAMETER, "grid.rules");

    OK(churn_segments_lifecycle(table, &stages, &error));
    const churn_segments *both[] = {segments, stages};
    struct ArrowArrayStream stream;
    OK(churn_segments_export(both, 2, &stream, &error));
    struct ArrowSchema schema;
    CHECK(stream.get_schema(&stream, &schema) == 0);
    CHECK(schema.n_children == 3);
    SAME_TEXT(schema.children[1]->name, churn_segments_name(segments));
    CHECK(schema.children[1]->dictionary != NULL);
    schema.release(&schema);
    stream.release(&stream);
    CHECK(churn_segments_export(NULL, 0, &stream, &error) == CHURN_INVALID_PARAMETER);
    churn_error_free(error);
    error = NULL;
    both[1] = NULL;
    FAILS_AT(churn_segments_export(both, 2, &stream, &error), CHURN_NULL_POINTER, "groupings");
    churn_segments_free(segments);
    churn_segments_free(stages);
    churn_feature_table_free(table);
}

static void profiles(void) {
    churn_error *error = NULL;
    churn_feature_table *table = small_table();
    churn_scores *scores = scores_of(table);
    churn_segments *tiers = NULL;
    churn_profile *profile = NULL;
    /* All in "high": the profile is that of the whole shop. */
    OK(churn_segments_risk_tiers(scores, "{\"medium\": 1e-9, \"high\": 2e-9}", &tiers, &error));
    OK(churn_profile_build(tiers, table, &profile, &error));
    CHECK(churn_profile_len(profile) == 3);
    const char *label = NULL;
    uint64_t customers = 0, defined = 0;
    double share = 0, money = 0, money_share = 0, mean = 0;
    OK(churn_profile_segment(profile, 2, &label, &customers, &share, &money, &money_share, &error));
    SAME_TEXT(label, "high");
    CHECK(customers == 3 && share == 1.0 && money == 210.0 && money_share == 1.0);
    OK(churn_profile_segment(profile, 0, NULL, &customers, NULL, NULL, NULL, &error));
    CHECK(customers == 0);
    OK(churn_profile_mean(profile, 2, "days_since_last", &mean, &defined, &error));
    NEAR(mean, (27.0 + 152.0) / 2.0);
    CHECK(defined == 2);
    OK(churn_profile_mean(profile, 0, "days_since_last", &mean, &defined, &error));
    CHECK(isnan(mean) && defined == 0);
    CHECK(churn_profile_mean(profile, 2, "nonsense", &mean, NULL, &error) == CHURN_UNKNOWN_NAME);
    churn_error_free(error);
    error = NULL;
    CHECK(strstr(churn_profile_text(profile), "share of money") != NULL);
    churn_profile_free(profile);

    /* Another instant: refused, not joined by row. */
    churn_event_log *log = small_shop();
    churn_feature_table *later = NULL;
    profile = NULL;
    OK(churn_feature_table_build(log, "2020-04-02", NULL, NULL, &later, NULL, &error));
    CHECK(churn_profile_build(tiers, later, &profile, &error) == CHURN_MISALIGNED);
    CHECK(profile == NULL);
    churn_error_free(error);
    churn_event_log_free(log);
    churn_feature_table_free(later);
    churn_segments_free(tiers);
    churn_scores_free(scores);
    churn_feature_table_free(table);
}

int main(void) {
    tiers();
    grids();
    profiles();
    churn_segments_free(NULL);
    churn_grid_free(NULL);
    churn_profile_free(NULL);
    CHECK(churn_segments_len(NULL) == 0 && churn_segments_customers(NULL) == NULL);
    CHECK(churn_segments_name(NULL) == NULL && churn_segments_codes(NULL) == NULL);
    CHECK(churn_segments_label_count(NULL) == 0 && churn_segments_as_of_micros(NULL) == 0);
    CHECK(churn_profile_len(NULL) == 0 && churn_profile_text(NULL) == NULL);
    return 0;
}
