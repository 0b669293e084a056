"""The dataset pages in Airflow's UI: read-only and behind Airflow's login. Only the report loads from another site."""
