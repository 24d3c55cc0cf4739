/* Leaks a handle on purpose: the test expects the leak to be found. */
#include "testsupport.h"

int main(void) {
    churn_error *error = NULL;
    churn_columns *columns = NULL;
    OK(churn_columns_new(&columns, &error));
    columns = NULL;
    return columns != NULL;
}
