/* Journeys: steps are a pure function, states survive storage, replays count what they log. */
#include "testsupport.h"

static const char SHOP[] = "{\"customers\": 300, \"seed\": 5}";

static const char HELLO[] =
    "{\"policy\": {\"toml\": \"quiet_hours = [{ from = '21:00', to = '09:00' }]\"},"
    " \"learning\": {\"seed\": 2},"
    " \"journeys\": [{\"toml\": \"version = 1\\nid = 'hello'\\nname = { en = 'Hello', zh = 'H' }\\n"
    "triggers = [{ silence_days = 30 }]\\nexits = [{ event = 'purchase', reason = 'bought' }]\\n"
    "steps = [{ id = 'mail', send = { options = [{ offers = ['recommendation'],"
    " channels = ['email'] }] } }]\"}]}";

/* Whoever has been silent for 10 days gets what the plan says. */
static const char PLANNED[] =
    "{\"policy\": {\"toml\": \"holdout = { salt = 'c', share = 0.2 }\"},"
    " \"journeys\": [{\"toml\": \"version = 1\\nid = 'planned'\\nname = { en = 'P', zh = 'P' }\\n"
    "triggers = [{ silence_days = 10 }]\\nsteps = [{ id = 'planned', send = { planned = true } }]\"}]}";

static churn_event_log *shop(void) {
    churn_error *error = NULL;
    churn_event_log *log = NULL;
    OK(churn_event_log_simulate(SHOP, NULL, &log, &error));
    return log;
}

static void says(const churn_journey_outcome *outcome, size_t count, const char *const *expected) {
    churn_error *error = NULL;
    churn_texts *lines = NULL;
    OK(churn_journey_outcome_lines(outcome, &lines, &error));
    CHECK(churn_texts_len(lines) == count);
    for (size_t i = 0; i < count; i++) {
        const char *line = NULL;
        OK(churn_texts_get(lines, i, &line, &error));
        SAME_TEXT(line, expected[i]);
    }
    churn_texts_free(lines);
}

