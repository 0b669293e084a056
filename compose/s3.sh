#!/bin/sh
# The object store: one process. Other containers reach only S3; everything else listens on the loopback of this
# container. At each start, three identities are made from the environment, so a key is changed there:
#   admin    makes buckets, for people; no service has it (s3-buckets uses the server's own loopback)
#   landing  reads and writes the bucket of the datasets
#   airflow  reads and writes the bucket of Airflow's logs and larger XComs
# A key may contain every printable character.
set -eu
umask 077
identities=${TMPDIR:-/tmp}/identities.json

json() {  # prints a text of printable characters as JSON
  printf '"%s"' "$(printf '%s' "$1" | sed 's/[\\"]/\\&/g')"
}
identity() {  # identity NAME ACCESS_KEY SECRET_KEY ACTIONS
  if [ -z "$2" ] || [ -z "$3" ]; then
    echo "The keys of $1 are empty. make compose-env writes them; without the profile s3, no key is needed here." >&2
    exit 1
  fi
  printf '{"name":"%s","credentials":[{"accessKey":%s,"secretKey":%s}],"actions":[%s]}' \
    "$1" "$(json "$2")" "$(json "$3")" "$4"
}
one_bucket() { printf '"Read:%s","Write:%s","List:%s","Tagging:%s"' "$1" "$1" "$1" "$1"; }

{
  printf '{"identities":['
  identity admin "$S3_ADMIN_ACCESS_KEY" "$S3_ADMIN_SECRET_KEY" '"Admin","Read","Write","List","Tagging"'
  printf ,
  identity landing "$S3_LANDING_ACCESS_KEY" "$S3_LANDING_SECRET_KEY" "$(one_bucket "$S3_LANDING_BUCKET")"
  printf ,
  identity airflow "$S3_AIRFLOW_ACCESS_KEY" "$S3_AIRFLOW_SECRET_KEY" "$(one_bucket "$S3_AIRFLOW_BUCKET")"
  printf ']}'
} > "$identities"
unset S3_ADMIN_ACCESS_KEY S3_ADMIN_SECRET_KEY S3_LANDING_ACCESS_KEY S3_LANDING_SECRET_KEY
unset S3_AIRFLOW_ACCESS_KEY S3_AIRFLOW_SECRET_KEY

# Without -ip, each part of the store would register under the container's address. A new container has another address,
# so it would not find the data.
exec "${WEED:-/usr/bin/weed}" -logtostderr=true server -dir=/srv/s3 -ip=127.0.0.1 -ip.bind=127.0.0.1 -s3.ip.bind=0.0.0.0 \
  -filer=true -s3=true -s3.port=8333 -s3.config="$identities" -s3.iam=false -s3.autoCreateBucket=false \
  -s3.port.iceberg=0 -s3.port.lance=0 -master.telemetry=false -master.volumeSizeLimitMB=1024 -volume.max=0 \
  -volume.preStopSeconds=0
