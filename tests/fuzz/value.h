/* Any value that a driver can bind, out of an input. */
#ifndef VALUE_H
#define VALUE_H

#include "practice.h"

/* Binds the next value of the input to a parameter: of any type, right or odd. */
void value_bind(sqlite3_stmt *statement, int parameter, struct input *input);

#endif
