#!/bin/sh
# Does what the official image does: runs these four programs as they are, and anything else as a command of airflow.
case "$1" in
  bash | sh | python | airflow) exec "$@" ;;
  *) exec airflow "$@" ;;
esac
