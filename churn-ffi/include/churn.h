/*
 * churn: who is about to leave, why, what to offer, through which channel, when and at what cost.
 *
 * Generated from churn-ffi/src; do not edit. `CHURN_WRITE_HEADER=1 cargo test -p churn-ffi --test
 * header` writes it anew. The conventions that every function follows are in docs/C_ABI.md.
 */

#ifndef CHURN_H
#define CHURN_H

#include <stddef.h>
#include <stdint.h>
#include "churn_arrow.h"

/**
 * The call did what it should; its outputs are written.
 */
#define CHURN_OK 0

/**
 * A setting lies outside its domain.
 */
#define CHURN_INVALID_PARAMETER 1

/**
 * Columns or tables that belong together differ in length.
 */
#define CHURN_LENGTH_MISMATCH 2

/**
 * A cell holds a value that it may not hold.
 */
#define CHURN_INVALID_VALUE 3

/**
 * A name (feature, segment, action, channel, column) is not known.
 */
#define CHURN_UNKNOWN_NAME 4

/**
 * There are fewer rows than the method needs.
 */
#define CHURN_NOT_ENOUGH_DATA 5

/**
 * An iterative method did not reach its tolerance.
 */
#define CHURN_NOT_CONVERGED 6

/**
 * Two tables speak of different customers or different instants.
 */
#define CHURN_MISALIGNED 7

/**
 * No answer satisfies all constraints.
 */
#define CHURN_INFEASIBLE 8

/**
 * The call was stopped through its progress handle.
 */
#define CHURN_CANCELLED 9

/**
 * A pointer that must not be NULL is NULL.
 */
#define CHURN_NULL_POINTER 100

/**
 * A bug in the library: it panicked. The handles of the call may still be freed.
 */
#define CHURN_PANIC 101

/**
 * Ids are signed integers.
 */
#define CHURN_ID_INT64 1

/**
 * Ids are unsigned integers.
 */
#define CHURN_ID_UINT64 2

/**
 * Ids are texts in UTF-8.
 */
#define CHURN_ID_TEXT 3

/**
 * Column: whose event it is (int64, uint64 or texts). Required.
 */
#define CHURN_COLUMN_CUSTOMER 1

/**
 * Column: when it happened. Required.
 */
#define CHURN_COLUMN_TIME 2

/**
 * Column: what happened (codes or texts). Required.
 */
#define CHURN_COLUMN_KIND 3

/**
 * Column: money of purchases and refunds, dwell seconds of views.
 */
#define CHURN_COLUMN_VALUE 4

/**
 * Column: the channel of messages and advertisements (texts).
 */
#define CHURN_COLUMN_CHANNEL 5

/**
 * Column: the order that a purchase line belongs to (int64, uint64 or texts).
 */
#define CHURN_COLUMN_ORDER 6

/**
 * Column: the item bought, viewed or touched (int64, uint64 or texts).
 */
#define CHURN_COLUMN_ITEM 7

/**
 * One line of an order; value = money received.
 */
#define CHURN_KIND_PURCHASE 1

/**
 * Money given back for a return or cancellation; value = money, positive.
 */
#define CHURN_KIND_REFUND 2

/**
 * A page or product viewed; value = dwell time in seconds, if known.
 */
#define CHURN_KIND_VIEW 3

/**
 * Something put into the cart.
 */
#define CHURN_KIND_CART 4

/**
 * Something marked as favourite.
 */
#define CHURN_KIND_FAVOURITE 5

/**
 * Something shared.
 */
#define CHURN_KIND_SHARE 6

/**
 * A review or rating written.
 */
#define CHURN_KIND_REVIEW 7

/**
 * Any other interaction of the customer with the shop.
 */
#define CHURN_KIND_INTERACTION 8

/**
 * A message sent to the customer over the channel.
 */
#define CHURN_KIND_MESSAGE_SENT 9

/**
 * That message opened or read.
 */
#define CHURN_KIND_MESSAGE_OPENED 10

/**
 * A link in that message followed.
 */
#define CHURN_KIND_MESSAGE_CLICKED 11

/**
 * That message answered.
 */
#define CHURN_KIND_MESSAGE_ANSWERED 12

/**
 * An advertisement clicked.
 */
#define CHURN_KIND_AD_CLICK 13

/**
 * Contact with customer service, other than a complaint.
 */
#define CHURN_KIND_SERVICE_CONTACT 14

/**
 * A complaint.
 */
#define CHURN_KIND_COMPLAINT 15

/**
 * In the codes of a plan: the customer has no action.
 */
#define CHURN_NO_ACTION -1

/**
 * The customer has an action.
 */
#define CHURN_WHY_NONE_HAS_ACTION 0

/**
 * No audience holds for the customer.
 */
#define CHURN_WHY_NONE_NO_AUDIENCE 1

/**
 * Some audience holds, but no such action has both an offer that the customer may have and a
 * channel set that is open to the customer.
 */
#define CHURN_WHY_NONE_NOTHING_OPEN 2

/**
 * What is open costs more than it brings. From here on only in plans made for profit.
 */
#define CHURN_WHY_NONE_UNPROFITABLE 3

/**
 * What is open would pay, but others bring more with what is limited.
 */
#define CHURN_WHY_NONE_OUTBID 4

/**
 * The value at stake is not known.
 */
#define CHURN_WHY_NONE_UNKNOWN_VALUE 5

/**
 * On the list, or meets the condition, of those who get nothing.
 */
#define CHURN_WHY_NONE_EXCLUDED 6

/**
 * Left alone for comparison.
 */
#define CHURN_WHY_NONE_HELD_OUT 7

/**
 * A table that an analysis made.
 */
typedef struct churn_analysis churn_analysis;

/**
 * What an append did.
 */
typedef struct churn_appended churn_appended;

/**
 * A fitted BG/BB model of opportunities that come in rounds.
 */
typedef struct churn_bg_bb churn_bg_bb;

/**
 * Purchase histories, one row per customer, as the models take them.
 */
typedef struct churn_buyers churn_buyers;

/**
 * The content of a file, made by a call and freed by the caller.
 */
typedef struct churn_bytes churn_bytes;

/**
 * What cleaning did to the rows of a log, or of a batch that was appended. Belongs to the handle it
 * was read from; it has no free of its own.
 */
typedef struct churn_cleaning_report churn_cleaning_report;

/**
 * The columns of an event log as pointers into the caller's memory. The arrays (and the texts
 * they point to) must stay valid and unchanged until the log is built; nothing is copied before.
 */
typedef struct churn_columns churn_columns;

/**
 * A fitted Cox model.
 */
typedef struct churn_cox churn_cox;

/**
 * The customers of a table in ascending order of id. Those read from a table belong to it and must
 * not be freed; those made with churn_customers_from_… are freed with churn_customers_free.
 */
typedef struct churn_customers churn_customers;

/**
 * Describes one customer at a time, with the numbers that a table would have.
 */
typedef struct churn_describer churn_describer;

/**
 * What went wrong and where; made by a call that fails, freed by the caller.
 */
typedef struct churn_error churn_error;

/**
 * An event log: checked, cleaned, ordered by customer and time. Independent of the arrays that it
 * was built from. Only churn_event_log_append changes it.
 */
typedef struct churn_event_log churn_event_log;

/**
 * Who was in which arm of an experiment, and from when on.
 */
typedef struct churn_exposures churn_exposures;

/**
 * Features of all customers as of one instant. NaN stands only where a feature is undefined.
 */
typedef struct churn_feature_table churn_feature_table;

/**
 * A proven map from recency, frequency and monetary scores to segments.
 */
typedef struct churn_grid churn_grid;

/**
 * Journeys, contact policy and playbook, checked and ready to run. It holds no state: any number
 * of states may be stepped with it, by several threads at once.
 */
typedef struct churn_journey_engine churn_journey_engine;

/**
 * What a step decided: contacts to make, and a log with reasons. Independent of engine and state.
 */
typedef struct churn_journey_outcome churn_journey_outcome;

/**
 * Journeys run over a span of days.
 */
typedef struct churn_journey_replay churn_journey_replay;

/**
 * Where every customer stands; stored as JSON between two steps.
 */
typedef struct churn_journey_state churn_journey_state;

/**
 * A fitted model of buying and leaving.
 */
typedef struct churn_lifetime churn_lifetime;

/**
 * Takes batches of events one by one and spreads them over files, customer by customer.
 */
typedef struct churn_log_stream churn_log_stream;

/**
 * A fitted churn model.
 */
typedef struct churn_model churn_model;

/**
 * The logs of a stream, one per partition, in files that go with it. Every customer is in one
 * partition with all events.
 */
typedef struct churn_partitioned_log churn_partitioned_log;

/**
 * One action per customer, or none, with channels, expected response and costs. Independent of the
 * tables that it was made from.
 */
typedef struct churn_plan churn_plan;

/**
 * Channels, offers and actions with their audiences and costs, checked against the names that the
 * conditions may use.
 */
typedef struct churn_playbook churn_playbook;

/**
 * What features of one customer need to know about all customers: learned once and stored, so that
 * tomorrow's features mean the same as today's.
 */
typedef struct churn_population churn_population;

/**
 * What every segment of a grouping looks like.
 */
typedef struct churn_profile churn_profile;

/**
 * What a running call has done so far, and the switch that stops it. One thread passes it to a
 * long call, others read it or cancel; all functions but the free are safe from any thread.
 */
typedef struct churn_progress churn_progress;

/**
 * A fitted Beta-Geometric model of renewals.
 */
typedef struct churn_renewals churn_renewals;

/**
 * What a customer's purchases so far leave behind: enough to go on without the old log.
 */
typedef struct churn_running_summary churn_running_summary;

/**
 * An expert scorecard: points per range of each feature, added up to a churn probability.
 */
typedef struct churn_scorecard churn_scorecard;

/**
 * Scores one row at a time; used by one thread at a time.
 */
typedef struct churn_scorer churn_scorer;

/**
 * Churn probabilities of all customers, with the points of every factor.
 */
typedef struct churn_scores churn_scores;

/**
 * Every customer in exactly one named segment.
 */
typedef struct churn_segments churn_segments;

/**
 * A fitted Gamma-Gamma model of spend per purchase.
 */
typedef struct churn_spend churn_spend;

/**
 * Frequency, recency, age and monetary value of each customer who bought.
 */
typedef struct churn_summary churn_summary;

/**
 * A list of texts made by a call and freed by the caller.
 */
typedef struct churn_texts churn_texts;

/**
 * Uplift estimates for actions, gathered one by one; copied, so arrays may be freed at once.
 */
typedef struct churn_uplift churn_uplift;

/**
 * A fitted uplift model.
 */
typedef struct churn_uplift_model churn_uplift_model;

/**
 * A fitted Weibull accelerated-failure-time model.
 */
typedef struct churn_weibull churn_weibull;

/**
 * Everything the flow found out, table by table; all rows are the same customers. The tables belong
 * to it: they are valid until it is freed, and must not be freed themselves.
 */
typedef struct churn_win_back churn_win_back;

/**
 * What a call answers: CHURN_OK or the code of what went wrong. Codes are never reused.
 */
typedef int32_t churn_status;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * Version of the library, e.g. "0.1.0". Static.
 */
const char *churn_version(void);

/**
 * Name of a status, e.g. "InvalidValue"; "Unknown" for a number that is no status. Static.
 */
const char *churn_status_name(churn_status status);

/**
 * The status that the failed call returned; CHURN_OK for NULL.
 */
churn_status churn_error_code(const churn_error *error);

/**
 * The kind by name, e.g. "InvalidValue". Valid until the error is freed; NULL for NULL.
 */
const char *churn_error_kind(const churn_error *error);

/**
 * The whole message, e.g. `events.value[1041]: expected a finite number, got NaN`. Valid until the
 * error is freed; NULL for NULL.
 */
const char *churn_error_message(const churn_error *error);

/**
 * The column, setting or argument that is wrong, e.g. "events.value". Valid until the error is
 * freed; NULL for NULL.
 */
const char *churn_error_what(const churn_error *error);

/**
 * What would have been right. Valid until the error is freed; NULL for NULL.
 */
const char *churn_error_expected(const churn_error *error);

/**
 * What was found instead. Valid until the error is freed; NULL for NULL.
 */
const char *churn_error_got(const churn_error *error);

/**
 * The row of the mistake, counted from 0, or -1 where the mistake is in no row.
 */
int64_t churn_error_row(const churn_error *error);

/**
 * The line of a document (settings, playbook, CSV) where the mistake is, counted from 1, or -1
 * where it is in no line.
 */
int64_t churn_error_line(const churn_error *error);

/**
 * Frees an error; NULL is fine.
 */
void churn_error_free(churn_error *error);

/**
 * Number of texts; 0 for NULL.
 */
size_t churn_texts_len(const churn_texts *texts);

/**
 * One text, NUL-terminated UTF-8, valid until the list is freed.
 */
churn_status churn_texts_get(const churn_texts *texts,
                             size_t index,
                             const char **text,
                             churn_error **error);

/**
 * Frees a list of texts; NULL is fine.
 */
void churn_texts_free(churn_texts *texts);

/**
 * Number of bytes; 0 for NULL.
 */
size_t churn_bytes_len(const churn_bytes *bytes);

/**
 * The bytes, without a NUL at the end, valid until they are freed; NULL for NULL.
 */
const uint8_t *churn_bytes_data(const churn_bytes *bytes);

/**
 * Frees bytes; NULL is fine.
 */
void churn_bytes_free(churn_bytes *bytes);

/**
 * The default settings of one step as JSON, a list of one text; handed back to that step they
 * change nothing. `name` is "cleaning", "names", "csv", "stream", "features", "summary", "scorecard",
 * "risk_tiers", "grid", "playbook", "journey", "policy", "learning", "journeys", "winback" or "shop";
 * errors about these settings begin with it.
 */
churn_status churn_defaults_json(const char *name,
                                 churn_texts **json,
                                 churn_error **error);

