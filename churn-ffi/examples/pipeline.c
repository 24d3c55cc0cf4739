/*
 * The main job in C: from an event log to who gets what, and the first 90 days of the journeys.
 *
 *     pipeline                                  the simulated shop
 *     pipeline FILE AS_OF OUT OPTIONS CLEANING  a CSV file, plain or gzip, with the columns customer,
 *                                               time and, where it has them, kind, value, channel,
 *                                               order, item
 *
 * Arguments may be left out from the right, or be "-": AS_OF is then the day after the last event,
 * no plan is written to OUT, and OPTIONS (column names) and CLEANING (policies), both in JSON, are
 * the defaults.
 *
 * Build it against an installed library:
 *
 *     cc pipeline.c $(pkg-config --cflags --libs churn) -o pipeline
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "churn.h"

enum { EXAMPLES = 3 };

/* Reads a whole file; the caller frees. NULL where it cannot be read. */
static unsigned char *read_file(const char *path, size_t *length) {
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        return NULL;
    }
    unsigned char *bytes = NULL;
    size_t room = 0;
    *length = 0;
    do {
        if (*length == room) {
            room = room == 0 ? 1 << 16 : 2 * room;
            unsigned char *more = realloc(bytes, room);
            if (more == NULL) {
                break;
            }
            bytes = more;
        }
        *length += fread(bytes + *length, 1, room - *length, file);
    } while (!feof(file) && !ferror(file));
    if (ferror(file) || !feof(file)) {
        free(bytes);
        bytes = NULL;
    }
    fclose(file);
    return bytes;
}

/* Who would be contacted when in the 90 days from `as_of` on, and what the contact policy held back. */
static churn_status print_journeys(const churn_event_log *log, const char *as_of,
                                   churn_error **error) {
    churn_journey_replay *replay = NULL;
    churn_texts *calendar = NULL;
    const char *text = NULL;
    churn_status status =
        churn_journey_replay_run(log, as_of, NULL, NULL, NULL, NULL, NULL, &replay, error);
    if (status == CHURN_OK) {
        status = churn_journey_replay_calendar(replay, 10, &calendar, error);
    }
    if (status == CHURN_OK) {
        status = churn_texts_get(calendar, 0, &text, error);
    }
    if (status == CHURN_OK) {
        printf("The first 90 days of the journeys\n%s\n", text);
    }
    churn_texts_free(calendar);
    churn_journey_replay_free(replay);
    return status;
}

/* One line per group of a segmentation. */
static churn_status print_groups(const churn_segments *segments, const churn_win_back *result,
                                 churn_error **error) {
    churn_profile *profile = NULL;
    churn_status status = churn_profile_build(segments, churn_win_back_features(result), &profile, error);
    for (size_t i = 0; status == CHURN_OK && i < churn_profile_len(profile); i++) {
        const char *label;
        uint64_t customers;
        double share, money;
        status = churn_profile_segment(profile, i, &label, &customers, &share, &money, NULL, error);
        if (status == CHURN_OK) {
            printf("  %-20s %8llu customers  %5.1f %%  money %14.2f\n", label,
                   (unsigned long long)customers, 100.0 * share, money);
        }
    }
    churn_profile_free(profile);
    return status;
}

static churn_status print_stories(const churn_win_back *result, churn_error **error) {
    size_t rows[EXAMPLES];
    size_t count = 0;
    churn_status status = churn_win_back_examples(result, rows, EXAMPLES, &count, error);
    for (size_t i = 0; status == CHURN_OK && i < count; i++) {
        churn_texts *story = NULL;
        const char *text;
        status = churn_win_back_story(result, rows[i], "en", &story, error);
        if (status == CHURN_OK) {
            status = churn_texts_get(story, 0, &text, error);
        }
        if (status == CHURN_OK) {
            printf("%s\n\n", text);
        }
        churn_texts_free(story);
    }
    return status;
}

/* Writes the plan, one row per customer. */
static churn_status write_plan(const churn_win_back *result, const char *path, churn_error **error) {
    churn_bytes *csv = NULL;
    churn_status status = churn_win_back_plan_csv(result, "en", &csv, error);
    if (status == CHURN_OK) {
        FILE *file = fopen(path, "wb");
        size_t length = churn_bytes_len(csv);
        int failed = file == NULL || fwrite(churn_bytes_data(csv), 1, length, file) != length;
        failed |= file != NULL && fclose(file) != 0;
        printf(failed ? "cannot write %s\n" : "Plan in %s\n", path);
    }
    churn_bytes_free(csv);
    return status;
}

static churn_status run(const churn_event_log *log, const char *as_of, const char *out,
                        churn_error **error) {
    churn_win_back *result = NULL;
    const char *summary = NULL;
    printf("Cleaning\n%s\n", churn_cleaning_report_text(churn_event_log_report(log)));
    churn_status status = churn_win_back_run(log, as_of, NULL, NULL, &result, error);
    if (status == CHURN_OK) {
        printf("Segments\n");
        status = print_groups(churn_win_back_rfm_segment(result), result, error);
    }
    if (status == CHURN_OK) {
        printf("\nRisk of leaving within %u days\n",
               (unsigned)churn_scores_horizon_days(churn_win_back_scores(result)));
        status = print_groups(churn_win_back_risk_tier(result), result, error);
    }
    if (status == CHURN_OK) {
        status = churn_plan_summary(churn_win_back_plan(result), &summary, error);
    }
    if (status == CHURN_OK) {
        printf("\n%s\n\n", summary);
        status = print_stories(result, error);
    }
    if (status == CHURN_OK) {
        status = print_journeys(log, as_of, error);
    }
    if (status == CHURN_OK && out != NULL) {
        status = write_plan(result, out, error);
    }
    churn_win_back_free(result);
    return status;
}

/* An argument, or NULL where it is left out or "-". */
static const char *optional(int count, char **arguments, int place) {
    return place < count && strcmp(arguments[place], "-") != 0 ? arguments[place] : NULL;
}

int main(int count, char **arguments) {
    churn_event_log *log = NULL;
    churn_error *error = NULL;
    churn_status status;
    if (count > 6) {
        fprintf(stderr, "usage: %s [FILE [AS_OF [OUT [OPTIONS [CLEANING]]]]]\n", arguments[0]);
        return 2;
    }
    if (count == 1) {
        status = churn_event_log_simulate("{\"customers\": 2000}", NULL, &log, &error);
    } else {
        size_t length = 0;
        unsigned char *bytes = read_file(arguments[1], &length);
        if (bytes == NULL) {
            fprintf(stderr, "cannot read %s\n", arguments[1]);
            return 1;
        }
        status = churn_event_log_read_csv(bytes, length, optional(count, arguments, 4),
                                          optional(count, arguments, 5), NULL, &log, &error);
        free(bytes);
    }
    if (status == CHURN_OK) {
        status = run(log, optional(count, arguments, 2), optional(count, arguments, 3), &error);
    }
    if (status != CHURN_OK) {
        fprintf(stderr, "%s: %s\n", churn_error_kind(error), churn_error_message(error));
    }
    churn_error_free(error);
    churn_event_log_free(log);
    return status == CHURN_OK ? 0 : 1;
}
