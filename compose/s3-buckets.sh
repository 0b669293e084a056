#!/bin/sh
# One-shot beside the object store, in its network: makes the two buckets; those that exist are left as they are.
set -eu
shell() { echo "$1" | /usr/bin/weed shell -master=127.0.0.1:9333 -filer=127.0.0.1:8888 2>&1; }
for bucket in "$S3_LANDING_BUCKET" "$S3_AIRFLOW_BUCKET"; do
  case "$(shell s3.bucket.list)" in
    *"$bucket"*) echo "bucket $bucket is there" ;;
    *) shell "s3.bucket.create -name $bucket" && echo "bucket $bucket is made" ;;
  esac
done