static void steps(void) {
    churn_error *error = NULL;
    churn_event_log *log = shop();
    churn_journey_engine *engine = NULL;
    churn_journey_state *start = NULL, *state = NULL, *stored = NULL, *next = NULL;
    churn_journey_outcome *outcome = NULL;
    OK(churn_journey_engine_new(log, NULL, HELLO, &engine, &error));
    OK(churn_journey_engine_begin(engine, NULL, "2021-01-01", &start, &error));
    CHECK(churn_journey_state_len(start) == 0);
    OK(churn_journey_engine_step(
        engine, start, "2021-01-02", NULL,
        "[{\"customer\": \"ann\", \"time\": \"2021-01-01T22:00:00\", \"kind\": \"purchase\"}]", NULL,
        NULL, NULL, NULL, &state, &outcome, &error));
    CHECK(churn_journey_outcome_contact_count(outcome) == 0);
    CHECK(churn_journey_state_len(start) == 0 && churn_journey_state_len(state) == 1);
    CHECK(churn_journey_outcome_next_due_micros(outcome) == INT64_C(1612130400000000));
    churn_journey_outcome_free(outcome);
    OK(churn_journey_state_describe(
        state, "[{\"customer\": \"ann\", \"zone\": \"America/New_York\"}]", &error));
    FAILS(churn_journey_state_describe(
              state, "[{\"customer\": \"ann\", \"zone\": \"Mars/Base\"}]", &error),
          CHURN_INVALID_VALUE,
          "zones[0]: expected a zone of the IANA time zone database such as Asia/Shanghai or UTC, "
          "got \"Mars/Base\"");

    /* A crash between two steps. */
    churn_texts *json = NULL;
    const char *text = NULL;
    OK(churn_journey_state_to_json(state, &json, &error));
    OK(churn_texts_get(json, 0, &text, &error));
    OK(churn_journey_state_from_json(text, &stored, &error));
    churn_texts_free(json);

    /* 22:00 UTC is 17:00 in New York; planned a day ahead it goes out as it falls due. */
    OK(churn_journey_engine_step(engine, stored, "2021-01-31", "2021-02-01", NULL, NULL, NULL, NULL, NULL,
                                 &next, &outcome, &error));
    const char *expected[] = {"2021-01-31T22:00:00 ann hello: entered silence of 30 days",
                              "2021-01-31T22:00:00 ann hello.mail: sent email",
                              "2021-01-31T22:00:00 ann hello: left completed"};
    says(outcome, 3, expected);
    size_t row = 9;
    int64_t at = 0;
    double propensity = 0, cost = 0, offers = -1;
    churn_texts *names = NULL;
    OK(churn_journey_outcome_contact(outcome, 0, &row, &at, &propensity, &cost, &offers, &names,
                                     &error));
    CHECK(row == 0 && at == INT64_C(1612130400000000));
    CHECK(propensity == 1.0 && cost == 0.01 && offers == 0.0);
    const char *parts[] = {"hello", "mail", "recommendation", "email"};
    CHECK(churn_texts_len(names) == 4);
    for (size_t i = 0; i < 4; i++) {
        OK(churn_texts_get(names, i, &text, &error));
        SAME_TEXT(text, parts[i]);
    }
    churn_texts_free(names);
    CHECK(churn_customers_len(churn_journey_outcome_customers(outcome)) == 1);
    FAILS(churn_journey_outcome_contact(outcome, 1, NULL, NULL, NULL, NULL, NULL, NULL, &error),
          CHURN_INVALID_PARAMETER, "index: expected a number below 1, got 1");
    struct ArrowArrayStream stream;
    OK(churn_journey_outcome_export_contacts(outcome, &stream, &error));
    stream.release(&stream);
    OK(churn_journey_outcome_export_log(outcome, &stream, &error));
    stream.release(&stream);
    churn_journey_outcome_free(outcome);

    /* The clock does not go back, and a step done twice says nothing new. */
    churn_journey_state *again = NULL;
    FAILS(churn_journey_engine_step(engine, next, "2021-01-31", NULL, NULL, NULL, NULL, NULL, NULL, &again,
                                    &outcome, &error),
          CHURN_INVALID_PARAMETER,
          "now: expected an instant not before 2021-02-01, up to which all is done, got 2021-01-31");
    OK(churn_journey_engine_step(engine, next, "2021-02-01", NULL, NULL, NULL, NULL, NULL, NULL, &again,
                                 &outcome, &error));
    says(outcome, 0, NULL);
    CHECK(churn_journey_state_clock_micros(again) == churn_journey_state_clock_micros(next));
    churn_journey_outcome_free(outcome);
    churn_journey_state_free(again);
    churn_journey_state_free(next);
    churn_journey_state_free(stored);
    churn_journey_state_free(state);
    churn_journey_state_free(start);
    churn_journey_engine_free(engine);
    churn_event_log_free(log);
}

