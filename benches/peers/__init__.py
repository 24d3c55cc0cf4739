"""The same tables from churn, polars, DuckDB, pandas and lifetimes, each in its own best way."""
