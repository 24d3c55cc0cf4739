/* The event log from Arrow structures that this program makes and whose releases it counts. */
#include "testsupport.h"

static int arrays_released, schemas_released, streams_released;

/* Nothing is allocated: the structures and buffers live in static memory. */
enum { COLUMNS = 3, ROWS = 4 };

static const int64_t CUSTOMERS[ROWS] = {7, 7, 9, 8};
static const int64_t TIMES[ROWS] = {0, 60, 90, 30};
static const double VALUES[ROWS] = {9.5, 20.0, 3.0, 1.0};
static const uint8_t ALL_BUT_THE_LAST = 0x07;

static const void *buffers[COLUMNS][2] = {
    {&ALL_BUT_THE_LAST, CUSTOMERS}, {NULL, TIMES}, {NULL, VALUES}};
static const void *no_validity[1] = {NULL};
static struct ArrowSchema field[COLUMNS];
static struct ArrowSchema *fields[COLUMNS] = {&field[0], &field[1], &field[2]};
static struct ArrowArray column[COLUMNS];
static struct ArrowArray *columns[COLUMNS] = {&column[0], &column[1], &column[2]};

static void release_schema(struct ArrowSchema *schema) {
    for (int64_t i = 0; i < schema->n_children; i++) {
        if (schema->children[i]->release != NULL) {
            schema->children[i]->release(schema->children[i]);
        }
    }
    schema->release = NULL;
    schemas_released++;
}

static void release_array(struct ArrowArray *array) {
    for (int64_t i = 0; i < array->n_children; i++) {
        if (array->children[i]->release != NULL) {
            array->children[i]->release(array->children[i]);
        }
    }
    array->release = NULL;
    arrays_released++;
}

static struct ArrowSchema make_schema(void) {
    static const char *names[COLUMNS] = {"customer", "time", "value"};
    static const char *formats[COLUMNS] = {"l", "tss:", "g"};
    for (int i = 0; i < COLUMNS; i++) {
        field[i] = (struct ArrowSchema){.format = formats[i],
                                        .name = names[i],
                                        .flags = ARROW_FLAG_NULLABLE,
                                        .release = release_schema};
    }
    return (struct ArrowSchema){.format = "+s",
                                .name = "",
                                .n_children = COLUMNS,
                                .children = fields,
                                .release = release_schema};
}

static struct ArrowArray make_array(void) {
    for (int i = 0; i < COLUMNS; i++) {
        column[i] = (struct ArrowArray){.length = ROWS,
                                        .null_count = i == 0,
                                        .n_buffers = 2,
                                        .buffers = buffers[i],
                                        .release = release_array};
    }
    return (struct ArrowArray){.length = ROWS,
                               .n_buffers = 1,
                               .n_children = COLUMNS,
                               .buffers = no_validity,
                               .children = columns,
                               .release = release_array};
}

static int get_schema(struct ArrowArrayStream *stream, struct ArrowSchema *out) {
    (void)stream;
    *out = make_schema();
    return 0;
}

/* `private_data` counts the batches that are left; below zero the stream breaks. */
static int get_next(struct ArrowArrayStream *stream, struct ArrowArray *out) {
    int *left = stream->private_data;
    if (*left < 0) {
        return 5;
    }
    if (*left == 0) {
        *out = (struct ArrowArray){.release = NULL};
    } else {
        *out = make_array();
    }
    --*left;
    return 0;
}

static const char *last_error(struct ArrowArrayStream *stream) {
    (void)stream;
    return "the disk is gone";
}

static void release_stream(struct ArrowArrayStream *stream) {
    stream->release = NULL;
    streams_released++;
}

static struct ArrowArrayStream make_stream(int *batches) {
    return (struct ArrowArrayStream){.get_schema = get_schema,
                                     .get_next = get_next,
                                     .get_last_error = last_error,
                                     .release = release_stream,
                                     .private_data = batches};
}

static void forget(void) { arrays_released = schemas_released = streams_released = 0; }