/**
 * Makes a progress handle.
 */
churn_status churn_progress_new(churn_progress **progress, churn_error **error);

/**
 * Reads what was reported last: the running step (static UTF-8 of `step_length` bytes without
 * NUL; length 0 before the first report) and how many of its units are done. Every output may be
 * NULL; the others belong together.
 */
churn_status churn_progress_read(const churn_progress *progress,
                                 const char **step,
                                 size_t *step_length,
                                 uint64_t *done,
                                 uint64_t *total,
                                 churn_error **error);

/**
 * Asks the calls that use this handle to stop; they return CHURN_CANCELLED at their next report.
 * Calls started later with the same handle stop as well.
 */
churn_status churn_progress_cancel(const churn_progress *progress, churn_error **error);

/**
 * Frees a progress handle, after the calls that use it returned; NULL is fine.
 */
void churn_progress_free(churn_progress *progress);

/**
 * Customers of a caller's own table whose ids are signed integers, one per row. Fails with
 * CHURN_INVALID_VALUE, naming the row, where the ids do not ascend.
 */
churn_status churn_customers_from_int64(const int64_t *ids,
                                        size_t rows,
                                        churn_customers **customers,
                                        churn_error **error);

/**
 * Customers whose ids are unsigned integers. The rest is as for churn_customers_from_int64.
 */
churn_status churn_customers_from_uint64(const uint64_t *ids,
                                         size_t rows,
                                         churn_customers **customers,
                                         churn_error **error);

/**
 * Customers whose ids are texts (NUL-terminated UTF-8, ascending by bytes, never NULL or empty).
 * The rest is as for churn_customers_from_int64; the texts are copied.
 */
churn_status churn_customers_from_texts(const char *const *ids,
                                        size_t rows,
                                        churn_customers **customers,
                                        churn_error **error);

/**
 * Frees customers made with churn_customers_from_…; NULL is fine.
 */
void churn_customers_free(churn_customers *customers);

/**
 * Number of customers; 0 for NULL.
 */
size_t churn_customers_len(const churn_customers *customers);

/**
 * Type of the ids: CHURN_ID_INT64, CHURN_ID_UINT64 or CHURN_ID_TEXT; 0 where there is no
 * customer.
 */
int32_t churn_customers_id_type(const churn_customers *customers);

/**
 * The id of a row as a signed integer. Fails with CHURN_INVALID_PARAMETER where the ids are of
 * another type or there is no such row.
 */
churn_status churn_customers_int64(const churn_customers *customers,
                                   size_t row,
                                   int64_t *id,
                                   churn_error **error);

/**
 * The id of a row as an unsigned integer. Fails as churn_customers_int64 does.
 */
churn_status churn_customers_uint64(const churn_customers *customers,
                                    size_t row,
                                    uint64_t *id,
                                    churn_error **error);

/**
 * The id of a row as text: `length` bytes of UTF-8 without NUL, valid as long as the table. Fails
 * as churn_customers_int64 does.
 */
churn_status churn_customers_text(const churn_customers *customers,
                                  size_t row,
                                  const char **text,
                                  size_t *length,
                                  churn_error **error);

/**
 * Writes the id of a row, of whatever type, as NUL-terminated text into `buffer`, which has room
 * for `capacity` bytes. `length`, if not NULL, receives the bytes of the id without the NUL. Fails
 * with CHURN_INVALID_PARAMETER where the id and its NUL do not fit.
 */
churn_status churn_customers_format(const churn_customers *customers,
                                    size_t row,
                                    char *buffer,
                                    size_t capacity,
                                    size_t *length,
                                    churn_error **error);

/**
 * Finds the row of a signed integer id. Fails with CHURN_UNKNOWN_NAME where no row has it.
 */
churn_status churn_customers_find_int64(const churn_customers *customers,
                                        int64_t id,
                                        size_t *row,
                                        churn_error **error);

/**
 * Finds the row of an unsigned integer id. Fails with CHURN_UNKNOWN_NAME where no row has it.
 */
churn_status churn_customers_find_uint64(const churn_customers *customers,
                                         uint64_t id,
                                         size_t *row,
                                         churn_error **error);

/**
 * Finds the row of a text id (NUL-terminated UTF-8). Fails with CHURN_UNKNOWN_NAME where no row
 * has it.
 */
churn_status churn_customers_find_text(const churn_customers *customers,
                                       const char *id,
                                       size_t *row,
                                       churn_error **error);

/**
 * Makes an empty set of columns.
 */
churn_status churn_columns_new(churn_columns **columns, churn_error **error);

/**
 * Sets ids that are signed integers: column CHURN_COLUMN_CUSTOMER, _ORDER or _ITEM.
 */
churn_status churn_columns_set_int64(churn_columns *columns,
                                     int32_t column,
                                     const int64_t *cells,
                                     size_t rows,
                                     churn_error **error);

/**
 * Sets ids that are unsigned integers: column CHURN_COLUMN_CUSTOMER, _ORDER or _ITEM.
 */
churn_status churn_columns_set_uint64(churn_columns *columns,
                                      int32_t column,
                                      const uint64_t *cells,
                                      size_t rows,
                                      churn_error **error);

/**
 * Sets texts, one NUL-terminated UTF-8 text per row: column CHURN_COLUMN_CUSTOMER, _KIND,
 * _CHANNEL, _ORDER or _ITEM. A NULL cell is missing.
 */
churn_status churn_columns_set_texts(churn_columns *columns,
                                     int32_t column,
                                     const char *const *cells,
                                     size_t rows,
                                     churn_error **error);

/**
 * Sets texts that lie one after another: row i is the bytes from `offsets[i]` to
 * `offsets[i + 1]` of `bytes` (UTF-8, no NUL), so there are rows + 1 ascending offsets. Columns as for
 * churn_columns_set_texts.
 */
churn_status churn_columns_set_packed_texts(churn_columns *columns,
                                            int32_t column,
                                            const char *bytes,
                                            size_t byte_count,
                                            const int64_t *offsets,
                                            size_t rows,
                                            churn_error **error);

/**
 * Sets texts by code: row i is `names[codes[i]]`, each name NUL-terminated UTF-8. Columns as for
 * churn_columns_set_texts.
 */
churn_status churn_columns_set_coded_texts(churn_columns *columns,
                                           int32_t column,
                                           const uint32_t *codes,
                                           size_t rows,
                                           const char *const *names,
                                           size_t name_count,
                                           churn_error **error);

/**
 * Sets the times as counts of a unit since 1970-01-01 UTC; `unit` is "D", "s", "ms", "us" or
 * "ns".
 */
churn_status churn_columns_set_times(churn_columns *columns,
                                     const int64_t *times,
                                     size_t rows,
                                     const char *unit,
                                     churn_error **error);

/**
 * Sets one kind for all rows: one of the codes CHURN_KIND_….
 */
churn_status churn_columns_set_kind(churn_columns *columns, uint8_t kind, churn_error **error);

/**
 * Sets the kinds by code, one of CHURN_KIND_… per row. What happens to other codes is the
 * cleaning's "unknown_kind".
 */
churn_status churn_columns_set_kind_codes(churn_columns *columns,
                                          const uint8_t *codes,
                                          size_t rows,
                                          churn_error **error);

/**
 * Sets money (currency) and dwell time (seconds). Without values every purchase and refund counts
 * as one unit of money.
 */
churn_status churn_columns_set_values(churn_columns *columns,
                                      const double *values,
                                      size_t rows,
                                      churn_error **error);

/**
 * Sets which rows of a column hold a value: one byte per row, 0 = missing. NULL takes the flags
 * away again.
 */
churn_status churn_columns_set_valid(churn_columns *columns,
                                     int32_t column,
                                     const uint8_t *flags,
                                     size_t rows,
                                     churn_error **error);

/**
 * Frees a set of columns, not the arrays; NULL is fine.
 */
void churn_columns_free(churn_columns *columns);

/**
 * The report as a text of several lines for people, valid as long as the report; NULL for NULL.
 */
const char *churn_cleaning_report_text(const churn_cleaning_report *report);

/**
 * Number of rows that were handed in, and of those that were kept. Each output may be NULL.
 */
churn_status churn_cleaning_report_rows(const churn_cleaning_report *report,
                                        uint64_t *rows_in,
                                        uint64_t *rows_kept,
                                        churn_error **error);

/**
 * Money of the purchases and of the refunds that were kept (currency). Each output may be NULL.
 */
churn_status churn_cleaning_report_money(const churn_cleaning_report *report,
                                         double *purchases,
                                         double *refunds,
                                         churn_error **error);

/**
 * Rows that were dropped for a reason, and their money (currency). `reason` is "missing_customer",
 * "missing_time", "impossible_time", "unknown_kind", "missing_value", "non_finite_value",
 * "negative_value", "duplicate" or "not_asked_for". Each output may be NULL.
 */
churn_status churn_cleaning_report_dropped(const churn_cleaning_report *report,
                                           const char *reason,
                                           uint64_t *rows,
                                           double *money,
                                           churn_error **error);

/**
 * Purchases of negative money that were read as refunds, and their absolute money (currency). Each
 * output may be NULL.
 */
churn_status churn_cleaning_report_read_as_refund(const churn_cleaning_report *report,
                                                  uint64_t *rows,
                                                  double *money,
                                                  churn_error **error);

/**
 * Copies of other rows that were kept because the cleaning says so, and their money (currency).
 * Each output may be NULL.
 */
churn_status churn_cleaning_report_duplicates_kept(const churn_cleaning_report *report,
                                                   uint64_t *rows,
                                                   double *money,
                                                   churn_error **error);

/**
 * Cleans and orders the events of some columns. `cleaning` is JSON with the fields of the core's
 * Cleaning (NULL = defaults), `progress` may be NULL.
 */
churn_status churn_event_log_build(const churn_columns *columns,
                                   const char *cleaning,
                                   const churn_progress *progress,
                                   churn_event_log **log,
                                   churn_error **error);

/**
 * Reads, cleans and orders a CSV file, plain or gzip, from memory. `options` is JSON with the
 * fields of the core's CsvOptions (NULL = canonical column names, comma), `cleaning` as for
 * churn_event_log_build, `progress` may be NULL. Errors name column, row (from 0, header not
 * counted) and line.
 */
churn_status churn_event_log_read_csv(const uint8_t *bytes,
                                      size_t byte_count,
                                      const char *options,
                                      const char *cleaning,
                                      const churn_progress *progress,
                                      churn_event_log **log,
                                      churn_error **error);

/**
 * Reads, cleans and orders a table from an Arrow C stream. The stream is moved into the call and
 * released, whether it succeeds or fails. `names` is JSON with the fields of the core's
 * ColumnNames (NULL = canonical names), `cleaning` as for churn_event_log_build, `progress` may be
 * NULL.
 */
churn_status churn_event_log_read_stream(struct ArrowArrayStream *stream,
                                         const char *names,
                                         const char *cleaning,
                                         const churn_progress *progress,
                                         churn_event_log **log,
                                         churn_error **error);

/**
 * Reads, cleans and orders a table from one Arrow array of structures. Array and schema are moved
 * into the call and released, whether it succeeds or fails. The rest is as for
 * churn_event_log_read_stream.
 */
churn_status churn_event_log_read_array(struct ArrowArray *array,
                                        struct ArrowSchema *schema,
                                        const char *names,
                                        const char *cleaning,
                                        const churn_progress *progress,
                                        churn_event_log **log,
                                        churn_error **error);

/**
 * The log of a shop that does not exist, for examples and tests: the same seed gives the same log
 * everywhere. `shop` is JSON with the fields of the core's simulate::Shop (NULL = defaults),
 * `progress` may be NULL.
 */
churn_status churn_event_log_simulate(const char *shop,
                                      const churn_progress *progress,
                                      churn_event_log **log,
                                      churn_error **error);

/**
 * Number of events; 0 for NULL.
 */
size_t churn_event_log_len(const churn_event_log *log);

/**
 * The customers of the log, valid until the log is appended to or freed; NULL for NULL.
 */
const churn_customers *churn_event_log_customers(const churn_event_log *log);

/**
 * Number of distinct channels; 0 for NULL.
 */
size_t churn_event_log_channel_count(const churn_event_log *log);

/**
 * Name of a channel, in sorted order; valid until the log is appended to or freed.
 */
churn_status churn_event_log_channel(const churn_event_log *log,
                                     size_t index,
                                     const char **name,
                                     churn_error **error);

/**
 * First and last instant of the log in microseconds since 1970-01-01 UTC. Fails with
 * CHURN_NOT_ENOUGH_DATA for an empty log.
 */
churn_status churn_event_log_time_range(const churn_event_log *log,
                                        int64_t *first_micros,
                                        int64_t *last_micros,
                                        churn_error **error);

/**
 * What cleaning did to all rows so far, valid until the log is appended to or freed; NULL for NULL.
 */
const churn_cleaning_report *churn_event_log_report(const churn_event_log *log);

/**
 * Frees a log; what was read from it (customers, names) goes with it. NULL is fine.
 */
void churn_event_log_free(churn_event_log *log);

/**
 * Adds a batch of events, late ones and duplicates included, under the cleaning that the log was
 * built with: the same as building the log once from all rows. If the call fails (CHURN_PANIC
 * aside) or is cancelled, the log is as it was before. `progress` and `appended` may be NULL. What
 * was read from the log before (customers, channels, report) is no longer valid; result tables are.
 */
churn_status churn_event_log_append(churn_event_log *log,
                                    const churn_columns *columns,
                                    const churn_progress *progress,
                                    churn_appended **appended,
                                    churn_error **error);

/**
 * Adds the rows of a CSV file, plain or gzip, from memory, as churn_event_log_append does. `options`
 * is as for churn_event_log_read_csv, `progress` and `appended` may be NULL.
 */
