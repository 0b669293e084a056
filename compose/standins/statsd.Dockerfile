# Replaces prom/statsd-exporter on a machine that reaches no image registry: same ports, pages and user, and the same
# names of metrics and labels. It is a small program of ours. So a test with it proves that Airflow's metrics arrive,
# but proves nothing about the real exporter.
ARG DEBIAN_IMAGE
FROM ${DEBIAN_IMAGE}
RUN apt-get update -qq \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3 wget > /dev/null \
 && rm -rf /var/lib/apt/lists/*
COPY statsd.py /usr/local/bin/statsd.py
USER 65534
ENTRYPOINT ["python3", "/usr/local/bin/statsd.py"]
