/* Watching a call from another thread, and stopping it. */
#include <pthread.h>
#include <stdatomic.h>

#include "testsupport.h"

enum { ROWS = 400000 };

static churn_columns *many_rows(int64_t *ids, int64_t *times) {
    churn_error *error = NULL;
    for (int64_t i = 0; i < ROWS; i++) {
        ids[i] = i * 7919 % 1000;
        times[i] = i * 104729 % 1000003;
    }
    churn_columns *columns = NULL;
    OK(churn_columns_new(&columns, &error));
    OK(churn_columns_set_int64(columns, CHURN_COLUMN_CUSTOMER, ids, ROWS, &error));
    OK(churn_columns_set_times(columns, times, ROWS, "s", &error));
    OK(churn_columns_set_kind(columns, CHURN_KIND_VIEW, &error));
    return columns;
}

struct watch {
    const churn_progress *progress;
    atomic_int stop;
};

/* Whatever instant it reads at: the numbers belong together. */
static void *watch(void *argument) {
    struct watch *watch = argument;
    churn_error *error = NULL;
    while (!atomic_load(&watch->stop)) {
        const char *step = NULL;
        size_t length = 0;
        uint64_t done = 0, total = 0;
        OK(churn_progress_read(watch->progress, &step, &length, &done, &total, &error));
        CHECK(done <= total);
        CHECK((length == 0) == (total == 0));
    }
    return NULL;
}

int main(void) {
    churn_error *error = NULL;
    int64_t *ids = malloc(ROWS * sizeof *ids);
    int64_t *times = malloc(ROWS * sizeof *times);
    CHECK(ids != NULL && times != NULL);
    churn_columns *columns = many_rows(ids, times);
    churn_progress *progress = NULL;
    OK(churn_progress_new(&progress, &error));
    FAILS(churn_progress_read(NULL, NULL, NULL, NULL, NULL, &error), CHURN_NULL_POINTER,
          "progress: expected a pointer, got NULL");
    uint64_t done = 7, total = 7;
    OK(churn_progress_read(progress, NULL, NULL, &done, &total, &error));
    CHECK(done == 0 && total == 0);

    struct watch watched = {.progress = progress};
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, watch, &watched) == 0);
    churn_event_log *log = NULL;
    OK(churn_event_log_build(columns, NULL, progress, &log, &error));
    atomic_store(&watched.stop, 1);
    CHECK(pthread_join(thread, NULL) == 0);
    const char *step = NULL;
    size_t length = 0;
    OK(churn_progress_read(progress, &step, &length, &done, &total, &error));
    CHECK(done == total && total > 0);
    CHECK(length > 7 && memcmp(step, "events.", 7) == 0);
    churn_event_log_free(log);

    OK(churn_progress_cancel(progress, &error));
    log = NULL;
    CHECK(churn_event_log_build(columns, NULL, progress, &log, &error) == CHURN_CANCELLED);
    SAME_TEXT(churn_error_kind(error), "Cancelled");
    CHECK(log == NULL);
    churn_error_free(error);
    churn_progress_free(progress);
    churn_columns_free(columns);
    free(ids);
    free(times);
    return 0;
}