churn_status churn_event_log_append_csv(churn_event_log *log,
                                        const uint8_t *bytes,
                                        size_t byte_count,
                                        const char *options,
                                        const churn_progress *progress,
                                        churn_appended **appended,
                                        churn_error **error);

/**
 * Adds the rows of an Arrow C stream as churn_event_log_append does. The stream is moved into the
 * call and released, whether it succeeds or fails. `names` is as for churn_event_log_read_stream,
 * `progress` and `appended` may be NULL.
 */
churn_status churn_event_log_append_stream(churn_event_log *log,
                                           struct ArrowArrayStream *stream,
                                           const char *names,
                                           const churn_progress *progress,
                                           churn_appended **appended,
                                           churn_error **error);

/**
 * Number of customers whose events changed; 0 for NULL.
 */
size_t churn_appended_touched_count(const churn_appended *appended);

/**
 * Their rows among the customers of the log, ascending: whose features are out of date. Valid until
 * this is freed; NULL for NULL.
 */
const size_t *churn_appended_touched(const churn_appended *appended);

/**
 * Number of customers whom the log did not know before; 0 for NULL.
 */
size_t churn_appended_new_customers(const churn_appended *appended);

/**
 * What cleaning did to the batch, valid until this is freed; NULL for NULL.
 */
const churn_cleaning_report *churn_appended_report(const churn_appended *appended);

/**
 * Frees what an append told, not the log; NULL is fine.
 */
void churn_appended_free(churn_appended *appended);

/**
 * Learns everything from the events strictly before `as_of`, whatever features `spec` selects (see
 * churn_feature_table_build, whose population knows only what its features need). `progress` may be
 * NULL.
 */
churn_status churn_population_fit(const churn_event_log *log,
                                  const char *as_of,
                                  const char *spec,
                                  const churn_progress *progress,
                                  churn_population **population,
                                  churn_error **error);

/**
 * Reads a population from the JSON that churn_population_to_json gave.
 */
churn_status churn_population_from_json(const char *json,
                                        churn_population **population,
                                        churn_error **error);

/**
 * The population as JSON with every digit, valid until it is freed.
 */
churn_status churn_population_to_json(const churn_population *population,
                                      const char **json,
                                      churn_error **error);

/**
 * Frees a population; NULL is fine.
 */
void churn_population_free(churn_population *population);

/**
 * Builds the features of all customers from the events strictly before `as_of` (a date or date and
 * time in text, e.g. "2011-12-10"). `spec` is JSON with the fields of the core's FeatureSpec
 * (NULL = all features, defaults), `progress` may be NULL. `population`, if not NULL, receives what
 * was learned from all customers for these features: others that need more are refused by name.
 */
churn_status churn_feature_table_build(const churn_event_log *log,
                                       const char *as_of,
                                       const char *spec,
                                       const churn_progress *progress,
                                       churn_feature_table **table,
                                       churn_population **population,
                                       churn_error **error);

/**
 * Builds the features as churn_feature_table_build does, with a population learned before instead
 * of one learned from this log.
 */
churn_status churn_feature_table_build_with(const churn_event_log *log,
                                            const char *as_of,
                                            const char *spec,
                                            const churn_population *population,
                                            const churn_progress *progress,
                                            churn_feature_table **table,
                                            churn_error **error);

/**
 * Builds the features as of `count` instants, in any order, in one pass over the log. `tables` has
 * room for `count` handles, one per instant; each equals what churn_feature_table_build gives, bit
 * for bit, and is freed on its own. On an error none is written.
 */
churn_status churn_feature_table_build_many(const churn_event_log *log,
                                            const char *const *instants,
                                            size_t count,
                                            const char *spec,
                                            const churn_progress *progress,
                                            churn_feature_table **tables,
                                            churn_error **error);

/**
 * What a log must keep for the features of `spec` (JSON as above, NULL = all features), as JSON for
 * the field "keep" of the cleaning: a list of one text.
 */
churn_status churn_features_need(const char *spec, churn_texts **json, churn_error **error);

/**
 * A table of the caller's own features. The columns stand one after another: `names[j]` (UTF-8)
 * names the column from `values[j * rows]` on, rows = the number of customers; NaN is no value.
 * Everything is copied. `as_of` is the instant that the table describes.
 */
churn_status churn_feature_table_from_columns(const churn_customers *customers,
                                              const char *as_of,
                                              const char *const *names,
                                              size_t feature_count,
                                              const double *values,
                                              churn_feature_table **table,
                                              churn_error **error);

/**
 * Number of customers (rows); 0 for NULL.
 */
size_t churn_feature_table_len(const churn_feature_table *table);

/**
 * The customers, one per row, valid until the table is freed; NULL for NULL.
 */
const churn_customers *churn_feature_table_customers(const churn_feature_table *table);

/**
 * The instant that the table describes, in microseconds since 1970-01-01 UTC; 0 for NULL.
 */
int64_t churn_feature_table_as_of_micros(const churn_feature_table *table);

/**
 * Number of features (columns); 0 for NULL.
 */
size_t churn_feature_table_feature_count(const churn_feature_table *table);

/**
 * What a feature means: its name, its unit ("days", "currency", "count", ...), its definition, and
 * where it is undefined (empty if nowhere). Each output may be NULL; the texts are valid until the
 * table is freed.
 */
churn_status churn_feature_table_describe(const churn_feature_table *table,
                                          size_t index,
                                          const char **name,
                                          const char **unit,
                                          const char **definition,
                                          const char **undefined,
                                          churn_error **error);

/**
 * The values of a feature by name, one per customer, valid until the table is freed. Fails with
 * CHURN_UNKNOWN_NAME where there is no such feature.
 */
churn_status churn_feature_table_column(const churn_feature_table *table,
                                        const char *name,
                                        const double **values,
                                        churn_error **error);

/**
 * The values of a feature by position, one per customer, valid until the table is freed.
 */
churn_status churn_feature_table_column_at(const churn_feature_table *table,
                                           size_t index,
                                           const double **values,
                                           churn_error **error);

/**
 * Writes the table as an Arrow C stream: column "customer", then one column per feature. The
 * stream is independent of the table; release it. What stood in `stream` is overwritten.
 */
churn_status churn_feature_table_export(const churn_feature_table *table,
                                        struct ArrowArrayStream *stream,
                                        churn_error **error);

/**
 * Frees a table; what was read from it (customers, columns, texts) goes with it. NULL is fine.
 */
void churn_feature_table_free(churn_feature_table *table);

/**
 * Writes a log to a file in the library's own form. At `path` (UTF-8) there is the old file, if any,
 * until the new one is whole. `progress` may be NULL.
 */
churn_status churn_event_log_save_file(const churn_event_log *log,
                                       const char *path,
                                       const churn_progress *progress,
                                       churn_error **error);

/**
 * Reads a log that churn_event_log_save_file wrote. A file that is cut short, damaged, forged or of
 * a newer version fails with CHURN_INVALID_VALUE, naming the place. `progress` may be NULL.
 */
churn_status churn_event_log_load_file(const char *path,
                                       const churn_progress *progress,
                                       churn_event_log **log,
                                       churn_error **error);

/**
 * The content of the file that churn_event_log_save_file would write. `progress` may be NULL.
 */
churn_status churn_event_log_save(const churn_event_log *log,
                                  const churn_progress *progress,
                                  churn_bytes **bytes,
                                  churn_error **error);

/**
 * Reads a saved log from the bytes of its whole file, e.g. a memory-mapped one, which are not needed
 * any more then. `progress` may be NULL.
 */
churn_status churn_event_log_load(const uint8_t *bytes,
                                  size_t byte_count,
                                  const churn_progress *progress,
                                  churn_event_log **log,
                                  churn_error **error);

/**
 * A feature table as the content of a file, bit for bit; its population is not in it. `progress`
 * may be NULL.
 */
churn_status churn_feature_table_save(const churn_feature_table *table,
                                      const churn_progress *progress,
                                      churn_bytes **bytes,
                                      churn_error **error);

/**
 * Reads a saved feature table from the bytes of its whole file. `progress` may be NULL.
 */
churn_status churn_feature_table_load(const uint8_t *bytes,
                                      size_t byte_count,
                                      const churn_progress *progress,
                                      churn_feature_table **table,
                                      churn_error **error);

/**
 * Prepares to describe customers as of an instant. `spec` is as for churn_feature_table_build;
 * `population` NULL learns from all customers of the log now what the features need.
 */
churn_status churn_describer_new(const churn_event_log *log,
                                 const char *as_of,
                                 const char *spec,
                                 const churn_population *population,
                                 churn_describer **describer,
                                 churn_error **error);

/**
 * Number of features; 0 for NULL.
 */
size_t churn_describer_feature_count(const churn_describer *describer);

/**
 * Name of a feature, in the order of the values; valid until the describer is freed.
 */
churn_status churn_describer_feature(const churn_describer *describer,
                                     size_t index,
                                     const char **name,
                                     churn_error **error);

/**
 * Writes the features of one customer, given by the row among the customers of the log as it is now
 * (churn_customers_find_...), into the first of `room` values; churn_describer_feature_count says
 * how many there are. Fails with CHURN_UNKNOWN_NAME for a customer without event before the instant,
 * and with CHURN_MISALIGNED once the log has other channels: make a new describer then.
 */
churn_status churn_describer_describe(churn_describer *describer,
                                      const churn_event_log *log,
                                      size_t row,
                                      double *values,
                                      size_t room,
                                      churn_error **error);

/**
 * Frees a describer; NULL is fine.
 */
void churn_describer_free(churn_describer *describer);

/**
 * Makes a table that is up to date with a log that was appended to. `touched` are the rows of all
 * customers whose events changed since `table` was made, as churn_appended_touched tells them; only
 * they are described anew. `spec` is that of the table, `population` the one it was built with:
 * equal, bit for bit, to churn_feature_table_build_with on the whole log. `progress` may be NULL.
 */
churn_status churn_feature_table_refresh(const churn_feature_table *table,
                                         const churn_event_log *log,
                                         const size_t *touched,
                                         size_t touched_count,
                                         const char *spec,
                                         const churn_population *population,
                                         const churn_progress *progress,
                                         churn_feature_table **refreshed,
                                         churn_error **error);

/**
 * Opens a stream. `scratch` is a folder (UTF-8) in which it makes one of its own; NULL = that of the
 * system for temporary files. `settings` is JSON with the fields of the core's StreamSettings and
 * `cleaning` with those of its Cleaning (NULL = defaults).
 */
churn_status churn_log_stream_new(const char *scratch,
                                  const char *settings,
                                  const char *cleaning,
                                  churn_log_stream **stream,
                                  churn_error **error);

/**
 * Adds a batch. Rows are cleaned as in one log of all of them; errors name the row in the whole
 * stream, and a batch that fails or is cancelled leaves the stream as it was. `progress` may be
 * NULL.
 */
churn_status churn_log_stream_push(churn_log_stream *stream,
                                   const churn_columns *columns,
                                   const churn_progress *progress,
                                   churn_error **error);

/**
 * Adds all batches of an Arrow C stream one by one; those before one that fails stay. The stream is
 * moved into the call and released, whether it succeeds or fails. `names` is as for
 * churn_event_log_read_stream, `progress` may be NULL.
 */
churn_status churn_log_stream_push_stream(churn_log_stream *stream,
                                          struct ArrowArrayStream *batches,
                                          const char *names,
                                          const churn_progress *progress,
                                          churn_error **error);

/**
 * Adds a CSV file, plain or gzip, however long, by its path (UTF-8), about a million rows at a time;
 * those before a row that fails stay. `options` is as for churn_event_log_read_csv, `progress` may
 * be NULL.
 */
churn_status churn_log_stream_push_csv_file(churn_log_stream *stream,
                                            const char *path,
                                            const char *options,
                                            const churn_progress *progress,
                                            churn_error **error);

/**
 * Number of rows pushed so far; 0 for NULL and once the stream is finished.
 */
uint64_t churn_log_stream_rows(const churn_log_stream *stream);

/**
 * Orders the partitions one after another. The stream is used up, whether this succeeds or fails,
 * and still has to be freed. `progress` may be NULL.
 */
churn_status churn_log_stream_finish(churn_log_stream *stream,
                                     const churn_progress *progress,
                                     churn_partitioned_log **log,
                                     churn_error **error);

/**
 * Frees a stream and its files; NULL is fine.
 */
void churn_log_stream_free(churn_log_stream *stream);

/**
 * Number of partitions; 0 for NULL.
 */
size_t churn_partitioned_log_partitions(const churn_partitioned_log *log);

/**
 * Number of events of all partitions; 0 for NULL.
 */
uint64_t churn_partitioned_log_len(const churn_partitioned_log *log);

/**
 * Number of customers of all partitions; 0 for NULL.
 */
uint64_t churn_partitioned_log_customer_count(const churn_partitioned_log *log);

/**
 * What cleaning did to the whole stream, valid until the log is freed; NULL for NULL.
 */
const churn_cleaning_report *churn_partitioned_log_report(const churn_partitioned_log *log);

/**
 * The log of one partition, with the channels of the whole stream. `progress` may be NULL.
 */
churn_status churn_partitioned_log_log(const churn_partitioned_log *partitioned,
                                       size_t partition,
                                       const churn_progress *progress,
                                       churn_event_log **log,
                                       churn_error **error);

/**
 * What all customers of all partitions together teach, for churn_partitioned_log_features. `as_of`
 * and `spec` are as for churn_feature_table_build, `progress` may be NULL.
 */
churn_status churn_partitioned_log_learn(const churn_partitioned_log *log,
                                         const char *as_of,
                                         const char *spec,
                                         const churn_progress *progress,
                                         churn_population **population,
                                         churn_error **error);

/**
 * Builds the feature table of one partition. The tables of all partitions together hold the rows of
 * the one table of the whole log, bit for bit. `progress` may be NULL.
 */
churn_status churn_partitioned_log_features(const churn_partitioned_log *log,
                                            size_t partition,
                                            const char *as_of,
                                            const char *spec,
                                            const churn_population *population,
                                            const churn_progress *progress,
                                            churn_feature_table **table,
                                            churn_error **error);

