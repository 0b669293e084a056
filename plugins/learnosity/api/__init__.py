"""The Data API and the Reports API: calls, replies, jobs, signatures. Imports no Airflow."""
