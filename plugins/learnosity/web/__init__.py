"""The dataset pages inside Airflow's UI: read-only, behind Airflow's own login, with nothing fetched from elsewhere."""