/**
 * Frees the logs of a stream and their files; NULL is fine.
 */
void churn_partitioned_log_free(churn_partitioned_log *log);

/**
 * Summarizes the purchases strictly before `as_of` (a date or date and time in text); customers who
 * did not buy are left out. `settings` is JSON with the fields of the core's SummarySettings (NULL =
 * periods and units of one day), `progress` may be NULL.
 */
churn_status churn_summary_build(const churn_event_log *log,
                                 const char *as_of,
                                 const char *settings,
                                 const churn_progress *progress,
                                 churn_summary **summary,
                                 churn_error **error);

/**
 * Number of customers (rows); 0 for NULL.
 */
size_t churn_summary_len(const churn_summary *summary);

/**
 * The customers, one per row, valid until the summary is freed; NULL for NULL.
 */
const churn_customers *churn_summary_customers(const churn_summary *summary);

/**
 * The instant that the summary describes, in microseconds since 1970-01-01 UTC; 0 for NULL.
 */
int64_t churn_summary_as_of_micros(const churn_summary *summary);

/**
 * Length in days of the unit of recency and age; 0 for NULL.
 */
double churn_summary_unit_days(const churn_summary *summary);

/**
 * Repeat purchases (periods with a purchase minus one), one per customer, valid until the summary
 * is freed; NULL for NULL.
 */
const double *churn_summary_frequency(const churn_summary *summary);

/**
 * First to last period with a purchase (units), 0 without repeat purchase, valid until the summary
 * is freed; NULL for NULL.
 */
const double *churn_summary_recency(const churn_summary *summary);

/**
 * First period with a purchase to the last period before `as_of` (units), valid until the summary
 * is freed; NULL for NULL.
 */
const double *churn_summary_age(const churn_summary *summary);

/**
 * Mean money per repeat period (currency), 0 without repeat purchase, valid until the summary
 * is freed; NULL for NULL.
 */
const double *churn_summary_monetary_value(const churn_summary *summary);

/**
 * Sums over the gaps between periods with a purchase of the logarithm of the gap in units, 0 without
 * repeat purchase, valid until the summary is freed; NULL for NULL.
 */
const double *churn_summary_log_gaps(const churn_summary *summary);

/**
 * What the customers of a calibration summary bought between its `as_of` and a later one, in the
 * same log: "customer", "frequency" (periods with a purchase), "monetary_value" (mean money per such
 * period). Fact: "duration" in units of the summary. `settings` must be those of the summary.
 */
churn_status churn_summary_holdout(const churn_summary *summary,
                                   const churn_event_log *log,
                                   const char *as_of,
                                   const char *settings,
                                   churn_analysis **analysis,
                                   churn_error **error);

/**
 * Writes the summary as an Arrow C stream: "customer", "frequency", "recency", "age",
 * "monetary_value", "log_gaps". The stream is independent of the summary; release it. What stood in `stream` is
 * overwritten.
 */
churn_status churn_summary_export(const churn_summary *summary,
                                  struct ArrowArrayStream *stream,
                                  churn_error **error);

/**
 * Frees a summary; what was read from it (customers, columns) goes with it. NULL is fine.
 */
void churn_summary_free(churn_summary *summary);

/**
 * The scorecard that the library brings along.
 */
churn_status churn_scorecard_default(churn_scorecard **card, churn_error **error);

/**
 * Reads and checks a scorecard in JSON.
 */
churn_status churn_scorecard_from_json(const char *json,
                                       churn_scorecard **card,
                                       churn_error **error);

/**
 * Reads and checks a scorecard in TOML.
 */
churn_status churn_scorecard_from_toml(const char *toml,
                                       churn_scorecard **card,
                                       churn_error **error);

/**
 * The scorecard as JSON, valid until it is freed.
 */
churn_status churn_scorecard_to_json(const churn_scorecard *card,
                                     const char **json,
                                     churn_error **error);

/**
 * The scorecard as TOML, valid until it is freed.
 */
churn_status churn_scorecard_to_toml(const churn_scorecard *card,
                                     const char **toml,
                                     churn_error **error);

/**
 * Scores every customer of a table. `progress` may be NULL.
 */
churn_status churn_scorecard_score(const churn_scorecard *card,
                                   const churn_feature_table *table,
                                   const churn_progress *progress,
                                   churn_scores **scores,
                                   churn_error **error);

/**
 * Frees a scorecard; NULL is fine.
 */
void churn_scorecard_free(churn_scorecard *card);

/**
 * Number of customers (rows); 0 for NULL.
 */
size_t churn_scores_len(const churn_scores *scores);

/**
 * The customers, one per row, valid until the scores are freed; NULL for NULL.
 */
const churn_customers *churn_scores_customers(const churn_scores *scores);

/**
 * The instant that the scores describe, in microseconds since 1970-01-01 UTC; 0 for NULL.
 */
int64_t churn_scores_as_of_micros(const churn_scores *scores);

/**
 * How many days the probability looks ahead; 0 for NULL.
 */
uint32_t churn_scores_horizon_days(const churn_scores *scores);

/**
 * Probability of no purchase within the horizon, one per customer, valid until the scores are
 * freed; NULL for NULL.
 */
const double *churn_scores_churn_probability(const churn_scores *scores);

/**
 * Points that every customer begins with; 0 for NULL.
 */
double churn_scores_base_points(const churn_scores *scores);

/**
 * Number of factors; 0 for NULL.
 */
size_t churn_scores_factor_count(const churn_scores *scores);

/**
 * A factor: its name, and its points for every customer (positive raises the churn probability).
 * Each output may be NULL; both are valid until the scores are freed.
 */
churn_status churn_scores_factor(const churn_scores *scores,
                                 size_t index,
                                 const char **name,
                                 const double **points,
                                 churn_error **error);

/**
 * The factors that moved one customer's probability most, largest first. `factors` (indices of
 * factors), `points` and `values` (of the features behind the factors, NaN where missing) have room
 * for `limit` numbers; `values` may be NULL. `count` receives how many were written: factors that
 * moved nothing are left out.
 */
churn_status churn_scores_reasons(const churn_scores *scores,
                                  size_t row,
                                  size_t limit,
                                  size_t *factors,
                                  double *points,
                                  double *values,
                                  size_t *count,
                                  churn_error **error);

/**
 * The same reasons as sentences, e.g. "no purchase for 93 days: +16 points". `language` is "en" or
 * "zh" (NULL = "en").
 */
churn_status churn_scores_sentences(const churn_scores *scores,
                                    size_t row,
                                    size_t limit,
                                    const char *language,
                                    churn_texts **sentences,
                                    churn_error **error);

/**
 * Writes the scores as an Arrow C stream: "customer", "churn_probability", "points_FACTOR" per
 * factor and "reason_1" to "reason_N", N = `reasons`. The stream is independent of the scores; release
 * it. What stood in `stream` is overwritten.
 */
churn_status churn_scores_export(const churn_scores *scores,
                                 size_t reasons,
                                 struct ArrowArrayStream *stream,
                                 churn_error **error);

/**
 * Frees scores; what was read from them (customers, columns, names) goes with them. NULL is fine.
 */
void churn_scores_free(churn_scores *scores);

/**
 * Puts every customer into "low", "medium" or "high" by churn probability; the grouping is called
 * "risk_tier". `tiers` is JSON with the cuts "medium" and "high" (NULL = defaults).
 */
churn_status churn_segments_risk_tiers(const churn_scores *scores,
                                       const char *tiers,
                                       churn_segments **segments,
                                       churn_error **error);

/**
 * Puts every customer into the stage of life that the feature "lifecycle_stage" says.
 */
churn_status churn_segments_lifecycle(const churn_feature_table *table,
                                      churn_segments **segments,
                                      churn_error **error);

/**
 * Number of customers (rows); 0 for NULL.
 */
size_t churn_segments_len(const churn_segments *segments);

/**
 * The customers, one per row, valid until the segments are freed; NULL for NULL.
 */
const churn_customers *churn_segments_customers(const churn_segments *segments);

/**
 * The instant that the segments describe, in microseconds since 1970-01-01 UTC; 0 for NULL.
 */
int64_t churn_segments_as_of_micros(const churn_segments *segments);

/**
 * Name of the grouping, e.g. "risk_tier", valid until the segments are freed; NULL for NULL.
 */
const char *churn_segments_name(const churn_segments *segments);

/**
 * Index of each customer's label, valid until the segments are freed; NULL for NULL.
 */
const uint32_t *churn_segments_codes(const churn_segments *segments);

/**
 * Number of labels; 0 for NULL.
 */
size_t churn_segments_label_count(const churn_segments *segments);

/**
 * A label, e.g. "high", valid until the segments are freed.
 */
churn_status churn_segments_label(const churn_segments *segments,
                                  size_t index,
                                  const char **label,
                                  churn_error **error);

/**
 * Writes groupings of the same customers as one Arrow C stream: "customer", then one dictionary
 * column per grouping. The stream is independent of the segments; release it. What stood in
 * `stream` is overwritten.
 */
churn_status churn_segments_export(const churn_segments *const *groupings,
                                   size_t count,
                                   struct ArrowArrayStream *stream,
                                   churn_error **error);

/**
 * Frees segments; what was read from them (customers, codes, names) goes with them. NULL is fine.
 */
void churn_segments_free(churn_segments *segments);

/**
 * A grid that the library brings along: "rf25" (ten segments by recency and frequency) or "rfm11"
 * (eleven segments by recency and the mean of frequency and monetary score).
 */
churn_status churn_grid_named(const char *name, churn_grid **grid, churn_error **error);

/**
 * Reads a grid in JSON and proves that it covers every cell exactly once.
 */
churn_status churn_grid_from_json(const char *json, churn_grid **grid, churn_error **error);

/**
 * Reads a grid in TOML and proves that it covers every cell exactly once.
 */
churn_status churn_grid_from_toml(const char *toml, churn_grid **grid, churn_error **error);

/**
 * The grid as JSON, valid until it is freed.
 */
churn_status churn_grid_to_json(const churn_grid *grid, const char **json, churn_error **error);

/**
 * The grid as TOML, valid until it is freed.
 */
churn_status churn_grid_to_toml(const churn_grid *grid, const char **toml, churn_error **error);

/**
 * Puts every customer into the segment that covers its scores ("recency_score" and the others that
 * the grid reads). Customers without any score are in "no_purchase".
 */
churn_status churn_grid_assign(const churn_grid *grid,
                               const churn_feature_table *table,
                               churn_segments **segments,
                               churn_error **error);

/**
 * Frees a grid; NULL is fine.
 */
void churn_grid_free(churn_grid *grid);

/**
 * Describes every segment by its size, its money and the mean of every feature. Fails with
 * CHURN_MISALIGNED where segments and table speak of other customers or instants.
 */
churn_status churn_profile_build(const churn_segments *segments,
                                 const churn_feature_table *table,
                                 churn_profile **profile,
                                 churn_error **error);

/**
 * Number of segments, empty ones included; 0 for NULL.
 */
size_t churn_profile_len(const churn_profile *profile);

/**
 * One segment: its label (valid until the profile is freed), number of customers, their share of
 * all (0 to 1), money (currency) and its share, NaN where the money of all is not above 0. Each
 * output may be NULL.
 */
churn_status churn_profile_segment(const churn_profile *profile,
                                   size_t index,
                                   const char **label,
                                   uint64_t *customers,
                                   double *share,
                                   double *money,
                                   double *money_share,
                                   churn_error **error);

/**
 * Mean of a feature over the customers of a segment who have a value (NaN where none has), and
 * how many these are. Each output may be NULL.
 */
churn_status churn_profile_mean(const churn_profile *profile,
                                size_t index,
                                const char *feature,
                                double *mean,
                                uint64_t *defined,
                                churn_error **error);

/**
 * The profile as a text table for people, valid until it is freed; NULL for NULL.
 */
const char *churn_profile_text(const churn_profile *profile);

/**
 * Frees a profile; NULL is fine.
 */
void churn_profile_free(churn_profile *profile);

/**
 * Reads a playbook in TOML (NULL = the one that the library brings along) and checks it against
 * the names that its conditions may use: the features of `table`, "churn_probability", and the
 * `count` groupings by name and label. Errors name the place and the line.
 */
churn_status churn_playbook_from_toml(const char *toml,
                                      const churn_feature_table *table,
                                      const churn_segments *const *groupings,
                                      size_t count,
                                      churn_playbook **playbook,
                                      churn_error **error);

/**
 * Reads a playbook in JSON. The rest is as for churn_playbook_from_toml.
 */
churn_status churn_playbook_from_json(const char *json,
                                      const churn_feature_table *table,
                                      const churn_segments *const *groupings,
                                      size_t count,
                                      churn_playbook **playbook,
                                      churn_error **error);

/**
 * The playbook as TOML, valid until it is freed.
 */
churn_status churn_playbook_to_toml(const churn_playbook *playbook,
                                    const char **toml,
                                    churn_error **error);

/**
 * The playbook as JSON, valid until it is freed.
 */
churn_status churn_playbook_to_json(const churn_playbook *playbook,
                                    const char **json,
                                    churn_error **error);

/**
 * Gives every customer the action of the highest priority that is open, or none. The tables must
 * speak of the same customers and instant; they may be freed afterwards.
 */
churn_status churn_playbook_match(const churn_playbook *playbook,
                                  const churn_feature_table *table,
                                  const churn_scores *scores,
                                  const churn_segments *const *groupings,
                                  size_t count,
                                  churn_plan **plan,
                                  churn_error **error);

/**
 * Frees a playbook; NULL is fine.
 */
void churn_playbook_free(churn_playbook *playbook);

/**
 * Number of customers (rows); 0 for NULL.
 */
size_t churn_plan_len(const churn_plan *plan);

/**
 * The customers, one per row, valid until the plan is freed; NULL for NULL.
 */
