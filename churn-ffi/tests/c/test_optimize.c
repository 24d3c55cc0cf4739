/* Plans made for profit, against arithmetic by hand. */
#include "testsupport.h"

#include <math.h>

/* Everybody at high risk who ever bought gets a coupon by e-mail, which one in ten answers and which
   keeps half of those about to leave. */
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
    "channel_sets = [['email']]\n"
    "saves = [0.5]\n";

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


static churn_plan *optimize(struct flow flow, const churn_uplift *uplift, const char *settings) {
    churn_error *error = NULL;
    const churn_segments *groupings[] = {flow.tiers};
    churn_playbook *playbook = NULL;
    churn_plan *plan = NULL;
    OK(churn_playbook_from_toml(PLAYBOOK, flow.table, groupings, 1, &playbook, &error));
    OK(churn_playbook_optimize(playbook, flow.table, flow.scores, groupings, 1, uplift, settings,
                               NULL, &plan, &error));
    churn_playbook_free(playbook);
    return plan;
}

/* All is at stake, and the margin is 1. */
#define VALUE "\"value\": {\"feature\": \"total_value\", \"scale\": 100, \"margin\": 1}"

static void profit(void) {
    churn_error *error = NULL;
    struct flow flow = open_flow();
    churn_plan *plan = optimize(flow, NULL, "{" VALUE "}");
    size_t n = churn_plan_len(plan), ann = 9, cem = 9;
    OK(churn_customers_find_text(churn_plan_customers(plan), "ann", &ann, &error));
    OK(churn_customers_find_text(churn_plan_customers(plan), "cem", &cem, &error));
    CHECK(n == 3);
    const double *churn = churn_scores_churn_probability(flow.scores);
    double stake = churn_plan_stake(plan)[ann];
    double change = 0.5 * churn[ann];
    NEAR(churn_plan_change(plan)[ann], change);
    NEAR(churn_plan_offer_cost(plan)[ann], 20.0 * (change > 0.1 ? change : 0.1));
    double worth = change * stake - churn_plan_offer_cost(plan)[ann] - 0.5;
    NEAR(churn_plan_expected_profit(plan)[ann], worth);
    CHECK(churn_plan_day(plan)[ann] == 0 && churn_plan_day(plan)[cem] == -1);
    CHECK(churn_plan_expected_profit(plan)[cem] == 0.0);
    double sum = 0.0, total = 0.0, bound = 0.0, spent = 0.0;
    uint64_t chosen = 0;
    for (size_t row = 0; row < n; row++)
        sum += churn_plan_expected_profit(plan)[row];
    OK(churn_plan_allocation(plan, &total, &bound, &spent, &chosen, &error));
    NEAR(total, sum);
    NEAR(bound, total);
    CHECK(chosen == 2 && spent > 0.0);
    OK(churn_plan_allocation(plan, NULL, NULL, NULL, NULL, &error));
    churn_texts *texts = NULL;
    OK(churn_plan_source(plan, ann, &texts, &error));
    SAME_TEXT(only(texts), "playbook");
    churn_texts_free(texts);
    OK(churn_plan_source(plan, cem, &texts, &error));
    CHECK(churn_texts_len(texts) == 0);
    churn_texts_free(texts);
    OK(churn_plan_allocation_text(plan, &texts, &error));
    CHECK(strstr(only(texts), "Expected profit") != NULL);
    churn_texts_free(texts);
    churn_plan_free(plan);

    /* One of the two, and ann is held out. */
    plan = optimize(flow, NULL,
                    "{" VALUE ", \"curve_points\": 3, \"constraints\": {\"max_customers\": 1, "
                    "\"hold_out\": [\"ann\"]}}");
    int32_t reason = -7;
    OK(churn_plan_why_none(plan, ann, &reason, &error));
    CHECK(reason == CHURN_WHY_NONE_HELD_OUT);
    OK(churn_plan_why_none(plan, cem, &reason, &error));
    CHECK(reason == CHURN_WHY_NONE_NO_AUDIENCE);
    OK(churn_plan_allocation(plan, NULL, NULL, NULL, &chosen, &error));
    CHECK(chosen == 1);
    struct ArrowArrayStream stream;
    OK(churn_plan_prices_export(plan, &stream, &error));
    stream.release(&stream);
    OK(churn_plan_curve_export(plan, &stream, &error));
    stream.release(&stream);
    churn_plan_free(plan);
    close_flow(flow);
}

static void uplift(void) {
    churn_error *error = NULL;
    struct flow flow = open_flow();
    churn_uplift *uplift = NULL;
    OK(churn_uplift_new(&uplift, &error));
    double change[3] = {0.25, NAN, 0.25};
    OK(churn_uplift_add(uplift, "win_back", "email", change, NULL, 3, &error));
    churn_plan *plan = optimize(flow, uplift, "{" VALUE "}");
    size_t row = 9;
    OK(churn_customers_find_text(churn_plan_customers(plan), "ann", &row, &error));
    CHECK(row == 0);
    double churn = churn_scores_churn_probability(flow.scores)[0];
    NEAR(churn_plan_change(plan)[0], churn < 0.25 ? churn : 0.25);
    churn_plan_free(plan);

    const churn_segments *groupings[] = {flow.tiers};
    churn_playbook *playbook = NULL;
    OK(churn_playbook_from_toml(PLAYBOOK, flow.table, groupings, 1, &playbook, &error));
    OK(churn_uplift_add(uplift, "win_back", NULL, change, NULL, 2, &error));
    plan = NULL;
    FAILS_AT(churn_playbook_optimize(playbook, flow.table, flow.scores, groupings, 1, uplift, NULL,
                                     NULL, &plan, &error),
             CHURN_LENGTH_MISMATCH, "uplift.win_back");
    FAILS_AT(churn_playbook_optimize(playbook, flow.table, flow.scores, groupings, 1, NULL,
                                     "{" VALUE ", \"constraints\": {\"offers\": [{\"offer\": "
                                     "\"coupon\", \"min\": 3}]}}",
                                     NULL, &plan, &error),
             CHURN_INFEASIBLE, "constraints.offers[0].min");
    CHECK(plan == NULL);
    /* A plan by priority knows of no profit. */
    OK(churn_playbook_match(playbook, flow.table, flow.scores, groupings, 1, &plan, &error));
    CHECK(churn_plan_expected_profit(plan) == NULL && churn_plan_day(plan) == NULL);
    CHECK(churn_plan_change(NULL) == NULL && churn_plan_stake(NULL) == NULL);
    FAILS_AT(churn_plan_allocation(plan, NULL, NULL, NULL, NULL, &error), CHURN_INVALID_PARAMETER,
             "plan");
    churn_plan_free(plan);
    churn_playbook_free(playbook);
    churn_uplift_free(uplift);
    churn_uplift_free(NULL);
    close_flow(flow);
}

int main(void) {
    profit();
    uplift();
    return 0;
}
