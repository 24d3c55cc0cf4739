/* Playbooks and plans, against arithmetic by hand. */
#include "testsupport.h"

/* Everybody at high risk who ever bought gets a coupon by e-mail, which one in ten answers. */
static const char PLAYBOOK[] =
    "version = 1\n"
    "name = 'One coupon'\n"
    "currency = 'EUR'\n"
    "[[channels]]\n"
    "id = 'email'\n"
    "name = { en = 'E-mail', zh = '\xe9\x82\xae\xe4\xbb\xb6' }\n"
    "cost = 0.5\n"
    "prior_response = 0.1\n"
    "[[offers]]\n"
    "id = 'coupon'\n"
    "name = { en = 'Coupon', zh = '\xe5\x88\xb8' }\n"
    "text = { en = 'Come back', zh = '\xe6\xac\xa2\xe8\xbf\x8e' }\n"
    "cost = 20.0\n"
    "[[actions]]\n"
    "id = 'win_back'\n"
    "name = { en = 'Win back', zh = '\xe6\x8c\xbd\xe5\x9b\x9e' }\n"
    "priority = 1\n"
    "audience = \"risk_tier == 'high' and orders >= 1\"\n"
    "offers = ['coupon']\n"
    "channel_sets = [['email']]\n";

struct flow {
    churn_feature_table *table;
    churn_scores *scores;
    churn_segments *tiers;
};

/* Everybody is at high risk: the cuts lie below every probability. */
static struct flow open_flow(void) {
    churn_error *error = NULL;
    struct flow flow = {.table = small_table()};
    churn_scorecard *card = NULL;
    OK(churn_scorecard_default(&card, &error));
    OK(churn_scorecard_score(card, flow.table, NULL, &flow.scores, &error));
    churn_scorecard_free(card);
    OK(churn_segments_risk_tiers(flow.scores, "{\"medium\": 1e-9, \"high\": 2e-9}", &flow.tiers,
                                 &error));
    return flow;
}

static void close_flow(struct flow flow) {
    churn_feature_table_free(flow.table);
    churn_scores_free(flow.scores);
    churn_segments_free(flow.tiers);
}

static const char *only(churn_texts *texts) {
    churn_error *error = NULL;
    const char *text = NULL;
    CHECK(churn_texts_len(texts) == 1);
    OK(churn_texts_get(texts, 0, &text, &error));
    return text;
}