const churn_customers *churn_plan_customers(const churn_plan *plan);

/**
 * The instant that the plan is made for, in microseconds since 1970-01-01 UTC; 0 for NULL.
 */
int64_t churn_plan_as_of_micros(const churn_plan *plan);

/**
 * How many days the churn probabilities behind the plan look ahead; 0 for NULL.
 */
uint32_t churn_plan_horizon_days(const churn_plan *plan);

/**
 * The currency of all costs, valid until the plan is freed; NULL for NULL.
 */
const char *churn_plan_currency(const churn_plan *plan);

/**
 * Number of actions of the playbook; 0 for NULL.
 */
size_t churn_plan_action_count(const churn_plan *plan);

/**
 * An action of the playbook: its id, and its name in `language` ("en" or "zh", NULL = "en"). Each
 * output may be NULL; the texts are valid until the plan is freed.
 */
churn_status churn_plan_action(const churn_plan *plan,
                               size_t index,
                               const char *language,
                               const char **id,
                               const char **name,
                               churn_error **error);

/**
 * Index of each customer's action, CHURN_NO_ACTION where there is none; valid until the plan is
 * freed; NULL for NULL.
 */
const int32_t *churn_plan_action_codes(const churn_plan *plan);

/**
 * Index of each customer's channels among the action's channel sets, CHURN_NO_ACTION where there is
 * no action; valid until the plan is freed; NULL for NULL.
 */
const int32_t *churn_plan_channel_set_codes(const churn_plan *plan);

/**
 * Chance that each customer answers at least once (0 to 1), 0 without an action; valid until the
 * plan is freed; NULL for NULL.
 */
const double *churn_plan_expected_response(const churn_plan *plan);

/**
 * Cost of contacting each customer (currency), 0 without an action; valid until the plan is freed;
 * NULL for NULL.
 */
const double *churn_plan_contact_cost(const churn_plan *plan);

/**
 * Expected cost of each customer's offers (currency), 0 without an action; valid until the plan is
 * freed; NULL for NULL.
 */
const double *churn_plan_offer_cost(const churn_plan *plan);

/**
 * Ids of the channels over which one customer is contacted; none without an action.
 */
churn_status churn_plan_channels(const churn_plan *plan,
                                 size_t row,
                                 churn_texts **channels,
                                 churn_error **error);

/**
 * Ids of the offers that one customer is given; none without an action.
 */
churn_status churn_plan_offers(const churn_plan *plan,
                               size_t row,
                               churn_texts **offers,
                               churn_error **error);

/**
 * Why one customer gets this action over these channels, or none: a list of one text in `language`
 * ("en" or "zh", NULL = "en").
 */
churn_status churn_plan_why(const churn_plan *plan,
                            size_t row,
                            const char *language,
                            churn_texts **why,
                            churn_error **error);

/**
 * Why one customer has no action: one of CHURN_WHY_NONE_….
 */
churn_status churn_plan_why_none(const churn_plan *plan,
                                 size_t row,
                                 int32_t *reason,
                                 churn_error **error);

/**
 * What one action comes to: the customers who get it, their share of all (0 to 1), how many are
 * expected to answer, the cost of contacting them and the expected cost of their offers (currency).
 * With index CHURN_NO_ACTION: the customers without an action. Each output may be NULL.
 */
churn_status churn_plan_action_summary(const churn_plan *plan,
                                       int32_t index,
                                       uint64_t *customers,
                                       double *share,
                                       double *expected_responses,
                                       double *contact_cost,
                                       double *offer_cost,
                                       churn_error **error);

/**
 * What the plan comes to, as a text table for people, valid until the plan is freed.
 */
churn_status churn_plan_summary(const churn_plan *plan, const char **summary, churn_error **error);

/**
 * Writes the plan as an Arrow C stream: "customer", "action", "channels" and "offers" (ids joined by
 * "+"), "expected_response", "contact_cost", "offer_cost"; of a plan made for profit also
 * "expected_profit", "change", "source", "stake", "day", "no_action". The stream is independent of the
 * plan; release it. What stood in `stream` is overwritten.
 */
churn_status churn_plan_export(const churn_plan *plan,
                               struct ArrowArrayStream *stream,
                               churn_error **error);

/**
 * Frees a plan; what was read from it (customers, columns, texts) goes with it. NULL is fine.
 */
void churn_plan_free(churn_plan *plan);

/**
 * An empty list of uplift estimates.
 */
churn_status churn_uplift_new(churn_uplift **uplift, churn_error **error);

/**
 * Adds estimates for an action over `channels` (ids joined by "+"; NULL = over any that has no
 * estimate of its own): the change of each customer's probability of staying, in the rows of the
 * tables, NaN where there is none. `standard_error` (NULL = the estimates are taken as they are) draws
 * each towards what is known otherwise. Names are looked up when the plan is made.
 */
churn_status churn_uplift_add(churn_uplift *uplift,
                              const char *action,
                              const char *channels,
                              const double *change,
                              const double *standard_error,
                              size_t count,
                              churn_error **error);

/**
 * Frees a list of uplift estimates; NULL is fine.
 */
void churn_uplift_free(churn_uplift *uplift);

/**
 * Gives every customer at most one action over one of its channel sets so that the expected profit
 * of all together is as large as the constraints allow. `settings` is JSON with the fields of the
 * core's OptimizeSettings (NULL = defaults: no constraints); `uplift` and `progress` may be NULL.
 * CHURN_INFEASIBLE names constraints that no plan keeps. The tables may be freed afterwards.
 */
churn_status churn_playbook_optimize(const churn_playbook *playbook,
                                     const churn_feature_table *table,
                                     const churn_scores *scores,
                                     const churn_segments *const *groupings,
                                     size_t count,
                                     const churn_uplift *uplift,
                                     const char *settings,
                                     const churn_progress *progress,
                                     churn_plan **plan,
                                     churn_error **error);

/**
 * What a plan made for profit comes to: expected profit, the profit that no plan exceeds, what is
 * spent (currency), and the number of customers with an action. Each output may be NULL. Fails with
 * CHURN_INVALID_PARAMETER for a plan by priority.
 */
churn_status churn_plan_allocation(const churn_plan *plan,
                                   double *profit,
                                   double *bound,
                                   double *spent,
                                   uint64_t *chosen,
                                   churn_error **error);

/**
 * Expected incremental profit of each customer's action (currency), 0 without one; valid until the
 * plan is freed; NULL for NULL and for a plan by priority.
 */
const double *churn_plan_expected_profit(const churn_plan *plan);

/**
 * Change of each customer's probability of staying, 0 without an action; valid until the plan is
 * freed; NULL for NULL and for a plan by priority.
 */
const double *churn_plan_change(const churn_plan *plan);

/**
 * Value at stake of each customer (currency), NaN where it is not known; valid until the plan is
 * freed; NULL for NULL and for a plan by priority.
 */
const double *churn_plan_stake(const churn_plan *plan);

/**
 * Day of the plan on which each customer is contacted, from 0, -1 without an action; valid until the
 * plan is freed; NULL for NULL and for a plan by priority.
 */
const int32_t *churn_plan_day(const churn_plan *plan);

/**
 * Where the change of one customer's action is known from: a list of "uplift",
 * "experiment", "observed" or "playbook", empty without an action.
 */
churn_status churn_plan_source(const churn_plan *plan,
                               size_t row,
                               churn_texts **source,
                               churn_error **error);

/**
 * Profit, bound and prices as a text for people: a list of one.
 */
churn_status churn_plan_allocation_text(const churn_plan *plan,
                                        churn_texts **text,
                                        churn_error **error);

/**
 * Writes the constraints as an Arrow C stream: "constraint", "subject", "is_minimum", "limit", "used",
 * "price" (what one unit more would bring). The stream is independent of the plan; release it.
 */
churn_status churn_plan_prices_export(const churn_plan *plan,
                                      struct ArrowArrayStream *stream,
                                      churn_error **error);

/**
 * Writes the budget curve as an Arrow C stream: "budget", "profit", "bound", "price"; without rows
 * unless "curve_points" asked for it. The stream is independent of the plan; release it.
 */
churn_status churn_plan_curve_export(const churn_plan *plan,
                                     struct ArrowArrayStream *stream,
                                     churn_error **error);

/**
 * Runs features, scorecard, segments and playbook on the events strictly before `as_of` (a date or
 * date and time in text, e.g. "2011-12-10"; NULL = the day after the last event, which fails with
 * CHURN_NOT_ENOUGH_DATA for an empty log). `settings` is JSON with the fields of the core's
 * WinBackSettings (NULL = defaults), `progress` may be NULL.
 */
churn_status churn_win_back_run(const churn_event_log *log,
                                const char *as_of,
                                const char *settings,
                                const churn_progress *progress,
                                churn_win_back **result,
                                churn_error **error);

/**
 * What describes each customer; NULL for NULL.
 */
const churn_feature_table *churn_win_back_features(const churn_win_back *result);

/**
 * What all customers together taught; NULL for NULL.
 */
const churn_population *churn_win_back_population(const churn_win_back *result);

/**
 * The model of buying that was fitted; NULL where the settings ask for none, and for NULL. It belongs
 * to the result.
 */
const churn_lifetime *churn_win_back_lifetime(const churn_win_back *result);

/**
 * Churn probabilities with reasons; NULL for NULL.
 */
const churn_scores *churn_win_back_scores(const churn_win_back *result);

/**
 * Risk tiers; NULL for NULL.
 */
const churn_segments *churn_win_back_risk_tier(const churn_win_back *result);

/**
 * Segments of the grid; NULL for NULL.
 */
const churn_segments *churn_win_back_rfm_segment(const churn_win_back *result);

/**
 * Lifecycle stages; NULL for NULL.
 */
const churn_segments *churn_win_back_lifecycle(const churn_win_back *result);

/**
 * Who gets what, through which channels; NULL for NULL.
 */
const churn_plan *churn_win_back_plan(const churn_win_back *result);

/**
 * The rows of the customers worth telling about, one per risk tier from high to low: the one with
 * an action who spent most. `rows` has room for `room` of them (three are enough); `count` receives
 * how many were written.
 */
churn_status churn_win_back_examples(const churn_win_back *result,
                                     size_t *rows,
                                     size_t room,
                                     size_t *count,
                                     churn_error **error);

/**
 * One customer told as a story, the numbers, the reasons and the offer: a list of one text of
 * several lines in `language` ("en" or "zh", NULL = "en").
 */
churn_status churn_win_back_story(const churn_win_back *result,
                                  size_t row,
                                  const char *language,
                                  churn_texts **story,
                                  churn_error **error);

/**
 * The plan as a CSV file in UTF-8, one row per customer, with the reasons in `language` ("en" or
 * "zh", NULL = "en"): "customer", "as_of", "churn_probability", "horizon_days", "risk_tier",
 * "rfm_segment", "lifecycle", "reasons", "action", "offers", "channels", "expected_response",
 * "contact_cost", "offer_cost"; where the plan is made for profit also "expected_profit", "change",
 * "source", "day", "no_action".
 */
churn_status churn_win_back_plan_csv(const churn_win_back *result,
                                     const char *language,
                                     churn_bytes **csv,
                                     churn_error **error);

/**
 * Frees the result with all its tables; NULL is fine.
 */
void churn_win_back_free(churn_win_back *result);

/**
 * Number of rows; 0 for NULL.
 */
size_t churn_analysis_len(const churn_analysis *analysis);

/**
 * A column as numbers, one per row, valid until the analysis is freed: null is NaN, flags are 0 and
 * 1, instants are microseconds since 1970-01-01 UTC. Texts are read through the export.
 */
churn_status churn_analysis_numbers(const churn_analysis *analysis,
                                    const char *column,
                                    const double **numbers,
                                    churn_error **error);

/**
 * What describes the analysis as a whole, as JSON (e.g. {"median":56.0}), valid until it is freed;
 * NULL for NULL.
 */
const char *churn_analysis_facts(const churn_analysis *analysis);

/**
 * Writes the table as an Arrow C stream, which is independent of the analysis; release it. What
 * stood in `stream` is overwritten.
 */
churn_status churn_analysis_export(const churn_analysis *analysis,
                                   struct ArrowArrayStream *stream,
                                   churn_error **error);

/**
 * Frees an analysis; its columns go with it. NULL is fine.
 */
void churn_analysis_free(churn_analysis *analysis);

/**
 * A Kaplan–Meier curve, one row per distinct time: "time", "at_risk", "events", "censored",
 * "survival", "lower", "upper". Facts: "median" (null if the curve never falls to half). `settings`
 * is JSON with the fields of the core's KaplanMeier, NULL = defaults.
 */
churn_status churn_kaplan_meier(const double *durations,
                                const uint8_t *event_observed,
                                const double *entry,
                                size_t rows,
                                const char *settings,
                                churn_analysis **analysis,
                                churn_error **error);

/**
 * A Nelson–Aalen curve, one row per distinct time: "time", "at_risk", "events", "censored",
 * "cumulative_hazard", "lower", "upper". `settings` is JSON with the fields of the core's
 * NelsonAalen, NULL = defaults.
 */
churn_status churn_nelson_aalen(const double *durations,
                                const uint8_t *event_observed,
                                const double *entry,
                                size_t rows,
                                const char *settings,
                                churn_analysis **analysis,
                                churn_error **error);

/**
 * A log-rank test of two or more groups, numbered from 0 on: "size", "observed", "expected" by
 * group. Facts: "statistic", "degrees_of_freedom", "p_value". `weights` is JSON: "log_rank" (NULL),
 * "wilcoxon", "tarone_ware" or {"fleming_harrington": {"p": 0, "q": 1}}.
 */
churn_status churn_log_rank(const double *durations,
                            const uint8_t *event_observed,
                            const double *entry,
                            const uint32_t *groups,
                            size_t rows,
                            const char *weights,
                            churn_analysis **analysis,
                            churn_error **error);

