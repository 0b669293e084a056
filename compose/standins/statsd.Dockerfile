# Stands in for prom/statsd-exporter where no registry can be reached: same ports, pages and user, and the same names of
# metrics and labels. It is a small program of ours: that Airflow's metrics arrive is proved with it, the exporter is not.
ARG DEBIAN_IMAGE
FROM ${DEBIAN_IMAGE}
RUN apt-get update -qq \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3 wget > /dev/null \
 && rm -rf /var/lib/apt/lists/*
COPY statsd.py /usr/local/bin/statsd.py
USER 65534
ENTRYPOINT ["python3", "/usr/local/bin/statsd.py"]
