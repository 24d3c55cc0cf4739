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

#define SAME_TEXT(a, b) CHECK(strcmp((a), (b)) == 0)
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#endif