static void check_log(churn_event_log *log) {
    churn_error *error = NULL;
    CHECK(churn_event_log_len(log) == 3);
    const churn_customers *customers = churn_event_log_customers(log);
    CHECK(churn_customers_len(customers) == 2);
    int64_t id = 0;
    OK(churn_customers_int64(customers, 1, &id, &error));
    CHECK(id == 9);
    uint64_t dropped = 0;
    OK(churn_cleaning_report_dropped(churn_event_log_report(log), "missing_customer", &dropped,
                                     NULL, &error));
    CHECK(dropped == 1);
    int64_t first = -1, last = -1;
    OK(churn_event_log_time_range(log, &first, &last, &error));
    CHECK(first == 0 && last == 90000000);
    churn_event_log_free(log);
}

static void array_and_schema(void) {
    churn_error *error = NULL;
    churn_event_log *log = NULL;
    forget();
    struct ArrowSchema schema = make_schema();
    struct ArrowArray array = make_array();
    OK(churn_event_log_read_array(&array, &schema, NULL, NULL, NULL, &log, &error));
    CHECK(array.release == NULL && schema.release == NULL);
    CHECK(arrays_released == 1 + COLUMNS && schemas_released == 1 + COLUMNS);
    check_log(log);

    /* Released structures are refused, not read. */
    log = NULL;
    FAILS(churn_event_log_read_array(&array, &schema, NULL, NULL, NULL, &log, &error),
          CHURN_INVALID_PARAMETER,
          "array: expected an Arrow structure that is not released, got a released one");
    array = make_array();
    FAILS(churn_event_log_read_array(&array, &schema, NULL, NULL, NULL, &log, &error),
          CHURN_INVALID_PARAMETER,
          "schema: expected an Arrow structure that is not released, got a released one");
    CHECK(arrays_released == 2 * (1 + COLUMNS));
    CHECK(log == NULL);
}

/* Whatever is wrong, what was handed over is released once. */
static void failures_release(void) {
    churn_error *error = NULL;
    churn_event_log *log = NULL;
    forget();
    struct ArrowArray array = make_array();
    FAILS(churn_event_log_read_array(&array, NULL, NULL, NULL, NULL, &log, &error),
          CHURN_NULL_POINTER, "schema: expected a pointer, got NULL");
    CHECK(arrays_released == 1 + COLUMNS);

    forget();
    array = make_array();
    struct ArrowSchema schema = make_schema();
    CHECK(churn_event_log_read_array(&array, &schema, "{\"customer\": \"who\"}", NULL, NULL, &log,
                                     &error) == CHURN_UNKNOWN_NAME);
    CHECK(arrays_released == 1 + COLUMNS && schemas_released == 1 + COLUMNS);
    churn_error_free(error);
    error = NULL;

    forget();
    array = make_array();
    schema = make_schema();
    field[2].format = "?!";
    CHECK(churn_event_log_read_array(&array, &schema, NULL, NULL, NULL, &log, &error) ==
          CHURN_INVALID_PARAMETER);
    SAME_TEXT(churn_error_what(error), "schema");
    CHECK(arrays_released == 1 + COLUMNS && schemas_released == 1 + COLUMNS);
    churn_error_free(error);
    error = NULL;

    forget();
    array = make_array();
    schema = make_schema();
    array.n_children = 2; /* The schema says three. */
    CHECK(churn_event_log_read_array(&array, &schema, NULL, NULL, NULL, &log, &error) ==
          CHURN_INVALID_VALUE);
    CHECK(arrays_released == 1 + 2 && schemas_released == 1 + COLUMNS);
    churn_error_free(error);
    error = NULL;

    forget();
    int batches = 1;
    struct ArrowArrayStream stream = make_stream(&batches);
    FAILS(churn_event_log_read_stream(&stream, NULL, NULL, NULL, NULL, &error),
          CHURN_NULL_POINTER, "log: expected a pointer, got NULL");
    CHECK(streams_released == 1 && stream.release == NULL);
    CHECK(log == NULL);
}