/**
 * Fits a Cox model. `covariates` holds `count` columns of `rows` values, one after the other;
 * `strata` the group of each row, or NULL. `settings` is JSON with the fields of the core's CoxPh,
 * NULL = defaults; `progress` may be NULL.
 */
churn_status churn_cox_fit(const double *durations,
                           const uint8_t *event_observed,
                           const double *entry,
                           const uint32_t *strata,
                           size_t rows,
                           const char *const *names,
                           const double *covariates,
                           size_t count,
                           const char *settings,
                           const churn_progress *progress,
                           churn_cox **model,
                           churn_error **error);

/**
 * The coefficients of a Cox model: "covariate", "coefficient", "standard_error", "z", "p_value",
 * "lower", "upper". Facts: "log_likelihood", "null_log_likelihood", "likelihood_ratio",
 * "likelihood_ratio_p_value", "concordance", "iterations", "rows", "events".
 */
churn_status churn_cox_summary(const churn_cox *model,
                               churn_analysis **analysis,
                               churn_error **error);

/**
 * Breslow's baseline of a row whose covariates are the means: "stratum", "time",
 * "cumulative_hazard".
 */
churn_status churn_cox_baseline(const churn_cox *model,
                                churn_analysis **analysis,
                                churn_error **error);

/**
 * Probability that each row lasts longer than each time: time j of row i at `j * rows + i`, so
 * `survival` has room for `rows` × `time_count` values. `covariates` holds the columns of the fit in
 * their order; `strata` is NULL for a model without; with `conditional_after` (one time per row, or
 * NULL) the probability to last that much longer, given that the spell has run that long.
 */
churn_status churn_cox_survival(const churn_cox *model,
                                const double *covariates,
                                const uint32_t *strata,
                                const double *conditional_after,
                                size_t rows,
                                const double *times,
                                size_t time_count,
                                double *survival,
                                churn_error **error);

/**
 * Frees a Cox model; NULL is fine.
 */
void churn_cox_free(churn_cox *model);

/**
 * Fits a Weibull accelerated-failure-time model; `count` may be 0 for the durations alone.
 * `settings` is JSON with the fields of the core's WeibullAft, NULL = defaults.
 */
churn_status churn_weibull_fit(const double *durations,
                               const uint8_t *event_observed,
                               size_t rows,
                               const char *const *names,
                               const double *covariates,
                               size_t count,
                               const char *settings,
                               churn_weibull **model,
                               churn_error **error);

/**
 * The intercept, the coefficients and the logarithm of the shape ("log_shape") of a Weibull model:
 * "covariate", "coefficient", "standard_error", "z", "p_value", "lower", "upper". Facts: "shape",
 * "scale", "log_likelihood", "null_log_likelihood", "likelihood_ratio", "likelihood_ratio_p_value",
 * "concordance" (null without covariates), "iterations".
 */
churn_status churn_weibull_summary(const churn_weibull *model,
                                   churn_analysis **analysis,
                                   churn_error **error);

/**
 * As churn_cox_survival, for a Weibull model fitted with covariates.
 */
churn_status churn_weibull_survival(const churn_weibull *model,
                                    const double *covariates,
                                    const double *conditional_after,
                                    size_t rows,
                                    const double *times,
                                    size_t time_count,
                                    double *survival,
                                    churn_error **error);

/**
 * Frees a Weibull model; NULL is fine.
 */
void churn_weibull_free(churn_weibull *model);

/**
 * Brier scores of predicted survival (time j of row i at `j * rows + i`) at each of the ascending
 * times, and their mean over the span; the chance of being censored is learned from the same
 * spells. `scores` has room for `time_count` values or is NULL.
 */
churn_status churn_survival_brier(const double *durations,
                                  const uint8_t *event_observed,
                                  size_t rows,
                                  const double *survival,
                                  const double *times,
                                  size_t time_count,
                                  double *scores,
                                  double *integrated,
                                  churn_error **error);

/**
 * Gaps between purchase days, the open ones cut at `as_of`: "customer", "purchases_before",
 * "duration" (days), "event_observed".
 */
churn_status churn_purchase_gaps(const churn_event_log *log,
                                 const char *as_of,
                                 churn_analysis **analysis,
                                 churn_error **error);

/**
 * Begins with a customer's first purchase, an instant in text. `settings` is JSON with the fields
 * of the core's SummarySettings (NULL = defaults).
 */
churn_status churn_running_summary_new(const char *time,
                                       const char *settings,
                                       churn_running_summary **summary,
                                       churn_error **error);

/**
 * Adds a purchase, no earlier than the period of the last one; a failure changes nothing.
 */
churn_status churn_running_summary_add(churn_running_summary *summary,
                                       const char *time,
                                       double value,
                                       churn_error **error);

/**
 * The row of the summary as of an instant after the last purchase: frequency, recency, age,
 * monetary value and log gaps, five numbers in this order.
 */
churn_status churn_running_summary_row(const churn_running_summary *summary,
                                       const char *as_of,
                                       double *row,
                                       churn_error **error);

/**
 * Reads and checks a running summary in JSON.
 */
churn_status churn_running_summary_from_json(const char *json,
                                             churn_running_summary **summary,
                                             churn_error **error);

/**
 * The running summary as bytes of JSON, to store.
 */
churn_status churn_running_summary_to_json(const churn_running_summary *summary,
                                           churn_bytes **json,
                                           churn_error **error);

/**
 * Frees a running summary; NULL is fine.
 */
void churn_running_summary_free(churn_running_summary *summary);

/**
 * The customers of a summary, which it does not depend on afterwards. `covariates` holds `count`
 * columns of as many values as the summary has rows; `count` may be 0.
 */
churn_status churn_buyers_from_summary(const churn_summary *summary,
                                       const char *const *names,
                                       const double *covariates,
                                       size_t count,
                                       churn_buyers **buyers,
                                       churn_error **error);

/**
 * Customers from arrays of `rows` values: repeat purchases, first to last purchase, and first
 * purchase to the end of the observation, both in units of `unit_days` days. May be NULL: the mean
 * value of repeat purchases (for spend and value), sums of the logarithms of gaps (for models of
 * regular buying), how many customers a row stands for. `covariates` holds `count` columns; `count`
 * may be 0.
 */
churn_status churn_buyers_from_columns(const double *frequency,
                                       const double *recency,
                                       const double *age,
                                       const double *monetary_value,
                                       const double *log_gaps,
                                       const double *weights,
                                       size_t rows,
                                       double unit_days,
                                       const char *const *names,
                                       const double *covariates,
                                       size_t count,
                                       churn_buyers **buyers,
                                       churn_error **error);

/**
 * Number of rows; 0 for NULL.
 */
size_t churn_buyers_len(const churn_buyers *buyers);

/**
 * Frees customers; models fitted on them stay valid. NULL is fine.
 */
void churn_buyers_free(churn_buyers *buyers);

/**
 * Fits a model by maximum likelihood. `settings` is JSON with the fields of the core's Lifetime,
 * e.g. {"family": "pareto_nbd"} (NULL = defaults, MBG/NBD); `progress` may be NULL. A maximum that
 * is not certified is CHURN_NOT_CONVERGED with gradient and condition in the message.
 */
churn_status churn_lifetime_fit(const churn_buyers *buyers,
                                const char *settings,
                                const churn_progress *progress,
                                churn_lifetime **model,
                                churn_error **error);

/**
 * Reads and checks a model that churn_lifetime_to_json, or any language of the library, has written.
 */
churn_status churn_lifetime_from_json(const char *json,
                                      churn_lifetime **model,
                                      churn_error **error);

/**
 * The model as JSON, with every digit, valid until it is freed.
 */
churn_status churn_lifetime_to_json(const churn_lifetime *model,
                                    const char **json,
                                    churn_error **error);

/**
 * What the fit found, as JSON: "family", "regularity", "unit_days", "parameters" by name,
 * "estimate" (log-likelihood, standard errors, what lies on a bound, gradient, condition,
 * covariance of the logarithms; null if parameters were given), "aic", "bic". Valid until the model
 * is freed.
 */
churn_status churn_lifetime_report(const churn_lifetime *model,
                                   const char **report,
                                   churn_error **error);

/**
 * What the model says about each row: "probability_alive", "expected_purchases" and
 * "no_purchase_probability" within `horizon` (units of the model). With a `level` (0 = none), e.g.
 * 0.95, each also with "_lower" and "_upper" behind its name; with `most` above 0 also "purchases_0"
 * … "purchases_MOST", the probabilities of these numbers of purchases.
 */
churn_status churn_lifetime_answers(const churn_lifetime *model,
                                    const churn_buyers *buyers,
                                    double horizon,
                                    double level,
                                    uint32_t most,
                                    churn_analysis **analysis,
                                    churn_error **error);

/**
 * What each row is worth: "expected_spend" per purchase and "customer_value", with a `level` (0 =
 * none) also "customer_value_lower" and "customer_value_upper". `settings` is JSON with the fields
 * of the core's CustomerValue (NULL = defaults: 365 days, 10 % a year, margin 1).
 */
churn_status churn_lifetime_value(const churn_lifetime *model,
                                  const churn_spend *spend,
                                  const churn_buyers *buyers,
                                  const char *settings,
                                  double level,
                                  churn_analysis **analysis,
                                  churn_error **error);

/**
 * Churn probabilities (no purchase within `horizon_days`) of the customers of a summary, with
 * reasons.
 */
churn_status churn_lifetime_score(const churn_lifetime *model,
                                  const churn_summary *summary,
                                  uint32_t horizon_days,
                                  churn_scores **scores,
                                  churn_error **error);

/**
 * The answers as features of the customers of a summary: "probability_alive",
 * "expected_purchases", "no_purchase_probability" within `horizon_days`.
 */
churn_status churn_lifetime_features(const churn_lifetime *model,
                                     const churn_summary *summary,
                                     uint32_t horizon_days,
                                     churn_feature_table **table,
                                     churn_error **error);

/**
 * Whether `general` fits significantly better than `special`, a special case of it fitted on the
 * same customers: twice the gain in log-likelihood, the parameters added, and the probability of
 * such a gain by chance.
 */
churn_status churn_lifetime_likelihood_ratio(const churn_lifetime *special,
                                             const churn_lifetime *general,
                                             double *statistic,
                                             uint32_t *degrees,
                                             double *p_value,
                                             churn_error **error);

/**
 * Frees a model of buying; NULL is fine.
 */
void churn_lifetime_free(churn_lifetime *model);

/**
 * Fits Gamma-Gamma on the repeat buyers, whose mean values are needed. `settings` is JSON with the
 * fields of the core's GammaGamma (NULL = defaults); `progress` may be NULL.
 */
churn_status churn_spend_fit(const churn_buyers *buyers,
                             const char *settings,
                             const churn_progress *progress,
                             churn_spend **model,
                             churn_error **error);

/**
 * Reads and checks a spend model in JSON.
 */
churn_status churn_spend_from_json(const char *json, churn_spend **model, churn_error **error);

/**
 * The spend model as JSON, valid until it is freed.
 */
churn_status churn_spend_to_json(const churn_spend *model, const char **json, churn_error **error);

/**
 * What the fit found, as JSON: "parameters", "estimate", "aic", "bic" as for
 * churn_lifetime_report, "population_mean" (null if it is infinite), "left_out" (rows without
 * repeat purchase or money), "frequency_correlation". Valid until the model is freed.
 */
churn_status churn_spend_report(const churn_spend *model, const char **report, churn_error **error);

/**
 * What each row is expected to spend per purchase: an analysis with the column "expected_spend".
 */
churn_status churn_spend_answers(const churn_spend *model,
                                 const churn_buyers *buyers,
                                 churn_analysis **analysis,
                                 churn_error **error);

/**
 * Frees a spend model; NULL is fine.
 */
void churn_spend_free(churn_spend *model);

/**
 * Fits BG/BB. Rows of `buyers`: purchases at the opportunities after the first purchase, number of
 * the opportunity of the last one (0 = none), opportunities so far. `settings` is JSON with the
 * fields of the core's BgBb (NULL = defaults).
 */
churn_status churn_bg_bb_fit(const churn_buyers *buyers,
                             const char *settings,
                             churn_bg_bb **model,
                             churn_error **error);

/**
 * Reads and checks a BG/BB model in JSON.
 */
churn_status churn_bg_bb_from_json(const char *json, churn_bg_bb **model, churn_error **error);

/**
 * The model as JSON, valid until it is freed.
 */
churn_status churn_bg_bb_to_json(const churn_bg_bb *model, const char **json, churn_error **error);

/**
 * "parameters", "estimate", "aic", "bic" as JSON, as for churn_lifetime_report, valid until the
 * model is freed.
 */
churn_status churn_bg_bb_report(const churn_bg_bb *model, const char **report, churn_error **error);

/**
 * What the model says about each row `ahead` opportunities from now: "probability_alive" then,
 * "expected_purchases" and "no_purchase_probability" until then.
 */
churn_status churn_bg_bb_answers(const churn_bg_bb *model,
                                 const churn_buyers *buyers,
                                 uint32_t ahead,
                                 churn_analysis **analysis,
                                 churn_error **error);

/**
 * Frees a BG/BB model; NULL is fine.
 */
void churn_bg_bb_free(churn_bg_bb *model);

/**
 * Fits the Beta-Geometric model on contracts, one per row: the renewal at which it ended (from 1)
 * where `churned` is 1, the renewals made so far where it is 0. `settings` is JSON with the fields
 * of the core's BetaGeometric (NULL = defaults).
 */
churn_status churn_renewals_fit(const double *duration,
                                const uint8_t *churned,
                                size_t rows,
                                const char *settings,
                                churn_renewals **model,
                                churn_error **error);

/**
 * The same on one cohort: customers at the start and after each renewal, `count` numbers that never
 * rise.
 */
churn_status churn_renewals_fit_survivors(const double *survivors,
                                          size_t count,
                                          const char *settings,
                                          churn_renewals **model,
                                          churn_error **error);

