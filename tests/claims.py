"""What docs/security.md claims, word for word, and the test that would fail if it were not so."""

from __future__ import annotations

from typing import Final

CLAIMS: Final = {
    "only known words, documented names and counts are shown": (
        "unit/api/test_wording.py::test_no_value_of_any_field_comes_back"
    ),
    "TLS certificates are verified": (
        "component/api/test_downloads.py::test_a_certificate_that_is_not_trusted_is_not_talked_to"
    ),
    "Nothing from `~/.netrc` is ever sent": "component/api/test_netrc.py::test_no_call_carries_the_password_of_netrc",
    "Redirects are never followed": "contract/test_client.py::test_a_redirect_is_never_followed",
    "Plain http to Learnosity is refused": (
        "unit/api/test_url_policy.py::test_plain_http_is_followed_only_to_a_plain_http_connections_own_host"
    ),
    "nor back to this machine, in any spelling": (
        "unit/api/test_url_policy.py::test_no_spelling_of_a_place_that_is_not_called_gets_through"
    ),
    "be named in the connection's extra": (
        "unit/api/test_dns_lookup.py::test_a_name_that_leads_to_a_private_network_needs_the_connection_to_name_it"
    ),
    "connected to at the very address that was checked": (
        "unit/api/test_dns_lookup.py::test_a_name_that_leads_elsewhere_at_the_second_look_gets_nothing"
    ),
    "TLS certificates and `Host` stay those of the name": (
        "unit/api/test_dns_lookup.py::test_the_certificate_has_to_be_for_the_name"
    ),
    "Replies are read in bounded memory": (
        "component/api/test_hostile_replies.py::test_a_reply_that_is_too_large_fails_at_once"
    ),
    "Which places a run may use": (
        "unit/storage/test_allowed.py::test_whatever_the_key_only_the_bucket_of_the_default_is_written_to"
    ),
    "refused before anything is written": "unit/dataset/test_layout.py::test_no_accepted_name_leaves_the_prefix",
    "need a login and the right to read the DAG, its runs and its XComs": (
        "unit/web/test_app.py::test_every_route_needs_the_right_to_the_dag_its_runs_and_its_xcoms"
    ),
    "leaves it off, as Airflow does": (
        "unit/test_compose.py::test_a_connection_can_be_tested_only_where_that_is_asked_for"
    ),
    "is known to the API server and the scheduler alone": (
        "unit/test_compose.py::test_only_who_signs_tokens_has_the_key"
    ),
    "limits of memory and of processes": "unit/test_compose.py::test_every_container_is_confined",
    "in the history of an image": (
        "unit/test_compose.py::test_no_secret_is_in_an_argument_or_in_the_history_of_an_image"
    ),
    "answer who has its token": "simulator/test_faults.py::test_control_with_a_token_answers_nobody_without_it",
    "only its owner can read (0700)": (
        "devstack/test_command_line.py::test_nobody_else_on_the_machine_can_read_the_folder"
    ),
}
