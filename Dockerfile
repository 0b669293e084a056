# Three images of one project: `airflow` is what is deployed, `demo` adds the simulator, `s3` is the object store of
# docker-compose.yaml. Every base can be replaced, by a mirror's name or another version.

ARG AIRFLOW_IMAGE=apache/airflow:3.3.2-python3.13
ARG SEAWEEDFS_IMAGE=chrislusf/seaweedfs:4.48

FROM ${AIRFLOW_IMAGE} AS airflow
# The index that pip asks instead of the public one: --build-arg PIP_INDEX_URL=... A login in it stays in the image's history.
ARG PIP_INDEX_URL
COPY --chown=airflow:0 locks/image.txt /opt/airflow/install/lock.txt
RUN pip install --no-cache-dir --quiet --disable-pip-version-check \
      --no-deps --require-hashes --only-binary :all: --requirement /opt/airflow/install/lock.txt
# A volume takes its owner from the folder that it covers.
RUN mkdir -p /opt/airflow/spool /opt/airflow/config
# Where Airflow looks for them, and where the Helm chart puts its own over them.
COPY --chown=airflow:0 compose/airflow_local_settings.py /opt/airflow/config/
COPY --chown=airflow:0 compose/airflow.cfg /opt/airflow/airflow.cfg
COPY --chown=airflow:0 compose/init.sh compose/connections.py compose/admin.py compose/heartbeat.py \
     compose/rotate_fernet.py devstack/seeding.py \
     /opt/airflow/compose/
COPY --chown=airflow:0 plugins /opt/airflow/plugins
COPY --chown=airflow:0 dags /opt/airflow/dags
ENV PYTHONPATH=/opt/airflow/plugins \
    TMPDIR=/opt/airflow/spool
# The package is found as a provider (connection form, test button) where its metadata is installed.
COPY --chown=airflow:0 pyproject.toml README.md /opt/airflow/install/
RUN ln -s /opt/airflow/plugins /opt/airflow/install/plugins \
 && pip install --no-cache-dir --quiet --disable-pip-version-check --no-deps --no-build-isolation \
      --editable /opt/airflow/install \
 && python -m compileall -q /opt/airflow/plugins  # else each task process compiles what it imports

FROM airflow AS demo
COPY --chown=airflow:0 compose/seed.py compose/simulator.json /opt/airflow/demo/
COPY --chown=airflow:0 simulator /opt/airflow/demo/simulator
WORKDIR /opt/airflow/demo
ENV PYTHONPATH=/opt/airflow/demo:/opt/airflow/plugins
ENTRYPOINT ["python"]

FROM ${SEAWEEDFS_IMAGE} AS s3
USER root
RUN mkdir -p /srv/s3 && chown 1000:1000 /srv/s3
COPY compose/s3.sh compose/s3-buckets.sh /usr/local/bin/
USER 1000:1000
ENTRYPOINT ["/bin/sh", "/usr/local/bin/s3.sh"]
