#!/bin/bash
# One-shot before Airflow starts: tables, connections, the first user, permissions, and the pool that keeps calls within
# the API's quota. Safe to run again: it keeps what people have changed, except that the pool gets its size.
set -euo pipefail
here=$(dirname "$0")
# First, because it says at once what is missing in .env.
wanted=$(python "$here/connections.py")
airflow db migrate
printf '%s' "$wanted" | python "$here/seeding.py"
fab=0
python "$here/admin.py" || fab=$?
case $fab in
  # With this permission the dataset's tab is shown; see docs/security.md.
  0) airflow roles add-perms Viewer User --action can_read --resource Plugins ;;
  3) ;; # the auth manager is not FAB's: it has users and roles of its own
  *) exit "$fab" ;;
esac
airflow pools set learnosity_api "${LEARNOSITY_API_SLOTS:-8}" "Tasks that start Learnosity datasets; see docs/operations.md"
