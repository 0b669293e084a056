"""What README, docs and docstrings once claimed and was not so: what settles each claim now.

A text with `::` is a test, below `tests/`; another one is a page and a sentence that stands in it, after `: `.
`python tests/unit/audited.py` prints all of it as one table.
"""

from __future__ import annotations

from typing import Final

OPS, SEC, REL, UI = "docs/operations.md", "docs/security.md", "docs/reliability.md", "docs/interface.md"
PERF, COMPOSE = "docs/performance.md", "unit/test_compose.py"
INIT, OPERATORS = "integration/test_compose_init.py", "component/test_operators.py"

CLAIMS: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "A1": (
        "An S3 of your own by setting its keys",
        (
            f"{COMPOSE}::test_the_store_takes_a_key_of_any_printable_characters",
            f"{COMPOSE}::test_nothing_waits_for_the_store_of_this_stack_where_it_is_not_wanted",
            f"{COMPOSE}::test_without_keys_the_machines_own_identity_is_used_and_without_an_address_aws",
        ),
    ),
    "A2": (
        "The chart's config is read",
        ("unit/test_deploy.py::test_the_image_leaves_the_places_of_the_charts_configuration_alone",),
    ),
    "A3": (
        "The chart leaves the cluster policy alone",
        ("unit/test_deploy.py::test_the_image_leaves_the_places_of_the_charts_configuration_alone",),
    ),
    "A4": (
        "Give workers a role",
        (
            "unit/test_deploy.py::test_workers_api_server_and_triggerer_have_a_role",
            f"{OPS}: belongs to workers **and** API server",
        ),
    ),
    "A5": (
        "Set AIRFLOW__API__BASE_URL, OTEL variables",
        (
            f"{COMPOSE}::test_every_setting_of_airflow_can_be_set_under_its_own_name",
            "browser/test_proxy.py::test_behind_the_proxy_the_page_and_the_report_open_and_the_session_is_for_tls_alone",
        ),
    ),
    "A6": (
        "The rest can be made again",
        (
            f"{OPS}: `AIRFLOW_FERNET_KEY`: without it no connection",
            "integration/test_upgrade.py::test_a_backup_comes_back_in_empty_volumes_and_an_open_wait_goes_on",
        ),
    ),
    "A7": (
        "A weekly db clean",
        (
            f"{OPS}: Without `--skip-archive` the rows only move",
            "unit/test_docs.py::test_every_airflow_command_is_one_that_airflow_takes",
        ),
    ),
    "A8": (
        "docker compose up right after make compose-env",
        (f"{COMPOSE}::test_one_message_names_all_that_is_missing", "README.md: put your key set into `.env`, then"),
    ),
    "A9": (
        "Running tasks keep the old secret",
        (
            f"{OPS}: workers get two minutes to end what they have",
            "unit/test_sentences.py::test_workers_get_two_minutes_to_end_what_they_have",
            "integration/test_upgrade.py::test_an_upgrade_from_the_commit_before_keeps_a_wait_and_a_landing",
        ),
    ),
    "A10": (
        "Upgrade by requirements.txt",
        (
            f"{OPS}: Change Airflow in five places at once",
            "unit/test_sentences.py::test_airflow_has_one_version_in_all_the_places_in_which_it_is_changed",
        ),
    ),
    "B11": (
        "Plain http is refused",
        (
            f"{SEC}: A store is called as its",
            "unit/api/test_config.py::test_a_connection_that_cannot_be_used_is_refused_by_name_with_what_to_do",
            "component/test_connections.py::test_s3_takes_endpoint_region_and_addressing_from_the_connection",
        ),
    ),
    "B12": (
        "The list of egress",
        (
            f"{SEC}: | browsers | Airflow, and `reports.learnosity.com`",
            "unit/test_egress_page.py::test_every_host_that_is_called_without_being_named_by_a_connection_is_listed",
        ),
    ),
    "B13": (
        "A secret that Airflow encrypts",
        (
            f"{SEC}: readable in each container where it is an environment variable",
            f"{COMPOSE}::test_connections_are_in_the_database_where_the_ui_shows_them",
            f"{COMPOSE}::test_of_all_settings_in_env_no_secret_reaches_a_container_that_does_not_need_it",
            f"{INIT}::test_it_makes_everything_once_and_shows_no_secret",
        ),
    ),
    "B14": (
        "Addresses in any spelling",
        (
            "unit/api/test_url_policy.py::test_metadata_and_link_local_addresses_are_never_followed_however_they_are_spelt",
            f"{SEC}: A host in a private network, such as S3 behind a VPC endpoint, has to",
        ),
    ),
    "B15": (
        "Signed for one view",
        (
            f"{UI}: A signature holds for 15 minutes, for anybody who has it",
            "unit/api/test_report_definition.py::test_a_signature_runs_out_after_fifteen_minutes",
        ),
    ),
    "B16": (
        "Which rights a page needs",
        (
            f"{SEC}: the right to read the DAG, its runs and its XComs",
            f"{UI}: lets read the DAG, its runs and their XComs",
            "unit/web/test_app.py::test_every_route_needs_the_right_to_the_dag_its_runs_and_its_xcoms",
        ),
    ),
    "B17": (
        "A password in no command line",
        (
            f"{COMPOSE}::test_no_password_is_in_the_command_line_of_a_health_check",
            f"{INIT}::test_it_makes_everything_once_and_shows_no_secret",
        ),
    ),
    "B18": (
        "Every package is pinned",
        (
            f"{SEC}: What the base images bring is theirs",
            "supply/test_locks.py::test_each_way_of_installing_asks_for_hashes",
            "supply/test_locks.py::test_every_package_of_every_lock_has_hashes",
            "unit/test_digests.py::test_every_image_that_is_not_built_here_is_pinned_in_env_and_nothing_else_changes",
        ),
    ),
    "C19": (
        "A wait ends only with the job",
        (
            "README.md: when the key was refused for 35 minutes",
            f"{REL}: a refusal ends the task at once",
            "component/test_sensors.py::test_and_fails_at_once_when_the_key_is_wrong",
        ),
    ),
    "C20": (
        "The deadline does not move",
        (
            f"{REL}: only a new try or a clear of the task sets a new deadline",
            "component/test_sensors.py::test_and_each_try_has_a_deadline_of_its_own",
        ),
    ),
    "C21": (
        "No job is started twice, no file fetched again",
        (
            "README.md: what landed in the seconds since the last note is fetched again",
            f"{REL}: A run can cause two jobs, for two datasets, only in case 3",
            "component/landing/test_land_killed.py::test_what_has_landed_and_was_noted_is_not_fetched_again",
            "component/creation/test_create.py::test_killed_twice_at_any_two_moments_it_still_ends_with_one_job_a_dataset",
        ),
    ),
    "C22": (
        "What is wrong fails in the first task",
        (
            "component/storage/test_write_check.py::test_it_is_cheap_and_tries_all_that_landing_does",
            "component/storage/test_write_check.py::test_the_right_that_is_missing_is_named",
            "README.md: that match no file are found later",
        ),
    ),
    "C23": (
        "Whole datasets only, at any moment",
        (
            f"{REL}: While a dataset is landed again",
            "component/landing/test_publish.py::test_while_a_dataset_is_landed_again_no_latest_names_it",
        ),
    ),
    "C24": (
        "Bounded memory",
        (
            f"{PERF}: A listing lies on the local disk",
            f"{PERF}: comes in a single page takes memory for that page",
            "README.md: in bounded memory ([how]",
            "unit/landing/test_listed_files.py::test_its_memory_does_not_grow_with_its_files",
            "component/landing/test_land.py::test_memory_in_flight_waits_for_room",
        ),
    ),
    "C25": (
        "10,000 GETs for 10 million files",
        (
            f"{OPS}: in pages of 1,000 are 10,000 GETs. The shards get the URLs from `list_files`",
            "component/landing/test_stored_urls.py::test_shards_do_not_request_the_pages_of_a_listing_again",
        ),
    ),
    "C26": (
        "Bytes as served",
        (
            "README.md: the API's reply itself is written as JSON",
            "unit/results/test_declared.py::test_a_declared_part_is_written_anew_so_numbers_may_look_different",
        ),
    ),
    "C27": (
        "celery-test proves the same",
        (
            "README.md: `make celery-test` proves the part with",
            f"{OPS}: Images, limits, networks and health checks are not in it",
            "integration/test_celery.py::test_a_worker_that_dies_in_the_middle_of_landing_costs_no_file_and_no_second_job",
            "browser/test_stranger.py::test_a_dataset_lands_in_the_own_store_and_its_page_and_report_open",
        ),
    ),
    "C28": (
        "Everything here has been run",
        (
            "README.md: The official images, the Helm values and managed Airflows have not been run",
            "unit/test_sentences.py::test_what_was_never_run_is_said_wherever_it_is_described",
        ),
    ),
    "C29": (
        "Tasks wait for the API server",
        (
            f"{OPS}: tasks that need it while it is away fail and are tried again",
            "unit/test_retry_policy.py::test_a_failure_of_airflow_itself_is_tried_again",
        ),
    ),
    "C30": (
        "The consumer runs after each publication",
        (
            f"{UI}: is paused until somebody lets it run",
            f"{UI}: A JSON file above 32 MiB fails it at once",
            "unit/test_dag.py::test_the_sample_of_a_consumer_is_marked_and_runs_only_when_somebody_lets_it",
            "unit/dataset/test_parquet.py::test_a_json_file_above_32_mib_fails_at_once",
        ),
    ),
    "C31": (
        "The tab is on runs with these operators",
        (
            f"{UI}: Airflow shows the tab of a plugin on the runs of all DAGs",
            "unit/test_sentences.py::test_the_tab_is_on_the_runs_of_all_dags",
        ),
    ),
    "C32": (
        "A box plot for each group",
        (
            f"{UI}: with a box plot each where `options.fields` asked for",
            "README.md: Box plots need the percentiles",
            "unit/api/test_report_definition.py::test_columns_are_the_fields_that_were_asked_for_and_a_box_plot_of_the_quartiles",
        ),
    ),
    "C33": (
        "Params as in the form, texts as templates",
        (
            f"{UI}: Numbers and booleans are written as they are",
            "unit/schedules/test_files.py::test_the_published_schema_is_the_one_that_is_checked",
        ),
    ),
    "C34": (
        "The last line of the log is the advice",
        (
            f"{OPS}: Airflow writes more lines after it",
            "integration/test_bad_run_config.py::test_a_bad_run_config_fails_at_once_and_says_what_to_do",
        ),
    ),
    "C35": (
        "Starting over",
        (
            "README.md: tab *Task State Store*",
            f"{REL}: `dataset_id` cannot start over",
            "component/creation/test_create.py::test_a_dataset_id_that_is_taken_says_what_to_do",
        ),
    ),
    "C36": (
        "Sizes of requests, notes, XComs",
        (f"{OPS}: about 90 bytes per shard", "unit/test_audited.py::test_the_largest_xcom_has_the_size_that_is_said"),
    ),
    "C37": (
        "Backfills land nothing again",
        (
            f"{OPS}: Each run of a backfill makes a new dataset",
            "component/test_operators.py::test_makes_a_dataset_of_its_own_for_each_run_that_names_none",
            # No schedule can name one dataset for all its runs.
            "unit/schedules/test_files.py::test_a_problem_is_named_by_file_line_and_key",
            "integration/test_docs_commands.py::test_a_backfill_makes_a_run_for_each_night_of_a_year",
        ),
    ),
    "C38": (
        "Numbers of attempts and processes",
        (f"{OPS}: six attempts in all", "unit/test_audited.py::test_attempts_and_processes_are_those_of_the_code"),
    ),
    "C39": (
        "Ranges of params",
        (
            "component/test_sensors.py::test_and_refuses_numbers_that_are_none",
            "plugins/learnosity/sensors.py: more than 60 counts as 60",
        ),
    ),
    "C40": (
        "Templated numbers and flags",
        (
            "unit/test_run_config.py::test_a_flag_that_is_neither_true_nor_false_is_refused",
            "component/landing/test_plan.py::test_a_number_as_templates_and_json_write_it_is_taken",
        ),
    ),
    "C41": (
        "Tables that a command repeats",
        (
            f"{PERF}: which no command of today repeats",
            "unit/test_docs.py::test_a_result_carries_its_date_and_its_command",
        ),
    ),
    "C42": (
        "make clean, versions of Python, who has the store's key",
        (
            "Makefile: build dist logs *.egg-info benchmarks/latest.json",
            "README.md: with Python 3.11 to 3.14",
            "compose/s3.sh: makes buckets, for people; no service has it",
            "unit/test_sentences.py::test_make_clean_removes_what_is_generated_and_leaves_what_is_not",
            "unit/test_sentences.py::test_the_versions_of_python_that_are_said_are_those_that_make_venv_takes",
            "unit/test_sentences.py::test_no_service_but_the_store_has_the_key_that_makes_buckets",
        ),
    ),
    "D1": (
        "DAGs start paused",
        (
            "README.md: All DAGs start paused",
            f"{OPS}: All DAGs start paused",
            "unit/test_sentences.py::test_all_dags_start_paused",
        ),
    ),
    "D2": (
        "What each type needs",
        ("unit/test_run_config.py::test_the_readme_and_the_form_say_what_each_dataset_type_needs",),
    ),
    "D3": (
        "A corrected input is seen",
        (
            "component/inputs/test_find.py::test_input_keeps_its_identity_until_a_name_a_size_or_the_content_changes",
            "component/creation/test_create.py::test_other_input_makes_a_fresh_dataset",
            "docs/reliability.md: | input files | their names, sizes and entity tags; of local files",
        ),
    ),
    "D4": (
        "A wrong host",
        (
            "unit/api/test_host_exists.py::test_a_host_that_no_name_server_knows_is_named_with_its_connection",
            "README.md: **Wrong run config, input, host, secret or bucket**: the first task fails at once",
        ),
    ),
    "D5": (
        "Versions of Airflow",
        (
            "README.md: It needs Airflow 3.3.2 or a later 3.3; `requirements.txt` pins the whole of Airflow",
            "unit/test_sentences.py::test_the_package_takes_the_versions_of_airflow_that_are_said",
        ),
    ),
    "D6": (
        "Two copies of the package",
        (
            "README.md: Python finds the installed package first: upgrade both",
            "unit/test_sentences.py::test_python_finds_the_installed_package_before_the_plugins_folder",
        ),
    ),
    "D7": (
        "Limits of the input",
        (
            f"{OPS}: At most 4 GiB unpacked, lines of 1 MiB",
            "unit/test_audited.py::test_the_limits_of_the_input_are_those_of_the_code",
        ),
    ),
    "D8": (
        "Who deletes datasets",
        (
            f"{OPS}: The datasets themselves stay, whatever is cleaned in Airflow",
            "unit/test_sentences.py::test_nothing_but_landing_and_the_dag_for_it_removes_objects",
            "unit/retention/test_rules.py::test_without_a_file_the_dag_has_no_schedule_and_a_dry_run_as_default",
        ),
    ),
    "D9": (
        "What the API server needs",
        (
            "README.md: The API server needs the package as well, the connections, and read access",
            "unit/test_sentences.py::test_the_api_server_has_all_that_pages_need",
            "unit/test_deploy.py::test_workers_api_server_and_triggerer_have_a_role",
            "integration/test_wheel.py::test_a_dataset_lands_and_its_page_opens_for_who_is_logged_in",
        ),
    ),
    "D10": (
        "Names that collide; settings of .env",
        (
            f"{UI}: the second becomes a DAG that says so",
            f"{COMPOSE}::test_the_admins_password_of_env_counts_when_it_changes_and_only_then",
            f"{COMPOSE}::test_each_field_of_the_connection_has_a_setting",
        ),
    ),
}


def as_markdown() -> str:
    """All of it as one table: the claim, the tests, and where the sentence stands that replaces it."""
    rows = ["| item | claim | tests | sentences |", "| --- | --- | --- | --- |"]
    for name, (claim, settled) in CLAIMS.items():
        tests = ", ".join(f"`{each}`" for each in settled if "::" in each)
        sentences = "; ".join("{}: {}".format(*each.split(": ", 1)) for each in settled if "::" not in each)
        rows.append(f"| {name} | {claim} | {tests} | {sentences} |".replace("\n", " "))
    return "\n".join(rows)


if __name__ == "__main__":
    print(as_markdown())  # noqa: T201
