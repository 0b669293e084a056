#!/bin/sh
# One-shot before Airflow starts: tables, the first user, and the pool that keeps calls within the API's quota.
# Safe to run again: it changes nothing that is there, except that the pool gets its size.
set -eu
airflow db migrate
airflow users create --username "$AIRFLOW_ADMIN_USER" --password "$AIRFLOW_ADMIN_PASSWORD" --role Admin \
  --firstname Airflow --lastname Admin --email "$AIRFLOW_ADMIN_USER@localhost.localdomain"
airflow pools set learnosity_api "${LEARNOSITY_API_SLOTS:-8}" "Tasks that start Learnosity datasets; see docs/operations.md"
