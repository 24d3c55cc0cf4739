/*
 * The main job in C: from an event log to who gets what.
 *
 *     pipeline                              the simulated shop
 *     pipeline FILE AS_OF                   a CSV file, plain or gzip, with the columns customer,
 *                                           time and, where it has them, kind, value, channel, order
 *     pipeline FILE AS_OF OPTIONS CLEANING  the same with other column names and policies, in JSON
 *
 * Build it against an installed library:
 *
 *     cc pipeline.c $(pkg-config --cflags --libs churn) -o pipeline
 */
#include <stdio.h>
#include <stdlib.h>

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

static churn_status print_tiers(const churn_win_back *result, churn_error **error) {
    churn_profile *profile = NULL;
    churn_status status = churn_profile_build(churn_win_back_risk_tier(result),
                                              churn_win_back_features(result), &profile, error);
    for (size_t i = 0; status == CHURN_OK && i < churn_profile_len(profile); i++) {
        const char *label;
        uint64_t customers;
        double share, money;
        status = churn_profile_segment(profile, i, &label, &customers, &share, &money, NULL, error);
        if (status == CHURN_OK) {
            printf("  %-8s %8llu customers  %5.1f %%  money %14.2f\n", label,
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

static churn_status run(const churn_event_log *log, const char *as_of, churn_error **error) {
    churn_win_back *result = NULL;
    const char *summary = NULL;
    printf("Cleaning\n%s\n", churn_cleaning_report_text(churn_event_log_report(log)));
    churn_status status = churn_win_back_run(log, as_of, NULL, NULL, &result, error);
    if (status == CHURN_OK) {
        printf("Risk of leaving within %u days of %s\n",
               (unsigned)churn_scores_horizon_days(churn_win_back_scores(result)), as_of);
        status = print_tiers(result, error);
    }
    if (status == CHURN_OK) {
        printf("\n");
        status = print_stories(result, error);
    }
    if (status == CHURN_OK) {
        status = churn_plan_summary(churn_win_back_plan(result), &summary, error);
    }
    if (status == CHURN_OK) {
        printf("%s\n", summary);
    }
    churn_win_back_free(result);
    return status;
}

int main(int count, char **arguments) {
    churn_event_log *log = NULL;
    churn_error *error = NULL;
    churn_status status;
    const char *as_of = "2023-10-01";
    if (count == 1) {
        status = churn_event_log_simulate("{\"customers\": 2000}", NULL, &log, &error);
    } else if (count >= 3 && count <= 5) {
        size_t length = 0;
        unsigned char *bytes = read_file(arguments[1], &length);
        if (bytes == NULL) {
            fprintf(stderr, "cannot read %s\n", arguments[1]);
            return 1;
        }
        as_of = arguments[2];
        status = churn_event_log_read_csv(bytes, length, count > 3 ? arguments[3] : NULL,
                                          count > 4 ? arguments[4] : NULL, NULL, &log, &error);
        free(bytes);
    } else {
        fprintf(stderr, "usage: %s [FILE AS_OF [OPTIONS [CLEANING]]]\n", arguments[0]);
        return 2;
    }
    if (status == CHURN_OK) {
        status = run(log, as_of, &error);
    }
    if (status != CHURN_OK) {
        fprintf(stderr, "%s: %s\n", churn_error_kind(error), churn_error_message(error));
    }
    churn_error_free(error);
    churn_event_log_free(log);
    return status == CHURN_OK ? 0 : 1;
}