/**
 * Reads and checks a model of renewals in JSON.
 */
churn_status churn_renewals_from_json(const char *json,
                                      churn_renewals **model,
                                      churn_error **error);

/**
 * The model as JSON, valid until it is freed.
 */
churn_status churn_renewals_to_json(const churn_renewals *model,
                                    const char **json,
                                    churn_error **error);

/**
 * "parameters", "estimate", "aic", "bic" as JSON, as for churn_lifetime_report, valid until the
 * model is freed.
 */
churn_status churn_renewals_report(const churn_renewals *model,
                                   const char **report,
                                   churn_error **error);

/**
 * Probability of customers who have made these numbers of renewals to make `ahead` more; `survival`
 * has room for `rows` values.
 */
churn_status churn_renewals_survival(const churn_renewals *model,
                                     const double *renewals,
                                     size_t rows,
                                     uint32_t ahead,
                                     double *survival,
                                     churn_error **error);

/**
 * Renewals still to come, each weighted by (1 + rate)^-i, of customers who have made these numbers
 * of renewals; `discounted` has room for `rows` values.
 */
churn_status churn_renewals_discounted(const churn_renewals *model,
                                       const double *renewals,
                                       size_t rows,
                                       double rate,
                                       double *discounted,
                                       churn_error **error);

/**
 * Frees a model of renewals; NULL is fine.
 */
void churn_renewals_free(churn_renewals *model);

/**
 * Who came back, one row per cohort and period: "cohort" (its first day), "start", "size",
 * "cohort_complete", "from_period", "to_period", "retained", "share" (null where the time has not
 * begun), "complete". Facts: "periods" (pairs), "weighted" and "simple", the two mean curves.
 * `settings` is JSON with the fields of the core's RetentionSettings, NULL = defaults; `progress` may
 * be NULL.
 */
churn_status churn_retention(const churn_event_log *log,
                             const char *as_of,
                             const char *settings,
                             const churn_progress *progress,
                             churn_analysis **analysis,
                             churn_error **error);

/**
 * Customers by state, one row per period: "period" (its first day), "start", "new", "returning",
 * "resurrecting", "dormant", "complete". `settings` is JSON with the fields of the core's
 * LifecycleSettings, NULL = defaults; `progress` may be NULL.
 */
churn_status churn_lifecycle_over_time(const churn_event_log *log,
                                       const char *as_of,
                                       const char *settings,
                                       const churn_progress *progress,
                                       churn_analysis **analysis,
                                       churn_error **error);

/**
 * Customers by the number of periods in which they were active: "periods", "customers". Facts:
 * "ratio" (null where nobody was), "complete". `settings` is JSON with the fields of the core's
 * StickinessSettings, NULL = defaults; `progress` may be NULL.
 */
churn_status churn_stickiness(const churn_event_log *log,
                              const char *as_of,
                              const char *settings,
                              const churn_progress *progress,
                              churn_analysis **analysis,
                              churn_error **error);

/**
 * Makes an engine for a log's channels. `settings` is JSON with the fields of the core's
 * WinBackSettings, `journeys` JSON with those of JourneySettings ("journeys", "policy",
 * "learning"); NULL = defaults for either. Errors in journeys and policies name place and line.
 */
churn_status churn_journey_engine_new(const churn_event_log *log,
                                      const char *settings,
                                      const char *journeys,
                                      churn_journey_engine **engine,
                                      churn_error **error);

/**
 * Frees an engine; NULL is fine.
 */
void churn_journey_engine_free(churn_journey_engine *engine);

/**
 * The state of a shop with a past: what the events strictly before `as_of` say of purchases,
 * complaints and messages. With a NULL `log`, the state of a shop about which nothing is known.
 */
churn_status churn_journey_engine_begin(const churn_journey_engine *engine,
                                        const churn_event_log *log,
                                        const char *as_of,
                                        churn_journey_state **state,
                                        churn_error **error);

/**
 * Steps to `until` (NULL = `now`); the state that is given stays as it is. Times are texts such as
 * "2011-12-10T09:00:00", in UTC. `events` (may be NULL) is a JSON list of objects with "customer",
 * "time", "kind" (a kind of the event log, "unsubscribed" or "subscribed") and "channel". `log` (may
 * be NULL) tells its events from `since` (NULL = the state's clock) to `now`; events told twice
 * change nothing. `facts` (NULL where no decision reads any) is the result of the flow with the
 * engine's settings, as of an instant not after `now`. `plan` (may be NULL) is the plan in force, for
 * steps that make what it says.
 */
churn_status churn_journey_engine_step(const churn_journey_engine *engine,
                                       const churn_journey_state *state,
                                       const char *now,
                                       const char *until,
                                       const char *events,
                                       const churn_event_log *log,
                                       const char *since,
                                       const churn_win_back *facts,
                                       const churn_plan *plan,
                                       churn_journey_state **next,
                                       churn_journey_outcome **outcome,
                                       churn_error **error);

/**
 * Reads a state that churn_journey_state_to_json wrote; a state of another version is refused.
 */
churn_status churn_journey_state_from_json(const char *json,
                                           churn_journey_state **state,
                                           churn_error **error);

/**
 * The state as JSON, a list of one text.
 */
churn_status churn_journey_state_to_json(const churn_journey_state *state,
                                         churn_texts **json,
                                         churn_error **error);

/**
 * Takes over what is known of single customers: a JSON list of objects with "customer" and, where
 * they change, "zone" (a name of the IANA time zone database) and "held_out".
 */
churn_status churn_journey_state_describe(churn_journey_state *state,
                                          const char *customers,
                                          churn_error **error);

/**
 * Number of customers that the state knows; 0 for NULL.
 */
size_t churn_journey_state_len(const churn_journey_state *state);

/**
 * The instant up to which everything is done, in microseconds since 1970-01-01 UTC; 0 for NULL.
 */
int64_t churn_journey_state_clock_micros(const churn_journey_state *state);

/**
 * Frees a state; NULL is fine.
 */
void churn_journey_state_free(churn_journey_state *state);

/**
 * Number of contacts to make; 0 for NULL.
 */
size_t churn_journey_outcome_contact_count(const churn_journey_outcome *outcome);

/**
 * The customers that rows of contacts count, valid until the outcome is freed; NULL for NULL.
 */
const churn_customers *churn_journey_outcome_customers(const churn_journey_outcome *outcome);

/**
 * One contact: the customer's row, when to make it (microseconds since 1970-01-01 UTC), the chance
 * with which it was chosen, its cost and the cost of its offers if the customer answers (currency).
 * `names` receives a list of four texts: journey, step, offers and channels (ids joined by "+").
 * Each output may be NULL.
 */
churn_status churn_journey_outcome_contact(const churn_journey_outcome *outcome,
                                           size_t index,
                                           size_t *row,
                                           int64_t *at_micros,
                                           double *propensity,
                                           double *cost,
                                           double *offer_cost,
                                           churn_texts **names,
                                           churn_error **error);

/**
 * Every decision with its reason, one line each, e.g.
 * "2021-01-31 ann win_back.recommend: held quiet_hours until 2021-01-31T09:00:00".
 */
churn_status churn_journey_outcome_lines(const churn_journey_outcome *outcome,
                                         churn_texts **lines,
                                         churn_error **error);

/**
 * The next instant at which something is due if nothing happens before, in microseconds since
 * 1970-01-01 UTC; INT64_MAX where there is none, and for NULL.
 */
int64_t churn_journey_outcome_next_due_micros(const churn_journey_outcome *outcome);

/**
 * Writes the contacts as an Arrow C stream: "customer", "at", "journey", "step", "offers" and
 * "channels" (ids joined by "+"), "segment", "propensity", "cost", "offer_cost", "replaced", "planned".
 * The stream is independent of the outcome; release it. What stood in `stream` is overwritten.
 */
churn_status churn_journey_outcome_export_contacts(const churn_journey_outcome *outcome,
                                                   struct ArrowArrayStream *stream,
                                                   churn_error **error);

/**
 * Writes every decision as an Arrow C stream: "customer", "at", "journey", "step", "decision",
 * "reason", "segment", "until", "propensity". The stream is independent of the outcome; release it. What stood
 * in `stream` is overwritten.
 */
churn_status churn_journey_outcome_export_log(const churn_journey_outcome *outcome,
                                              struct ArrowArrayStream *stream,
                                              churn_error **error);

/**
 * Frees an outcome; NULL is fine.
 */
void churn_journey_outcome_free(churn_journey_outcome *outcome);

/**
 * Runs journeys over the days from `from` (NULL = the day after the last event) to `to` (exclusive,
 * NULL = 90 days later) of a log, dates in text; days after its last event are a forecast for
 * customers who stay silent. `settings` and `journeys` as for churn_journey_engine_new; `plan`
 * (NULL for none) is in force from its instant on, for steps that make what it says; `progress` may be
 * NULL.
 */
churn_status churn_journey_replay_run(const churn_event_log *log,
                                      const char *from,
                                      const char *to,
                                      const char *settings,
                                      const char *journeys,
                                      const churn_plan *plan,
                                      const churn_progress *progress,
                                      churn_journey_replay **replay,
                                      churn_error **error);

/**
 * Number of contacts made; 0 for NULL.
 */
uint64_t churn_journey_replay_contact_count(const churn_journey_replay *replay);

/**
 * Cost of all contacts (currency of the playbook); 0 for NULL.
 */
double churn_journey_replay_cost(const churn_journey_replay *replay);

/**
 * The calendar as a table for people, `days` days per line: a list of one text.
 */
churn_status churn_journey_replay_calendar(const churn_journey_replay *replay,
                                           size_t days,
                                           churn_texts **calendar,
                                           churn_error **error);

/**
 * Two rival journeys or policies over the same log and days side by side, as a table for people: a
 * list of one text.
 */
churn_status churn_journey_replay_compare(const churn_journey_replay *replay,
                                          const churn_journey_replay *rival,
                                          churn_texts **comparison,
                                          churn_error **error);

/**
 * Writes the calendar, one row per day, as an Arrow C stream: "date", "entered", "left",
 * "contacts", one count per channel ("contacts_CHANNEL"), "held_out", counts per rule
 * ("held_RULE", "skipped_RULE"), "cost". The stream is independent of the replay; release it.
 * What stood in `stream` is overwritten.
 */
churn_status churn_journey_replay_export_days(const churn_journey_replay *replay,
                                              struct ArrowArrayStream *stream,
                                              churn_error **error);

/**
 * Writes the contacts as churn_journey_outcome_export_contacts does.
 */
churn_status churn_journey_replay_export_contacts(const churn_journey_replay *replay,
                                                  struct ArrowArrayStream *stream,
                                                  churn_error **error);

/**
 * Writes every decision as churn_journey_outcome_export_log does.
 */
churn_status churn_journey_replay_export_log(const churn_journey_replay *replay,
                                             struct ArrowArrayStream *stream,
                                             churn_error **error);

/**
 * Frees a replay; NULL is fine.
 */
void churn_journey_replay_free(churn_journey_replay *replay);

/**
 * The lot of a customer under a salt, in [0, 1): held out are those below the share. An integer id
 * is given in decimal digits.
 */
churn_status churn_journey_lot(const char *salt,
                               const char *customer,
                               double *out_lot,
                               churn_error **error);

/**
 * Compares every arm with the control, which is the first name, on one outcome per unit. `kind` is
 * "binary", "count" or "money"; `covariates` are `covariate_count` columns of `rows` numbers one
 * after another, known before the experiment (NULL for none); `settings` is JSON (NULL = defaults).
 * The answer is JSON, freed with churn_bytes_free.
 */
churn_status churn_compare_arms(const uint32_t *arm,
                                const double *outcome,
                                size_t rows,
                                const char *const *names,
                                size_t arm_count,
                                const char *kind,
                                const double *covariates,
                                size_t covariate_count,
                                const char *settings,
                                churn_bytes **answer,
                                churn_error **error);

/**
 * Mean reward per choice of a policy, from choices that another one made and logged. `estimator` is
 * "inverse_propensity", "self_normalised" or "doubly_robust"; the last one needs `of_choice` and
 * `of_policy`, rewards that a model expects (NULL otherwise). The answer is JSON, freed with
 * churn_bytes_free.
 */
churn_status churn_policy_value(const double *reward,
                                const double *propensity,
                                const double *policy,
                                const double *of_choice,
                                const double *of_policy,
                                size_t rows,
                                const char *estimator,
                                double confidence,
                                churn_bytes **answer,
                                churn_error **error);

/**
 * Who was in which arm (the first name is the hold-out) and the instant from which it could act on
 * them, in microseconds since 1970-01-01 UTC; one row per customer.
 */
churn_status churn_exposures_new(const churn_customers *customers,
                                 const uint32_t *arm,
                                 const int64_t *at_micros,
                                 const char *const *names,
                                 size_t arm_count,
                                 churn_exposures **exposures,
                                 churn_error **error);

/**
 * What contacting changed against the customers held out, within `horizon_days` of each. `cost` and
 * `group` hold one value per customer; `group` (NULL for none) names a segment or channel, for the
 * held out that which they would have been sent. `settings` is JSON (NULL = defaults). The answer is
 * JSON, freed with churn_bytes_free.
 */
churn_status churn_exposures_incremental(const churn_exposures *exposures,
                                         const churn_event_log *log,
                                         uint32_t horizon_days,
                                         const double *cost,
                                         const char *const *group,
                                         const char *settings,
                                         churn_bytes **answer,
                                         churn_error **error);

/**
 * What the contacts of a replay changed against the hold-out, within `horizon_days` of the first
 * contact that was due, from the replay's log and what `log` says happened afterwards. `observed_until`
 * (NULL = midnight behind the log's last event) says up to when it is complete. `settings` is JSON
 * (NULL = defaults). The answer is JSON, freed with churn_bytes_free.
 */
