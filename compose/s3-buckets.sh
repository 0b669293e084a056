#!/bin/sh
# Runs once, in the network of the object store's container: makes the two buckets. A bucket that exists is left as it
# is.
set -eu
shell() { echo "$1" | "${WEED:-/usr/bin/weed}" shell -master=127.0.0.1:9333 -filer=127.0.0.1:8888 2>&1; }
# In the list of buckets, the first word of each line is the bucket's name; some releases of the store print their
# prompt `> ` before it. The list is needed, because the exit code of the store's shell is always 0.
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
