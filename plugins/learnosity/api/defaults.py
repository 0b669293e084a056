"""Defaults of the Learnosity connection's fields. Every Airflow process reads this module, so it imports nothing."""

DEFAULT_BASE_URL = "https://data.learnosity.com"
DEFAULT_REPORTS_URL = "https://reports.learnosity.com"
DEFAULT_VERSION = "v2026.2.LTS"
DEFAULT_DOMAIN = "localhost"
DEFAULT_TIMEOUT = 60.0  # time limit for one whole call, in seconds; a working API needs much less
CALL_ATTEMPTS = 6  # attempts of one call; without `Retry-After`, the waits between them take 15 to 31 s together
MAX_JOB_MINUTES = 1_000_000_000  # largest `job_timeout`, so that Python can compute the date at which the wait ends

# Regions as they stand in host names, such as `ie` in data-ie.learnosity.com (docs/learnosity-api.md, "Versions and
# regions").
REGIONS = ("va", "ie", "au", "ca", "or")
REGION_NAMES = "'va' (Virginia), 'ie' (Europe), 'au' (Sydney), 'ca' (California), 'or' (Oregon)"
