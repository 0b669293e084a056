"""Defaults of the Learnosity connection's fields. Every Airflow process reads this module, so it imports nothing."""

DEFAULT_BASE_URL = "https://data.learnosity.com"
DEFAULT_REPORTS_URL = "https://reports.learnosity.com"
DEFAULT_VERSION = "v2026.2.LTS"
DEFAULT_DOMAIN = "localhost"
# Time limit for one attempt of a call, in seconds, from opening the connection to the end of the reply. Waits between
# attempts are not included. A working API needs much less.
DEFAULT_TIMEOUT = 60.0
# Maximum number of attempts of one call. The five waits between six attempts take 15 to 31 s in all. They are longer
# after a rate limit, or if replies have the header `Retry-After`.
CALL_ATTEMPTS = 6
# Largest `job_timeout`, in minutes. With a much larger one, the wait would end after the year 9999, and Python cannot
# compute such a date.
MAX_JOB_MINUTES = 1_000_000_000

# Allowed values of the extra `region`. Each is a part of a host name: for `ie`, the host is data-ie.learnosity.com
# (docs/learnosity-api.md, "Versions and regions").
REGIONS = ("va", "ie", "au", "ca", "or")
REGION_NAMES = "'va' (Virginia), 'ie' (Europe), 'au' (Sydney), 'ca' (California), 'or' (Oregon)"
