#!/bin/sh
# One-shot beside the object store, in its network: makes the two buckets; those that exist are left as they are.
set -eu
shell() { echo "$1" | "${WEED:-/usr/bin/weed}" shell -master=127.0.0.1:9333 -filer=127.0.0.1:8888 2>&1; }
# Of each line of the list, the first word is the name. Some releases of the store put the prompt of their shell before
# it. The shell ends with 0 whatever it says.
there() { shell s3.bucket.list | sed 's/^\(> *\)*//' | while read -r name _; do echo "$name"; done | grep -qxF -- "$1"; }
for bucket in "$S3_LANDING_BUCKET" "$S3_AIRFLOW_BUCKET"; do
  if there "$bucket"; then
    echo "bucket $bucket is there"
    continue
  fi
  shell "s3.bucket.create -name $bucket"
  if ! there "$bucket"; then
    echo "The bucket $bucket could not be made; the store says why above." >&2
    exit 1
  fi
  echo "bucket $bucket is made"
done