static void facts_and_replay(void) {
    churn_error *error = NULL;
    churn_event_log *log = shop();
    churn_journey_engine *engine = NULL;
    churn_journey_state *state = NULL, *next = NULL;
    churn_journey_outcome *outcome = NULL;
    churn_win_back *found = NULL;
    OK(churn_journey_engine_new(log, NULL, NULL, &engine, &error));
    OK(churn_journey_engine_begin(engine, log, "2023-06-01", &state, &error));
    OK(churn_win_back_run(log, "2023-06-01", NULL, NULL, &found, &error));
    FAILS_AT(churn_journey_engine_step(engine, state, "2023-06-01", NULL, NULL, NULL, NULL, NULL, NULL,
                                       &next, &outcome, &error),
             CHURN_MISALIGNED, "facts");
    const churn_plan *plan = churn_win_back_plan(found);
    OK(churn_journey_engine_step(engine, state, "2023-06-01", "2023-06-02", NULL, log, NULL, found, plan,
                                 &next, &outcome, &error));
    CHECK(churn_journey_outcome_contact_count(outcome) > 0);
    /* Who was contacted beside who was held out, from the logs of single steps. */
    const churn_journey_outcome *outcomes[1] = {outcome};
    churn_bytes *report = NULL;
    OK(churn_journey_outcomes_report(outcomes, 1, log, 30, NULL, NULL, &report, &error));
    CHECK(churn_bytes_len(report) > 100);
    churn_bytes_free(report);
    report = NULL;
    FAILS_AT(churn_journey_outcomes_report(outcomes, 1, log, 30, NULL, "{\"margin\": 2}", &report, &error),
             CHURN_INVALID_PARAMETER, "incremental.margin");
    FAILS_AT(churn_journey_outcomes_report(NULL, 1, log, 30, NULL, NULL, &report, &error),
             CHURN_NULL_POINTER, "outcomes");
    CHECK(report == NULL);
    churn_journey_replay *planned = NULL, *unplanned = NULL;
    OK(churn_journey_replay_run(log, "2023-06-01", "2023-06-15", NULL, PLANNED, plan, NULL, &planned,
                                &error));
    OK(churn_journey_replay_run(log, "2023-06-01", "2023-06-15", NULL, PLANNED, NULL, NULL, &unplanned,
                                &error));
    CHECK(churn_journey_replay_contact_count(planned) > 10);
    CHECK(churn_journey_replay_contact_count(unplanned) == 0);
    OK(churn_journey_replay_report(planned, log, 30, "2023-12-01", NULL, &report, &error));
    CHECK(churn_bytes_len(report) > 100);
    churn_bytes_free(report);
    churn_journey_replay_free(unplanned);
    churn_journey_replay_free(planned);
    churn_win_back_free(found);
    churn_journey_outcome_free(outcome);
    churn_journey_state_free(next);
    churn_journey_state_free(state);
    churn_journey_engine_free(engine);

    churn_journey_replay *replay = NULL, *rival = NULL;
    churn_texts *text = NULL;
    const char *lines = NULL;
    OK(churn_journey_replay_run(log, "2023-06-01", "2023-08-30", NULL, NULL, NULL, NULL, &replay, &error));
    OK(churn_journey_replay_run(log, "2023-06-01", "2023-08-30", NULL, HELLO, NULL, NULL, &rival, &error));
    CHECK(churn_journey_replay_contact_count(replay) > 10);
    CHECK(churn_journey_replay_cost(replay) > 0.0);
    OK(churn_journey_replay_calendar(replay, 7, &text, &error));
    OK(churn_texts_get(text, 0, &lines, &error));
    CHECK(strstr(lines, "held back by quiet_hours") != NULL);
    churn_texts_free(text);
    OK(churn_journey_replay_compare(replay, rival, &text, &error));
    OK(churn_texts_get(text, 0, &lines, &error));
    CHECK(strstr(lines, "customers reached") != NULL);
    churn_texts_free(text);
    struct ArrowArrayStream stream;
    OK(churn_journey_replay_export_days(replay, &stream, &error));
    stream.release(&stream);
    OK(churn_journey_replay_export_contacts(replay, &stream, &error));
    stream.release(&stream);
    OK(churn_journey_replay_export_log(replay, &stream, &error));
    stream.release(&stream);
    churn_journey_replay_free(rival);
    churn_journey_replay_free(replay);
    churn_event_log_free(log);
}

static void mistakes(void) {
    churn_error *error = NULL;
    churn_event_log *log = shop();
    churn_journey_engine *engine = NULL;
    FAILS(churn_journey_engine_new(log, NULL, "{\"policy\": {\"toml\": \"zone = 'Europe/Bonn'\"}}",
                                   &engine, &error),
          CHURN_UNKNOWN_NAME,
          "policy.zone (line 1): expected a zone of the IANA time zone database such as Asia/Shanghai "
          "or UTC, got \"Europe/Bonn\"");
    FAILS_AT(churn_journey_engine_new(log, NULL, "{\"policy\": {\"preset\": \"mailchimp\"}}", &engine,
                                      &error),
             CHURN_UNKNOWN_NAME, "policy.preset");
    CHECK(engine == NULL);
    churn_journey_replay *replay = NULL;
    FAILS_AT(churn_journey_replay_run(log, "2023-06-01", "2023-06-01", NULL, NULL, NULL, NULL, &replay,
                                      &error),
             CHURN_INVALID_PARAMETER, "replay");
    double one = 0, same = 1;
    OK(churn_journey_lot("2026", "7", &one, &error));
    OK(churn_journey_lot("2026", "7", &same, &error));
    CHECK(one == same && one >= 0.0 && one < 1.0);
    churn_journey_engine_free(NULL);
    churn_journey_state_free(NULL);
    churn_journey_outcome_free(NULL);
    churn_journey_replay_free(NULL);
    churn_event_log_free(log);
}

int main(void) {
    steps();
    facts_and_replay();
    mistakes();
    return 0;
}