static void plan(void) {
    churn_error *error = NULL;
    struct flow flow = open_flow();
    const churn_segments *groupings[] = {flow.tiers};
    churn_playbook *playbook = NULL;
    churn_plan *plan = NULL;
    OK(churn_playbook_from_toml(PLAYBOOK, flow.table, groupings, 1, &playbook, &error));
    OK(churn_playbook_match(playbook, flow.table, flow.scores, groupings, 1, &plan, &error));
    size_t ann = 9, cem = 9;
    OK(churn_customers_find_text(churn_plan_customers(plan), "ann", &ann, &error));
    OK(churn_customers_find_text(churn_plan_customers(plan), "cem", &cem, &error));
    CHECK(churn_plan_as_of_micros(plan) == churn_scores_as_of_micros(flow.scores));
    CHECK(churn_plan_horizon_days(plan) == churn_scores_horizon_days(flow.scores));
    /* The plan stands alone. */
    close_flow(flow);
    churn_playbook_free(playbook);

    CHECK(churn_plan_len(plan) == 3);
    SAME_TEXT(churn_plan_currency(plan), "EUR");
    CHECK(churn_plan_action_count(plan) == 1);
    const char *id = NULL, *name = NULL;
    OK(churn_plan_action(plan, 0, NULL, &id, &name, &error));
    SAME_TEXT(id, "win_back");
    SAME_TEXT(name, "Win back");
    OK(churn_plan_action(plan, 0, "zh", NULL, &name, &error));
    SAME_TEXT(name, "\xe6\x8c\xbd\xe5\x9b\x9e");
    FAILS_AT(churn_plan_action(plan, 1, NULL, &id, NULL, &error), CHURN_INVALID_PARAMETER, "index");

    /* cem never bought. */
    CHECK(churn_plan_action_codes(plan)[ann] == 0);
    CHECK(churn_plan_channel_set_codes(plan)[ann] == 0);
    CHECK(churn_plan_action_codes(plan)[cem] == CHURN_NO_ACTION);
    CHECK(churn_plan_channel_set_codes(plan)[cem] == CHURN_NO_ACTION);
    NEAR(churn_plan_expected_response(plan)[ann], 0.1);
    NEAR(churn_plan_contact_cost(plan)[ann], 0.5);
    NEAR(churn_plan_offer_cost(plan)[ann], 2.0);
    CHECK(churn_plan_contact_cost(plan)[cem] == 0.0);
    int32_t reason = -7;
    OK(churn_plan_why_none(plan, ann, &reason, &error));
    CHECK(reason == CHURN_WHY_NONE_HAS_ACTION);
    OK(churn_plan_why_none(plan, cem, &reason, &error));
    CHECK(reason == CHURN_WHY_NONE_NO_AUDIENCE);

    churn_texts *texts = NULL;
    OK(churn_plan_channels(plan, ann, &texts, &error));
    SAME_TEXT(only(texts), "email");
    churn_texts_free(texts);
    OK(churn_plan_offers(plan, ann, &texts, &error));
    SAME_TEXT(only(texts), "coupon");
    churn_texts_free(texts);
    OK(churn_plan_channels(plan, cem, &texts, &error));
    CHECK(churn_texts_len(texts) == 0);
    churn_texts_free(texts);
    OK(churn_plan_why(plan, ann, "en", &texts, &error));
    CHECK(strstr(only(texts), "risk_tier is high") != NULL);
    churn_texts_free(texts);
    OK(churn_plan_why(plan, cem, "zh", &texts, &error));
    CHECK(strstr(only(texts), "orders") != NULL);
    churn_texts_free(texts);
    FAILS_AT(churn_plan_why(plan, 3, NULL, &texts, &error), CHURN_INVALID_PARAMETER, "row");
    FAILS_AT(churn_plan_why(plan, 0, "de", &texts, &error), CHURN_UNKNOWN_NAME, "language");

    uint64_t customers = 0;
    double share = 0, responses = 0, contact = 0, offer = 0;
    OK(churn_plan_action_summary(plan, 0, &customers, &share, &responses, &contact, &offer,
                                 &error));
    CHECK(customers == 2);
    NEAR(share, 2.0 / 3.0);
    NEAR(responses, 0.2);
    NEAR(contact, 1.0);
    NEAR(offer, 4.0);
    OK(churn_plan_action_summary(plan, CHURN_NO_ACTION, &customers, &share, NULL, NULL, NULL,
                                 &error));
    NEAR(share, 1.0 / 3.0);
    CHECK(customers == 1);
    FAILS_AT(churn_plan_action_summary(plan, 1, &customers, NULL, NULL, NULL, NULL, &error),
             CHURN_INVALID_PARAMETER, "index");
    CHECK(churn_plan_action_summary(plan, -2, &customers, NULL, NULL, NULL, NULL, &error) ==
          CHURN_INVALID_PARAMETER);
    churn_error_free(error);
    error = NULL;
    const char *summary = NULL;
    OK(churn_plan_summary(plan, &summary, &error));
    CHECK(strstr(summary, "win_back") != NULL);

    struct ArrowArrayStream stream;
    OK(churn_plan_export(plan, &stream, &error));
    churn_plan_free(plan);
    struct ArrowSchema schema;
    struct ArrowArray batch;
    CHECK(stream.get_schema(&stream, &schema) == 0);
    CHECK(stream.get_next(&stream, &batch) == 0);
    CHECK(batch.length == 3);
    SAME_TEXT(schema.children[1]->name, "action");
    CHECK(batch.children[1]->null_count == 1);
    batch.release(&batch);
    schema.release(&schema);
    stream.release(&stream);
}