static void streams(void) {
    churn_error *error = NULL;
    churn_event_log *log = NULL;
    forget();
    int batches = 1;
    struct ArrowArrayStream stream = make_stream(&batches);
    OK(churn_event_log_read_stream(&stream, NULL, NULL, NULL, &log, &error));
    CHECK(streams_released == 1 && stream.release == NULL);
    CHECK(arrays_released == 1 + COLUMNS && schemas_released == 1 + COLUMNS);
    check_log(log);

    log = NULL;
    CHECK(churn_event_log_read_stream(&stream, NULL, NULL, NULL, &log, &error) ==
          CHURN_INVALID_VALUE);
    CHECK(strstr(churn_error_message(error), "released") != NULL);
    churn_error_free(error);
    error = NULL;
    FAILS(churn_event_log_read_stream(NULL, NULL, NULL, NULL, &log, &error), CHURN_NULL_POINTER,
          "stream: expected a pointer, got NULL");

    /* The producer's own words come through. */
    forget();
    batches = -1;
    stream = make_stream(&batches);
    CHECK(churn_event_log_read_stream(&stream, NULL, NULL, NULL, &log, &error) ==
          CHURN_INVALID_VALUE);
    CHECK(strstr(churn_error_message(error), "the disk is gone") != NULL);
    churn_error_free(error);
    error = NULL;
    CHECK(streams_released == 1);

    /* No batch at all: the columns are known, the log is empty. */
    forget();
    batches = 0;
    stream = make_stream(&batches);
    OK(churn_event_log_read_stream(&stream, NULL, NULL, NULL, &log, &error));
    CHECK(churn_event_log_len(log) == 0);
    CHECK(streams_released == 1 && arrays_released == 0);
    churn_event_log_free(log);
}

/* The same rows appended, and pushed batch by batch into a stream. */
static void appended_and_pushed(void) {
    churn_error *error = NULL;
    churn_event_log *log = NULL;
    int batches = 0;
    struct ArrowArrayStream stream = make_stream(&batches);
    OK(churn_event_log_read_stream(&stream, NULL, NULL, NULL, &log, &error));
    forget();
    batches = 1;
    stream = make_stream(&batches);
    churn_appended *appended = NULL;
    OK(churn_event_log_append_stream(log, &stream, NULL, NULL, &appended, &error));
    CHECK(streams_released == 1 && stream.release == NULL);
    CHECK(churn_appended_new_customers(appended) == 2);
    churn_appended_free(appended);
    check_log(log);

    forget();
    batches = 1;
    stream = make_stream(&batches);
    FAILS(churn_event_log_append_stream(NULL, &stream, NULL, NULL, NULL, &error),
          CHURN_NULL_POINTER, "log: expected a pointer, got NULL");
    CHECK(streams_released == 1);

    churn_log_stream *parts = NULL;
    OK(churn_log_stream_new("/tmp", "{\"partitions\": 1}", NULL, &parts, &error));
    forget();
    batches = 1;
    stream = make_stream(&batches);
    OK(churn_log_stream_push_stream(parts, &stream, NULL, NULL, &error));
    CHECK(streams_released == 1 && arrays_released == 1 + COLUMNS);
    CHECK(churn_log_stream_rows(parts) == ROWS);
    batches = -1;
    stream = make_stream(&batches);
    CHECK(churn_log_stream_push_stream(parts, &stream, NULL, NULL, &error) ==
          CHURN_INVALID_VALUE);
    CHECK(strstr(churn_error_message(error), "the disk is gone") != NULL);
    churn_error_free(error);
    error = NULL;
    forget();
    batches = 1;
    stream = make_stream(&batches);
    FAILS(churn_log_stream_push_stream(NULL, &stream, NULL, NULL, &error), CHURN_NULL_POINTER,
          "stream: expected a pointer, got NULL");
    CHECK(streams_released == 1);
    churn_partitioned_log *whole = NULL;
    churn_event_log *part = NULL;
    OK(churn_log_stream_finish(parts, NULL, &whole, &error));
    OK(churn_partitioned_log_log(whole, 0, NULL, &part, &error));
    CHECK(churn_event_log_len(part) == churn_partitioned_log_len(whole));
    churn_event_log_free(part);
    churn_partitioned_log_free(whole);
    churn_log_stream_free(parts);
}

int main(void) {
    array_and_schema();
    failures_release();
    streams();
    appended_and_pushed();
    return 0;
}
