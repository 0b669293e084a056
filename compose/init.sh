#!/bin/bash
# One-shot before Airflow starts: tables, connections, the first user, permissions, and the pool that keeps calls within
# the API's quota. Safe to run again: it keeps what people have changed, except that the pool gets its size.
set -euo pipefail
here=$(dirname "$0")
# First, because it says at once what is missing in .env.
wanted=$(python "$here/connections.py")
airflow db migrate
printf '%s' "$wanted" | python "$here/seeding.py"
python "$here/admin.py"
# With this permission the dataset's tab is shown; see docs/security.md.
airflow roles add-perms Viewer User --action can_read --resource Plugins
airflow pools set learnosity_api "${LEARNOSITY_API_SLOTS:-8}" "Tasks that start Learnosity datasets; see docs/operations.md"