static void playbooks(void) {
    churn_error *error = NULL;
    struct flow flow = open_flow();
    const churn_segments *groupings[] = {flow.tiers, NULL};
    churn_playbook *playbook = NULL, *copy = NULL;
    const char *text = NULL, *again = NULL;
    OK(churn_playbook_from_toml(PLAYBOOK, flow.table, groupings, 1, &playbook, &error));
    OK(churn_playbook_to_json(playbook, &text, &error));
    OK(churn_playbook_from_json(text, flow.table, groupings, 1, &copy, &error));
    OK(churn_playbook_to_json(copy, &again, &error));
    SAME_TEXT(text, again);
    churn_playbook_free(copy);
    OK(churn_playbook_to_toml(playbook, &text, &error));
    OK(churn_playbook_from_toml(text, flow.table, groupings, 1, &copy, &error));
    churn_playbook_free(copy);
    copy = NULL;

    /* Without the tiers the audience has no meaning: the line is named. */
    CHECK(churn_playbook_from_toml(PLAYBOOK, flow.table, NULL, 0, &copy, &error) ==
          CHURN_UNKNOWN_NAME);
    SAME_TEXT(churn_error_what(error), "playbook.actions[0].audience");
    CHECK(churn_error_line(error) == 18);
    churn_error_free(error);
    error = NULL;
    /* The default playbook speaks of rfm_segment, which is not among these groupings. */
    CHECK(churn_playbook_from_toml(NULL, flow.table, groupings, 1, &copy, &error) ==
          CHURN_UNKNOWN_NAME);
    churn_error_free(error);
    error = NULL;
    FAILS_AT(churn_playbook_from_toml(PLAYBOOK, flow.table, groupings, 2, &copy, &error),
             CHURN_NULL_POINTER, "groupings");
    FAILS_AT(churn_playbook_from_json(NULL, flow.table, groupings, 1, &copy, &error),
             CHURN_NULL_POINTER, "json");
    CHECK(copy == NULL);

    /* With the grid as well it loads and matches. */
    churn_grid *grid = NULL;
    churn_segments *rfm = NULL;
    churn_plan *plan = NULL;
    OK(churn_grid_named("rf25", &grid, &error));
    OK(churn_grid_assign(grid, flow.table, &rfm, &error));
    groupings[1] = rfm;
    OK(churn_playbook_from_toml(NULL, flow.table, groupings, 2, &copy, &error));
    OK(churn_playbook_match(copy, flow.table, flow.scores, groupings, 2, &plan, &error));
    CHECK(churn_plan_action_count(plan) == 4);
    churn_plan_free(plan);
    plan = NULL;

    /* Tables of another instant do not join. */
    churn_event_log *log = small_shop();
    churn_feature_table *later = NULL;
    OK(churn_feature_table_build(log, "2020-04-02", NULL, NULL, &later, NULL, &error));
    CHECK(churn_playbook_match(copy, later, flow.scores, groupings, 2, &plan, &error) ==
          CHURN_MISALIGNED);
    CHECK(plan == NULL);
    churn_error_free(error);
    churn_feature_table_free(later);
    churn_event_log_free(log);
    churn_playbook_free(copy);
    churn_playbook_free(playbook);
    churn_grid_free(grid);
    churn_segments_free(rfm);
    close_flow(flow);
}

int main(void) {
    plan();
    playbooks();
    churn_playbook_free(NULL);
    churn_plan_free(NULL);
    CHECK(churn_plan_len(NULL) == 0 && churn_plan_customers(NULL) == NULL);
    CHECK(churn_plan_currency(NULL) == NULL && churn_plan_action_count(NULL) == 0);
    CHECK(churn_plan_action_codes(NULL) == NULL && churn_plan_channel_set_codes(NULL) == NULL);
    CHECK(churn_plan_expected_response(NULL) == NULL && churn_plan_contact_cost(NULL) == NULL);
    CHECK(churn_plan_offer_cost(NULL) == NULL && churn_plan_as_of_micros(NULL) == 0);
    CHECK(churn_plan_horizon_days(NULL) == 0);
    return 0;
}