churn_status churn_journey_replay_report(const churn_journey_replay *replay,
                                         const churn_event_log *log,
                                         uint32_t horizon_days,
                                         const char *observed_until,
                                         const char *settings,
                                         churn_bytes **answer,
                                         churn_error **error);

/**
 * The same from the outcomes of `count` steps.
 */
churn_status churn_journey_outcomes_report(const churn_journey_outcome *const *outcomes,
                                           size_t count,
                                           const churn_event_log *log,
                                           uint32_t horizon_days,
                                           const char *observed_until,
                                           const char *settings,
                                           churn_bytes **answer,
                                           churn_error **error);

/**
 * The changes that arms of a comparison made, as "experiments" of the settings of effects.
 * `comparison` is the answer of churn_compare_arms, `arms` a JSON list of objects with "arm", "action"
 * and, where wanted, "channels" and "segment". The answer is JSON, freed with churn_bytes_free.
 */
churn_status churn_experiment_effects(const churn_bytes *comparison,
                                      const char *arms,
                                      churn_bytes **answer,
                                      churn_error **error);

/**
 * Draws predictions of an uplift model towards what its doubly robust scores out of fold say is there:
 * from `rows` predictions out of fold (`held_out`) and their `scores`, changes and standard errors for
 * `count` predictions, as churn_uplift_add takes them.
 */
churn_status churn_uplift_calibrate(const double *held_out,
                                    const double *scores,
                                    size_t rows,
                                    const double *predicted,
                                    size_t count,
                                    double *change,
                                    double *standard_error,
                                    churn_error **error);

/**
 * Frees exposures; NULL is fine.
 */
void churn_exposures_free(churn_exposures *exposures);

/**
 * Units needed in the control to see a difference of means of `effect`, given the variances of the
 * outcome in both arms.
 */
churn_status churn_experiment_sample_size(double effect,
                                          double control_variance,
                                          double treated_variance,
                                          const char *settings,
                                          uint64_t *control_units,
                                          churn_error **error);

/**
 * The smallest difference of means that so many units in the control can show.
 */
churn_status churn_experiment_detectable_effect(uint64_t control_units,
                                                double control_variance,
                                                double treated_variance,
                                                const char *settings,
                                                double *effect,
                                                churn_error **error);

/**
 * The probability of seeing a difference of means of `effect` with so many units in the control.
 */
churn_status churn_experiment_power(double effect,
                                    uint64_t control_units,
                                    double control_variance,
                                    double treated_variance,
                                    const char *settings,
                                    double *power,
                                    churn_error **error);

/**
 * What the log says about an experiment with customers who reach `silence_days` without a purchase:
 * how many per day, how many come back within `horizon_days` by themselves, what they spend; looked
 * at in `window_days` that end one horizon before `as_of`. The answer is JSON, freed with
 * churn_bytes_free.
 */
churn_status churn_experiment_plan_from_log(const churn_event_log *log,
                                            const char *as_of,
                                            uint32_t silence_days,
                                            uint32_t horizon_days,
                                            uint32_t window_days,
                                            churn_bytes **answer,
                                            churn_error **error);

/**
 * Bounds of |z| at `count` planned looks, each given by the share of all units seen by then (rising,
 * the last one 1), such that all looks together err with 1 − `confidence`. `spending` is
 * "obrien_fleming" or "pocock". Writes `count` numbers to `bounds`.
 */
churn_status churn_group_sequential_bounds(const double *looks,
                                           size_t count,
                                           double confidence,
                                           const char *spending,
                                           double *bounds,
                                           churn_error **error);

/**
 * What the second policy earns per choice more than the first, on choices that another one made and
 * logged, as churn_policy_value judges each; the interval is that of the paired difference.
 * `of_choice`, `of_first` and `of_second` are rewards that a model expects (NULL unless `estimator` is
 * "doubly_robust"). The answer is JSON, freed with churn_bytes_free.
 */
churn_status churn_policy_compare(const double *reward,
                                  const double *propensity,
                                  const double *first,
                                  const double *second,
                                  const double *of_choice,
                                  const double *of_first,
                                  const double *of_second,
                                  size_t rows,
                                  const char *estimator,
                                  double confidence,
                                  churn_bytes **answer,
                                  churn_error **error);

/**
 * Every uplift metric of a ranking; `treated` holds 0 or 1, `share` is that of uplift at k. The
 * answer is JSON, freed with churn_bytes_free.
 */
churn_status churn_uplift_metrics(const double *score,
                                  const uint8_t *treated,
                                  const double *outcome,
                                  size_t rows,
                                  double share,
                                  size_t buckets,
                                  churn_bytes **answer,
                                  churn_error **error);

/**
 * Intervals of every uplift metric of a ranking by drawing its units anew; `bootstrap` is JSON
 * (NULL = defaults). The answer is JSON by name of the metric, freed with churn_bytes_free.
 */
churn_status churn_uplift_intervals(const double *score,
                                    const uint8_t *treated,
                                    const double *outcome,
                                    size_t rows,
                                    double share,
                                    size_t buckets,
                                    const char *bootstrap,
                                    churn_bytes **answer,
                                    churn_error **error);

/**
 * The curve of a ranking, "qini" or "gain": columns "units" above each cut and "height" there.
 */
churn_status churn_uplift_curve(const double *score,
                                const uint8_t *treated,
                                const double *outcome,
                                size_t rows,
                                const char *kind,
                                churn_analysis **analysis,
                                churn_error **error);

/**
 * Does the ranking put those with the larger effect first? `effect` holds one unbiased score of
 * each unit's effect (the "score_a" of churn_uplift_out_of_fold). Columns "share" and "toc"; facts
 * "autoc" and "qini", the two weightings of RATE, each with an interval. `bootstrap` is JSON (NULL =
 * defaults).
 */
churn_status churn_uplift_rate(const double *score,
                               const double *effect,
                               size_t rows,
                               const char *bootstrap,
                               churn_analysis **analysis,
                               churn_error **error);

/**
 * What a budget buys where each unit gets at most one of `arms` treatments (the multi-armed Qini
 * curve): `expected` effects decide, `cost` is paid, unbiased `score`s judge; all row by row, `arms`
 * numbers a unit. Columns "spend" and "gain", per unit.
 */
churn_status churn_uplift_cost_curve(size_t arms,
                                     const double *expected,
                                     const double *cost,
                                     const double *score,
                                     size_t rows,
                                     churn_analysis **analysis,
                                     churn_error **error);

/**
 * Incremental profit of contacting the first customers of a ranking: `effect` holds one unbiased
 * score of each customer's effect in money, `cost` what contacting costs. Columns "share", "profit",
 * "low" and "high", per customer; fact "best", the point of the largest profit.
 */
churn_status churn_profit_curve(const double *score,
                                const double *effect,
                                const double *cost,
                                size_t rows,
                                double confidence,
                                churn_analysis **analysis,
                                churn_error **error);

/**
 * Learns the effect of each treatment against the control. `stream` holds what was known of each
 * customer before (numbers and texts) and is released; `treatment` is 0 for the control, 1 and up
 * for the treatments; `propensity` (NULL = see the settings) holds the probability of every arm row
 * by row. `settings` is JSON (NULL = defaults). `progress` may be NULL.
 */
churn_status churn_uplift_fit(struct ArrowArrayStream *stream,
                              const uint32_t *treatment,
                              const double *outcome,
                              const double *propensity,
                              const char *settings,
                              const churn_progress *progress,
                              churn_uplift_model **model,
                              churn_error **error);

/**
 * Predicts every customer by a model that was fitted without its fold; inputs as for
 * churn_uplift_fit. Columns, for each treatment a: "effect_a", "standard_error_a" (NaN where the
 * method has none) and "score_a", a noisy, unbiased score of the effect to judge rankings by. Facts:
 * "average_effects" (value and standard error of each treatment) and "overlap".
 */
churn_status churn_uplift_out_of_fold(struct ArrowArrayStream *stream,
                                      const uint32_t *treatment,
                                      const double *outcome,
                                      const double *propensity,
                                      const char *settings,
                                      const churn_progress *progress,
                                      churn_analysis **analysis,
                                      churn_error **error);

/**
 * Reads and checks a model that churn_uplift_model_to_bytes, or any language of the library, has
 * written. Bytes of any origin are safe to read.
 */
churn_status churn_uplift_model_from_bytes(const uint8_t *bytes,
                                           size_t length,
                                           churn_uplift_model **model,
                                           churn_error **error);

/**
 * The model as bytes for a file; it holds no training rows.
 */
churn_status churn_uplift_model_to_bytes(const churn_uplift_model *model,
                                         churn_bytes **bytes,
                                         churn_error **error);

/**
 * Names of the columns of training, freed with churn_texts_free.
 */
churn_status churn_uplift_model_columns(const churn_uplift_model *model,
                                        churn_texts **columns,
                                        churn_error **error);

/**
 * Number of treatments besides the control; 0 for NULL.
 */
size_t churn_uplift_model_treatments(const churn_uplift_model *model);

/**
 * Effects on the customers of `stream`, which is released: row by row, one number per treatment.
 * `rows` is told how many rows there were; `effect` takes at most `room` numbers, and so does
 * `standard_error` (NULL = not wanted; NaN where the method has none).
 */
churn_status churn_uplift_predict(const churn_uplift_model *model,
                                  struct ArrowArrayStream *stream,
                                  double *effect,
                                  double *standard_error,
                                  size_t room,
                                  size_t *rows,
                                  churn_error **error);

/**
 * Frees a model; NULL is fine.
 */
void churn_uplift_model_free(churn_uplift_model *model);

/**
 * Learns from an event log who shows no activity within a horizon. `training` and `settings` are
 * JSON with the fields of the core's TrainingSettings and ChurnModelSettings (NULL = defaults),
 * `progress` may be NULL.
 */
churn_status churn_model_fit_log(const churn_event_log *log,
                                 const char *training,
                                 const char *settings,
                                 const churn_progress *progress,
                                 churn_model **model,
                                 churn_error **error);

/**
 * Learns from a table with one row per customer: `rows` is an Arrow C stream (moved, whatever
 * happens) of numbers, truth values and texts, nulls missing; its column `label` holds 1 for
 * customers who left and 0 for those who stayed. `settings` is JSON (NULL = defaults), `progress`
 * may be NULL.
 */
churn_status churn_model_fit(struct ArrowArrayStream *rows,
                             const char *label,
                             const char *settings,
                             const churn_progress *progress,
                             churn_model **model,
                             churn_error **error);

/**
 * Reads and checks a model that churn_model_to_bytes, or any language of the library, has
 * written. Bytes of any origin are safe to read.
 */
churn_status churn_model_from_bytes(const uint8_t *bytes,
                                    size_t length,
                                    churn_model **model,
                                    churn_error **error);

/**
 * The model as bytes for a file; it holds no training rows.
 */
churn_status churn_model_to_bytes(const churn_model *model,
                                  churn_bytes **bytes,
                                  churn_error **error);

/**
 * How the model did on rows that it had not seen: one row per learner with "learner", "weight",
 * "roc_auc", "log_loss" and "trees"; facts: "rows", "churn_rate", "roc_auc", "log_loss", "brier",
 * "calibration_error" of the whole.
 */
churn_status churn_model_report(const churn_model *model,
                                churn_analysis **report,
                                churn_error **error);

/**
 * Scores every customer of a feature table, with reasons in points.
 */
churn_status churn_model_score(const churn_model *model,
                               const churn_feature_table *table,
                               churn_scores **scores,
                               churn_error **error);

/**
 * Churn probabilities of the rows of an Arrow C stream (moved, whatever happens), whose columns
 * are found by name: an analysis with the column "churn_probability".
 */
churn_status churn_model_predict(const churn_model *model,
                                 struct ArrowArrayStream *rows,
                                 churn_analysis **analysis,
                                 churn_error **error);

/**
 * Churn probabilities and what each column contributed: "churn_probability" and "points_COLUMN"
 * for every column of training; fact "base_points". 20 points double the odds.
 */
churn_status churn_model_explain(const churn_model *model,
                                 struct ArrowArrayStream *rows,
                                 churn_analysis **analysis,
                                 churn_error **error);

/**
 * How far columns, and the model's probabilities (the last row), have moved since training:
 * "column", "psi", "kolmogorov_smirnov" (NaN for texts), "missing_before", "missing_now",
 * "new_levels".
 */
churn_status churn_model_drift(const churn_model *model,
                               struct ArrowArrayStream *rows,
                               churn_analysis **analysis,
                               churn_error **error);

/**
 * Frees a model; scorers made from it stay valid. NULL is fine.
 */
void churn_model_free(churn_model *model);

/**
 * A scorer of rows whose values stand in the order of `columns`, which may hold more columns than
 * the model reads.
 */
churn_status churn_scorer_new(const churn_model *model,
                              const char *const *columns,
                              size_t column_count,
                              churn_scorer **scorer,
                              churn_error **error);

/**
 * The number that stands for a level of a text column in a row; NaN, which is missing, for a level
 * that training has not seen.
 */
churn_status churn_scorer_level(const churn_scorer *scorer,
                                const char *column,
                                const char *level,
                                double *number,
                                churn_error **error);

/**
 * The churn probability of one row: `row` holds one number per column of the scorer, NaN where
 * missing, levels as churn_scorer_level says.
 */
churn_status churn_scorer_predict(churn_scorer *scorer,
                                  const double *row,
                                  size_t length,
                                  double *probability,
                                  churn_error **error);

/**
 * Frees a scorer; NULL is fine.
 */
void churn_scorer_free(churn_scorer *scorer);

/**
 * Runs the whole flow as churn_win_back_run does, with the probabilities of a model in place of the
 * scorecard.
 */
churn_status churn_win_back_run_with_model(const churn_event_log *log,
                                           const char *as_of,
                                           const churn_model *model,
                                           const char *settings,
                                           const churn_progress *progress,
                                           churn_win_back **result,
                                           churn_error **error);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* CHURN_H */
