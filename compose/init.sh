#!/bin/bash
# Runs once before Airflow starts. It makes the tables, the connections, the first user, the permissions, and the pool
# that keeps calls within the API's quota. It can run again: it keeps what people have changed, except the size of the
# pool.
set -euo pipefail
here=$(dirname "$0")
# This comes first, because it checks the settings: what is missing in .env is said before anything is made.
wanted=$(python "$here/connections.py")
airflow db migrate
printf '%s' "$wanted" | python "$here/seeding.py"
fab=0
python "$here/admin.py" || fab=$?
case $fab in
  # Viewers and users need this permission to see the tab of a dataset (docs/security.md).
  0) airflow roles add-perms Viewer User --action can_read --resource Plugins ;;
  3) ;;  # the auth manager is not FAB's, and has users and roles of its own
  *) exit "$fab" ;;
esac
airflow pools set learnosity_api "${LEARNOSITY_API_SLOTS:-8}" "Tasks that start Learnosity datasets; see docs/operations.md"
