# Replaces apache/airflow on a machine that reaches no image registry: same user, folders, entry point and tools.
ARG DEBIAN_IMAGE
FROM ${DEBIAN_IMAGE}
RUN apt-get update -qq \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
      ca-certificates curl dumb-init python3 python3-venv > /dev/null \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 50000 --gid 0 --create-home airflow \
 && install -d -o airflow -g root -m 0775 /opt/airflow
COPY airflow-entrypoint.sh /entrypoint
# The certificate authorities that this machine trusts. Nothing else of the machine gets into an image.
COPY ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
ENV AIRFLOW_HOME=/opt/airflow PATH=/home/airflow/.local/bin:$PATH \
    PIP_CERT=/etc/ssl/certs/ca-certificates.crt SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
USER airflow
WORKDIR /opt/airflow
ARG AIRFLOW_VERSION
RUN python3 -m venv /home/airflow/.local \
 && pip install --quiet --no-cache-dir uv \
 && uv pip install --quiet --no-cache --python /home/airflow/.local/bin/python "apache-airflow==${AIRFLOW_VERSION}"
ENTRYPOINT ["/usr/bin/dumb-init", "--", "/entrypoint"]
