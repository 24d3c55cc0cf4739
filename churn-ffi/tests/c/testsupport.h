/* What the C tests share: checks that name their line, and access to errors. */
#ifndef TESTSUPPORT_H
#define TESTSUPPORT_H

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "churn.h"

#define CHECK(condition)                                                                  \
    do {                                                                                  \
        if (!(condition)) {                                                               \
            fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition);     \
            exit(1);                                                                      \
        }                                                                                 \
    } while (0)

/* The call must succeed and leave `error` alone. */
#define OK(call)                                                                          \
    do {                                                                                  \
        churn_status status_ = (call);                                                    \
        if (status_ != CHURN_OK) {                                                        \
            fprintf(stderr, "%s:%d: %s: %s: %s\n", __FILE__, __LINE__, #call,             \
                    churn_status_name(status_), error ? churn_error_message(error) : ""); \
            exit(1);                                                                      \
        }                                                                                 \
        CHECK(error == NULL);                                                             \
    } while (0)

/* The call must fail with this status and message; frees the error. */
#define FAILS(call, expected_status, expected_message)                                    \
    do {                                                                                  \
        churn_status status_ = (call);                                                    \
        if (status_ != (expected_status) || error == NULL ||                              \
            strcmp(churn_error_message(error), (expected_message)) != 0) {                \
            fprintf(stderr, "%s:%d: %s\n  expected %s: %s\n  got      %s: %s\n",          \
                    __FILE__, __LINE__, #call, churn_status_name(expected_status),        \
                    (expected_message), churn_status_name(status_),                       \
                    error ? churn_error_message(error) : "no error object");              \
            exit(1);                                                                      \
        }                                                                                 \
        CHECK(churn_error_code(error) == status_);                                        \
        CHECK(strcmp(churn_error_kind(error), churn_status_name(status_)) == 0);          \
        churn_error_free(error);                                                          \
        error = NULL;                                                                     \
    } while (0)

/* The call must fail with this status at this place; frees the error. */
#define FAILS_AT(call, expected_status, place)                                            \
    do {                                                                                  \
        churn_status status_ = (call);                                                    \
        if (status_ != (expected_status) || error == NULL ||                              \
            strcmp(churn_error_what(error), (place)) != 0) {                              \
            fprintf(stderr, "%s:%d: %s\n  expected %s at %s\n  got      %s: %s\n",        \
                    __FILE__, __LINE__, #call, churn_status_name(expected_status),        \
                    (place), churn_status_name(status_),                                  \
                    error ? churn_error_message(error) : "no error object");              \
            exit(1);                                                                      \
        }                                                                                 \
        churn_error_free(error);                                                          \
        error = NULL;                                                                     \
    } while (0)

#define SAME_TEXT(a, b) CHECK(strcmp((a), (b)) == 0)
#define NEAR(a, b) CHECK(fabs((a) - (b)) <= 1e-9)
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* A small shop: ann buys often, bea fell silent, cem only looked, dora comes later. */
static inline churn_event_log *small_shop(void) {
    static const char csv[] =
        "customer,time,kind,value,channel\n"
        "ann,2020-01-05,purchase,10,\n"
        "ann,2020-02-05,purchase,20,\n"
        "ann,2020-03-05,purchase,30,\n"
        "ann,2020-03-20,view,12,\n"
        "bea,2019-10-01,purchase,100,\n"
        "bea,2019-11-01,purchase,50,\n"
        "bea,2020-01-10,message_sent,,sms\n"
        "cem,2020-03-01,view,30,\n"
        "dora,2020-05-01,purchase,5,\n";
    churn_error *error = NULL;
    churn_event_log *log = NULL;
    OK(churn_event_log_read_csv((const uint8_t *)csv, sizeof csv - 1, NULL, NULL, NULL, &log,
                                &error));
    return log;
}

static inline churn_feature_table *small_table(void) {
    churn_error *error = NULL;
    churn_event_log *log = small_shop();
    churn_feature_table *table = NULL;
    OK(churn_feature_table_build(log, "2020-04-01", NULL, NULL, &table, NULL, &error));
    churn_event_log_free(log);
    return table;
}

#endif
