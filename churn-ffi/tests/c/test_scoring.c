/* Scorecards and scores, against arithmetic by hand. */
#include "testsupport.h"

static const char CARD[] =
    "version = 1\n"
    "horizon_days = 60\n"
    "points_to_double_odds = 20.0\n"
    "base_points = 10.0\n"
    "[[factors]]\n"
    "feature = 'days_since_last'\n"
    "text = { en = 'no purchase for {value} days', zh = '{value} \xe5\xa4\xa9\xe6\x9c\xaa\xe8\xb4\xad\xe4\xb9\xb0' }\n"
    "missing = 0.0\n"
    "bins = [{ below = 30.0, points = -30.0 }, { points = 30.0 }]\n"
    "[[factors]]\n"
    "feature = 'orders'\n"
    "text = { en = '{value} orders', zh = '{value} \xe5\x8d\x95' }\n"
    "missing = 0.0\n"
    "bins = [{ below = 3.0, points = 0.0 }, { points = -20.0 }]\n";

static void scores(void) {
    churn_error *error = NULL;
    churn_feature_table *table = small_table();
    churn_scorecard *card = NULL;
    churn_scores *scores = NULL;
    OK(churn_scorecard_from_toml(CARD, &card, &error));
    OK(churn_scorecard_score(card, table, NULL, &scores, &error));
    churn_scorecard_free(card);
    churn_feature_table_free(table);

    CHECK(churn_scores_len(scores) == 3);
    CHECK(churn_scores_horizon_days(scores) == 60);
    CHECK(churn_scores_as_of_micros(scores) == INT64_C(1585699200000000));
    CHECK(churn_scores_base_points(scores) == 10.0);
    size_t ann = 9, bea = 9, cem = 9;
    const churn_customers *customers = churn_scores_customers(scores);
    OK(churn_customers_find_text(customers, "ann", &ann, &error));
    OK(churn_customers_find_text(customers, "bea", &bea, &error));
    OK(churn_customers_find_text(customers, "cem", &cem, &error));
    const double *probability = churn_scores_churn_probability(scores);
    /* 1 / (1 + 2^(-points / 20)): ann 10 - 30 - 20 = -40, bea 10 + 30 = 40. */
    NEAR(probability[ann], 0.2);
    NEAR(probability[bea], 0.8);

    CHECK(churn_scores_factor_count(scores) == 2);
    const char *name = NULL;
    const double *points = NULL;
    OK(churn_scores_factor(scores, 1, &name, &points, &error));
    SAME_TEXT(name, "orders");
    CHECK(points[ann] == -20.0 && points[bea] == 0.0);
    CHECK(churn_scores_factor(scores, 2, &name, &points, &error) == CHURN_INVALID_PARAMETER);
    churn_error_free(error);
    error = NULL;

    size_t factors[3] = {9, 9, 9}, count = 9;
    double moved[3] = {0}, values[3] = {0};
    OK(churn_scores_reasons(scores, ann, 3, factors, moved, values, &count, &error));
    NEAR(values[0], 27.0);
    CHECK(values[2] == 0.0);
    CHECK(count == 2 && factors[0] == 0 && factors[1] == 1 && factors[2] == 9);
    CHECK(moved[0] == -30.0 && moved[1] == -20.0 && moved[2] == 0.0);
    OK(churn_scores_reasons(scores, ann, 1, factors, moved, NULL, &count, &error));
    CHECK(count == 1);
    OK(churn_scores_reasons(scores, ann, 0, NULL, NULL, NULL, &count, &error));
    CHECK(count == 0);
    FAILS_AT(churn_scores_reasons(scores, ann, 1, NULL, moved, NULL, &count, &error),
             CHURN_NULL_POINTER, "factors");
    FAILS_AT(churn_scores_reasons(scores, 3, 1, factors, moved, NULL, &count, &error),
             CHURN_INVALID_PARAMETER, "row");

    churn_texts *sentences = NULL;
    const char *text = NULL;
    OK(churn_scores_sentences(scores, bea, 5, NULL, &sentences, &error));
    CHECK(churn_texts_len(sentences) == 1);
    OK(churn_texts_get(sentences, 0, &text, &error));
    SAME_TEXT(text, "no purchase for 152 days: +30 points");
    FAILS_AT(churn_texts_get(sentences, 1, &text, &error), CHURN_INVALID_PARAMETER, "index");
    churn_texts_free(sentences);
    OK(churn_scores_sentences(scores, bea, 5, "zh", &sentences, &error));
    OK(churn_texts_get(sentences, 0, &text, &error));
    CHECK(strstr(text, "152") != NULL && strchr(text, 'n') == NULL);
    churn_texts_free(sentences);
    FAILS_AT(churn_scores_sentences(scores, bea, 5, "fr", &sentences, &error), CHURN_UNKNOWN_NAME,
             "language");

    struct ArrowArrayStream stream;
    OK(churn_scores_export(scores, 2, &stream, &error));
    struct ArrowSchema schema;
    CHECK(stream.get_schema(&stream, &schema) == 0);
    SAME_TEXT(schema.children[1]->name, "churn_probability");
    CHECK(schema.n_children == 2 + 2 + 2);
    schema.release(&schema);
    stream.release(&stream);
    churn_scores_free(scores);
}

static void cards(void) {
    churn_error *error = NULL;
    churn_scorecard *card = NULL, *copy = NULL;
    const char *text = NULL, *again = NULL;
    OK(churn_scorecard_default(&card, &error));
    OK(churn_scorecard_to_json(card, &text, &error));
    OK(churn_scorecard_from_json(text, &copy, &error));
    OK(churn_scorecard_to_json(copy, &again, &error));
    SAME_TEXT(text, again);
    churn_scorecard_free(copy);
    OK(churn_scorecard_to_toml(card, &text, &error));
    OK(churn_scorecard_from_toml(text, &copy, &error));
    OK(churn_scorecard_to_toml(copy, &again, &error));
    SAME_TEXT(text, again);
    churn_scorecard_free(copy);

    copy = NULL;
    CHECK(churn_scorecard_from_toml("version = 1\nhorizon_days = 0\n", &copy, &error) ==
          CHURN_INVALID_PARAMETER);
    CHECK(churn_error_line(error) == 2);
    churn_error_free(error);
    error = NULL;
    CHECK(copy == NULL);

    /* The default card reads features that this table does not have. */
    churn_event_log *log = small_shop();
    churn_feature_table *table = NULL;
    churn_scores *scores = NULL;
    OK(churn_feature_table_build(log, "2020-04-01", "{\"features\": [\"orders\"]}", NULL, &table,
                                 NULL, &error));
    CHECK(churn_scorecard_score(card, table, NULL, &scores, &error) == CHURN_UNKNOWN_NAME);
    CHECK(strncmp(churn_error_what(error), "scorecard.factors[", 18) == 0);
    CHECK(scores == NULL);
    churn_error_free(error);
    churn_feature_table_free(table);
    churn_event_log_free(log);
    churn_scorecard_free(card);
}

int main(void) {
    scores();
    cards();
    churn_scorecard_free(NULL);
    churn_scores_free(NULL);
    churn_texts_free(NULL);
    CHECK(churn_scores_len(NULL) == 0 && churn_scores_customers(NULL) == NULL);
    CHECK(churn_scores_churn_probability(NULL) == NULL && churn_scores_factor_count(NULL) == 0);
    CHECK(churn_scores_horizon_days(NULL) == 0 && churn_scores_base_points(NULL) == 0.0);
    CHECK(churn_scores_as_of_micros(NULL) == 0 && churn_texts_len(NULL) == 0);
    return 0;
}
