#!/bin/sh
# As the official image: `bash` and `python` run as they are, everything else is a command of airflow.
case "$1" in
  bash | sh | python | airflow) exec "$@" ;;
  *) exec airflow "$@" ;;
esac
