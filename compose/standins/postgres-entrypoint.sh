#!/bin/sh
# Does what the official image does: the first start makes the data folder, the user and the database. Connections over
# the network need a password. Connections inside the container need none, as the backup in docs/operations.md expects.
set -eu
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  umask 077
  printf '%s' "$POSTGRES_PASSWORD" > /tmp/pwfile
  initdb --pgdata="$PGDATA" --username="$POSTGRES_USER" --pwfile=/tmp/pwfile --encoding=UTF8
  rm /tmp/pwfile
  echo "host all all all scram-sha-256" >> "$PGDATA/pg_hba.conf"
  pg_ctl --pgdata="$PGDATA" --options="-c listen_addresses=''" --wait start
  PGPASSWORD="$POSTGRES_PASSWORD" createdb --username="$POSTGRES_USER" "$POSTGRES_DB" || [ "$POSTGRES_DB" = "postgres" ]
  pg_ctl --pgdata="$PGDATA" --mode=fast --wait stop
fi
exec "$@" -c "listen_addresses=*"
