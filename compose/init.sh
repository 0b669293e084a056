#!/bin/bash
# One-shot before Airflow starts: tables, connections, the first user, permissions, and the pool that keeps calls within
# the API's quota. Safe to run again: it keeps what people have changed, except that the pool gets its size.
set -euo pipefail
here=$(dirname "$0")
airflow db migrate
python "$here/connections.py" | python "$here/seeding.py"
# Without a terminal, Airflow reads the password and its confirmation from the pipe. An argument would be in the list
# of processes.
printf '%s\n%s\n' "$AIRFLOW_ADMIN_PASSWORD" "$AIRFLOW_ADMIN_PASSWORD" |
  setsid --wait airflow users create --username "$AIRFLOW_ADMIN_USER" --role Admin \
    --firstname Airflow --lastname Admin --email "$AIRFLOW_ADMIN_USER@localhost.localdomain"
# With this permission the dataset's tab is shown; see docs/security.md.
airflow roles add-perms Viewer User --action can_read --resource Plugins
airflow pools set learnosity_api "${LEARNOSITY_API_SLOTS:-8}" "Tasks that start Learnosity datasets; see docs/operations.md"
