"""A text for people that says that files are missing is never passed over. One about anything else changes nothing."""

from __future__ import annotations

import time
from typing import Any

import pytest

from learnosity.results.reading import Empty, Files, Inline, NotReady, NotUnderstood
from learnosity.results.shortfall import shortfalls
from tests.unit.results.legal_texts import LEGAL
from tests.unit.results.replies import AB, ROW, A, B, at, names, read

DECLARED = {"files": "data.files", "url": "url"}
COUNTED = DECLARED | {"count": "length(data.files)"}
LATER = (
    "Not all files are ready yet",
    "Not all of the files have been generated yet.",
    "Not every file is complete",
    "Not all result files are ready",
    "Not all files are available yet",
    "Not all outputs have been written so far",
    "Some files are not yet generated",
    "2 files have not been exported yet",
    "b.csv has not been generated yet",
    "The file b.csv is not yet written.",
    "No files are ready yet",
    "None of the files has been created yet.",
    "3 of 200 files are pending",
    "Some files are still being generated",
    "Dataset is still compiling",
    "The export is still uploading.",
    "The remaining files are being written",
    "Files will be available soon",
    "The other file will be ready in 5 minutes",
    "b.csv will be generated later",
    "Still being merged… the export is still merging",
    "2 files are outstanding",
    "2 files are still processing",
    "Waiting for b.csv",
    "Export is running",
)
LOST = (
    "The listing could not be completed",
    "Not everything could be listed",
    "3 files had errors",
    "Some data could not be exported",
    "File generation failed for 2 files",
    "Generation of b.csv failed",
    "b.csv: generation failed",
    "2 files remaining",
    "1 file(s) could not be generated",
    "The dataset could not be completed",
    "Dataset generation did not finish",
    "Export finished with errors",
    "The response was cut off",
    "Some files could not be generated",
    "b.csv could not be generated",
    "1 file was skipped due to an internal error",
    "Request timed out before all files were listed",
    "Some of the files could not be exported.",
    "Several output files couldn't be written",
    "2 files failed",
    "One of the files failed to compile",
    "2 of the files were not included",
    "Two files were omitted",
    "3 of 200 files were left out.",
    "Files are missing",
    "At least one file is missing: timeout",
    "The file b.csv was skipped.",
    "users/b.csv cannot be read",
    "Most files of group north were not created",
    "Some entries could not be listed",
    "Some pages could not be fetched from storage",
    "2 documents were not found",
    "1,200 files were dropped",
    "Dataset compiled. 2 files failed.",
    "Done; some files were lost",
    "Due to a timeout 2 files were skipped",
    "When compiling, 2 files were skipped",
    "There was an error, 1 file was not written",
    "All files but one are there; the other file was not generated",
    "Some results could not be generated",
    "Chunks are missing",
    "Result files could not be stored",
    "Failed to generate 2 files",
    "Could not list all files",
    "Unable to export b.csv",
    "The job did not write all output files",
    "Skipped 2 files",
    "Skipping b.csv",
    "Missing files: b.csv",
    "Failed files: 2",
    "Files skipped: 1",
    "Omitted one of the files",
    "An error occurred while generating 3 files",
    "Errors when listing the files",
    "Listing timed out",
    "The export has timed out.",
    "Storage timed out, not everything is here",
    "Listing stopped before all entries were read",
    "Export aborted before the last file was written",
    "The scan ended before the end of the list",
    "Not all files are listed",
    "Not all entries could be returned",
    "2 files succeeded, 1 failed",
    "2 files listed; 1 missing",
    "Dataset is incomplete",
    "Export incomplete",
    "Not a complete list",
    "This is not the full list of files.",
    "Completed with errors",
    "Completed with errors: b.csv",
    "Error generating b.csv",
    "b.csv: failed",
    "File b.csv not found",
    "2/3 files generated",
    "Generated 2 / 3 files",
    "Only some files could be generated",
    "Timed out listing files",
    "Listing stopped early",
    "Entries omitted: 5",
    "Remaining files: 5",
    "The following files could not be generated: b.csv",
    "Unfortunately some files could not be generated",
    "Warning - 2 files failed",
    "One or more files could not be generated",
    "An output file is missing",
    "2 files were skipped. No action is needed.",
    "2 files failed: no space left",
    "2 files failed (0 rows)",
    "2 files failed - none could be repaired",
    "Response truncated",
    "The response is truncated",
    "The response has been truncated",
    "Generation of 1 file failed",
    "Generation of 2 files failed",
    "Export failed for b.csv",
    "File generation failed for b.csv",
    "Export finished with 3 errors",
    "Dataset generated with errors",
    "The listing timed out after 30 s",
    "An error occurred while generating the dataset",
)
ALONE = ("Partial success", "Internal server error", "Internal error.", "Partially completed", "Truncated")
MORE = (
    "There are further files",
    "There are more files. Request page 2",
    "Listing ends at 1000 files",
    "This is only the first page",
    "The list exceeds the maximum size",
    "Too many files, only the first 1000 are returned",
    "Result set too large, use limit and offset",
    "Use the next cursor to fetch remaining files",
    "Maximum of 1 files exceeded",
    "Too many results",
    "There are too many entries to list",
    "The listing is too long.",
    "Only the first 1,000 are listed",
    "Only the first two files are included",
    "Only the first 500 results are available",
    "Only a subset of the files is returned",
    "Only part of the results are included",
    "Returns only the first 100 entries.",
    "Showing the first 1000",
    "Showing first 100 of 250",
    "Listing the latest 10 files",
    "First 1000 files only",
    "Limited to 2: the list was limited to 2 files",
    "The listing has been limited to the first 1000 entries",
    "The response is restricted to 100 files",
    "The reply was cut to 1000 records",
    "Results were limited to 2 of 9",
    "Results are limited to 1000 entries",
    "The file list is limited to 100",
    "The number of files was reduced to 500 files",
    "Output was trimmed to 10 files",
    "File limit reached",
    "The result limit of 1000 was reached",
    "Maximum number of files reached",
    "Limit of 100 entries exceeded",
    "Files exceed the maximum",
    "There are more files than can be listed",
    "Use offset to get more",
    "Use `next` to retrieve the rest",
    "Pass the cursor to get the remaining results.",
    "Increase limit to see all other files",
    "Follow the next link to load further entries",
    "Send the token with your next request to fetch more files",
    "Set offset=1000 to read the following entries",
    "Please request the next page.",
    "Continue with the next page",
    "See next page for 2 files",
    "Remaining files can be requested separately",
    "The rest of the files will follow",
    "Further results are on the next page",
    "Page 1 of 3",
    "This is part 1 of 2",
    "Too many users, only the first 1000 are returned",
    "1000 files returned, 2500 total",
    "1000 files returned (2500 total)",
    "Returned 1000 files, 1500 more available",
    "Showing 1-1000 of 2500",
    "Showing files 1 to 1000 of 2500",
    "Reached the limit of 1000 files",
    "Further files are available.",
    "Use the next token to continue",
)
HINTS = (
    "Use next to get more results",
    "Use the next cursor to fetch remaining files",
    "Please request the next page.",
    "Remaining files can be requested separately",
)
HARMLESS = (
    "Response truncated to 500 characters",
    "Export completed with 0 errors",
    "Completed with errors: 0",
    "2 files listed, 200 total rows",
    "2 files listed, 200 total sessions",
    "2 files returned (1500 total rows)",
    "Mathematics - Part 1 of 2",
    "Spring 2026 - page 1 of 2",
    "Results for job and part 1 of 3",
    "This reply lists all files of the dataset",
    "The list has 2 files",
    "2 of 2 files were listed",
    "Files that were already landed are listed again",
    "Files were created on 3 May",
    "3 files were created",
    "Files could be compressed further",
    "The files do not include deleted users",
    "The files do not contain names",
    "Output does not include deleted items",
    "Results do not include incomplete sessions",
    "The results do not include unscored responses",
    "The dataset does not include test users",
    "Not included: sessions of test users",
    "Incomplete sessions were not included in the output",
    "Some sessions were not included in the output files",
    "Items without responses are not listed in the files",
    "Links are valid for one hour",
    "The links will not be available after one hour",
    "Signed URLs are not stored",
    "URLs are not logged",
    "File names are not unique",
    "File names are limited to 255 characters",
    "Column names were truncated",
    "Statistics are limited to 3 decimals",
    "Percentiles are only available for groups with more than 10 users",
    "Only results of the first attempt are used",
    "Only the best 3 attempts are used",
    "Only scored questions are included",
    "Only questions with a maximum score are listed",
    "The first 100 rows are a preview",
    "A preview has only the first 100 rows",
    "Rows are sorted; the first 3 are the headers",
    "Pages are numbered from 1",
    "Pages of the activity were skipped by 3 users",
    "3 pages of the activity were not reached",
    "Some links in items could not be resolved",
    "5 attachments could not be copied",
    "Some images could not be loaded",
    "2 duplicate entries were dropped",
    "Documents without text were skipped",
    "Objects of type x are not supported",
    "No data could be found for 3 users",
    "For 3 users no data was found",
    "Data for 2 groups could not be anonymised",
    "Some data was anonymised",
    "Some data is missing in the input",
    "Missing data is shown as empty",
    "The request was limited to 2 groups",
    "The request was limited to the last 30 days",
    "The report is limited to 2 levels",
    "Limited to users of the group",
    "Limit: 1000, offset: 0",
    "Next refresh in 24 hours",
    "The next export will be available tomorrow",
    "A new dataset will be available soon",
    "You can request the next dataset in 5 minutes",
    "Use the manifest to get the names of other datasets",
    "Use dataset_id to get the files of another dataset",
    "Use filters to limit the results",
    "Set limit to change the page size",
    "See the next section for more",
    "Please contact support for more information",
    "Call support to get more information about the next steps",
    "Generated by Report Service 1 of 2",
    "Server 1 of 2",
    "Region: 1/2",
    "Export of 2 files completed without failures",
    "No failures in the export",
    "Retry count: 0 errors, 0 timeouts",
    "Files are split after 1000 rows",
    "Each list has at most 100 entries",
    "The list is sorted by name",
    "A file is complete when its checksum matches",
    "Files are ready when the status is completed",
    "When ready, files are listed here",
    "The listing was completed in 2 s",
    "Time to list files: 2s",
    "Timeout: 60 s",
    "Job did not fail",
    "2 retries were needed, no file is missing",
    "After 2 retries all files were written",
    "One file was retried",
    "Some files were retried and are complete",
    "Some files were generated twice",
    "b.csv was generated after a retry",
    "Errors: none. Files: 2",
    "The dataset contains errors of users",
    "Answers with errors are included",
    "File b is for errors",
    "The error file is empty",
    "Too many attempts are flagged",
    "Users with too many attempts were dropped",
    "There are more users than seats",
    "There are more questions in the activity",
    "More results on the dashboard",
    "Results are partial credit aware",
    "Further statistics are in the dashboard",
    "Additional files can be requested by support",
    "Remaining quota: 3",
    "Remaining files of the trial: 3",
    "All files listed",
    "2 files listed",
    "Listing complete",
    "Dataset generated without errors",
    "Files are listed in alphabetical order",
    "Files are available for 7 days",
    "Files will be available until 30 December 2026",
    "Files will be deleted in 30 days",
    "The files were written in 12 seconds",
    "Each file has at most 1000 rows",
    "Files contain at most 1000 users each",
    "Large files are split into parts",
    "Files larger than 1 GB are split",
    "Results of users without sessions are not included",
    "Deleted users are not included in the files",
    "Users who were not found are not included in the files",
    "Unscored responses are not included in the results",
    "Questions of type essay are not included in the results",
    "Items that were not shown to a user are omitted",
    "Fields that are empty were omitted from the files",
    "Columns without values are omitted from the output",
    "Null values are omitted from the files",
    "The parameter `limit` was ignored",
    "Parameter next is ignored",
    "Unknown parameters were ignored",
    "limit was reduced to 1000",
    "The limit is 1000 files per request",
    "Statistics of fewer than 5 users are not included",
    "P-values could not be calculated for 3 items",
    "The discrimination could not be computed",
    "Groups with fewer than 5 users were skipped",
    "2 groups were skipped",
    "1 session could not be included",
    "Answers longer than 1000 characters were truncated",
    "Long responses were truncated to 1000 characters",
    "Only completed sessions are included",
    "Only submitted sessions are returned",
    "Only users of the roster are included",
    "Only the first 100 characters of responses are exported",
    "Files are compressed",
    "One file per group",
    "There is one file per group; groups without users have no file",
    "Each group is written to one file",
    "Empty groups have no files",
    "Please download the files within one hour",
    "Download the files before the links expire",
    "Files must be downloaded before they expire",
    "All links expire after 1 hour",
    "If a link expired, request the dataset again",
    "The files could be downloaded until 3 May",
    "No data for 3 groups",
    "No files were generated because there are no sessions",
    "Dataset contains no results",
    "No results were found for 3 users",
    "Results could not be calculated for 3 users",
    "Data of 3 users could not be matched",
    "2 sessions are still in the queue",
    "Not all sessions are complete",
    "All sessions are complete",
    "Input: 3 files, 2 users were skipped",
    "3 records of the input file were skipped",
    "Input files are no longer available",
    "No files were skipped",
    "No files could not be read",
    "All files are ready",
    "All files are generated and available.",
    "0 files were skipped",
    "0 of 200 files failed",
    "None of the files was skipped",
    "Zero files were dropped",
    "Files skipped: 0",
    "Files missing: none",
    "Failed files: 0",
    "Missing files: none.",
    "Skipped files: 0, listed files: 2",
    "Skipped 0 files",
    "No missing files",
    "Without errors: all files were written",
    "No errors while generating the files",
    "0 errors when listing files",
    "No error occurred during compiling of 2 files",
    "The dataset was limited to the first attempt of each user",
    "The dataset was limited to 2 activities",
    "The dataset was limited to 5 items",
    "Only the first response of each user counts",
    "Only the first 3 attempts are returned",
    "Of several attempts, only the first 3 are returned",
    "Only the last session of each student is included in the results",
    "Deprecated parameter ignored",
    "Questions could not be scored automatically",
    "3 questions could not be scored automatically.",
    "Some responses could not be scored",
    "Some sessions were skipped, as they have no user",
    "12 users were skipped because they had no group",
    "3 users of the file were skipped",
    "Rows of the files that have no user were skipped",
    "Two lines in b.csv were skipped",
    "Names in the files were not found in the roster",
    "Statistics for some files are not included",
    "Some input files could not be read",
    "3 input files were skipped",
    "Two of the source files failed",
    "Uploaded files are not listed",
    "Audio files are not included",
    "Attached files were dropped",
    "Old files were lost",
    "Empty files were skipped",
    "Temporary files were left out; all results are listed",
    "Results are limited to the requested activities",
    "Results are limited to the last 30 days",
    "Results are limited to 10 users per group",
    "Results are limited to 1000 files per page",
    "Responses are limited to 3 attempts",
    "Scores are limited to 100",
    "The response was limited to 4000 characters",
    "Output is limited to 2 decimals",
    "Files are limited to 100 MB each",
    "If files could not be generated, they are named in errors",
    "If the result set is too large, use limit and offset",
    "Not too many files",
    "Some responses were too long to be scored",
    "There is no next page",
    "No need to request the next page",
    "There is no limit on the number of files",
    "Use the link for more information",
    "See the documentation for more details",
    "See the docs of the next release",
    "Page 1 of 1",
    "The rate limit was not exceeded",
    "Rate limit: 100 requests per minute",
    "Request timeout is 60 seconds",
    "3 sessions timed out",
    "Users whose session timed out before all questions were answered are included",
    "The session ended before the results page was shown",
    "Links expire after 60 minutes",
    "Files cannot be accessed after 24 hours",
    "Not all questions were answered",
    "Not all users have a group",
    "Not all files have rows for each group",
    "Some files are empty",
    "Some files are not compressed",
    "Not all items are shown to each user",
    "Missing results are counted as 0",
    "Missing entries are shown as null",
    "Missing values: 3",
    "Entries were skipped by the students",
    "2 files were excluded by your filter",
    "1 file was skipped as requested",
    "Users who could not load pages are counted as absent",
    "Sessions with too many pages are included",
    "The first 100 users are in a.json",
    "The first 2 files are a.json and b.csv",
    "a.json contains the users, b.csv the items",
    "The report lists the first 3 attempts of each user",
    "Parts of the essay were not included in the score",
    "Some users could not be found",
    "2 files were generated, 0 skipped",
    "2 files created, none failed",
    "Use v2026.1.LTS to get more fields",
    "Not a full list of users",
    "2 files returned, 2 total",
    "Showing 1-2 of 2",
    "2/2 files generated",
    "2 files succeeded, 0 failed",
    "No further files are available",
    "If the job fails, 2 files are skipped",
)


class TestSentences:
    @pytest.mark.parametrize("text", LATER)
    def test_files_to_come_are_waited_for(self, text: str) -> None:
        for value in (text, text.upper(), f"Dataset 7. {text}"):
            for results in (None, DECLARED):
                assert isinstance(read({"files": [A, B], "message": value}, results), NotReady), value
                assert isinstance(read({"files": [A, B]}, results, message=value), NotReady)

    @pytest.mark.parametrize("key", ["message", "status_text"])
    def test_a_declared_count_says_whether_files_are_to_come(self, key: str) -> None:
        for text in (
            "2 files are outstanding",
            "Waiting for b.csv",
            "3 of 200 files are pending",
            "Not all files are ready",
        ):
            assert isinstance(read({"files": [A, B], key: text}), NotReady), text
            assert names(read({"files": [A, B], key: text}, COUNTED)) == AB
        # This is about the whole dataset: a count that agrees with a list of no files must not end the wait.
        assert isinstance(read({"files": [], key: "The dataset is not ready yet"}, COUNTED), NotReady)

    @pytest.mark.parametrize("text", ALONE)
    def test_a_bad_word_alone_refuses_the_reply(self, text: str) -> None:
        for value in (text, text.upper()):
            assert isinstance(read({"files": [A, B], "message": value}), NotUnderstood)
            assert names(read({"files": [A, B], "message": value}, COUNTED)) == AB
        assert names(read({"files": [A, B], "message": f"Activity '{text}'"})) == AB

    @pytest.mark.parametrize("text", LOST + MORE)
    def test_files_that_are_missing_refuse_the_reply(self, text: str) -> None:
        for value in (text, text.upper(), [text], {"text": text}, f"All done. {text}"):
            data: dict[str, Any]
            for data in ({"files": [A, B]}, {"rows": [ROW]}, {"files": {"a.json": at("a.json")}}, {"files": []}):
                assert isinstance(read({**data, "message": value}), NotUnderstood), (data, value)
                assert isinstance(read(data, notes=value), NotUnderstood)
            assert isinstance(read({"files": [A, B], "detail": value}, DECLARED), NotUnderstood)
            counted = read({"files": [A, B], "message": text, "status_text": text}, COUNTED, message=value)
            assert names(counted) == AB
        if not text.endswith(".csv"):  # such a text may name a second file of the entry, so it is refused
            assert names(read({"files": [A | {"message": text}, B]})) == AB

    @pytest.mark.parametrize("text", MORE)
    def test_a_text_about_further_pages_agrees_with_a_cursor(self, text: str) -> None:
        if text not in ("Page 1 of 3",):
            reading = read({"files": [A, B], "next": "c", "message": text})
            assert isinstance(reading, Files), reading
            assert reading.next_cursor == "c"

    @pytest.mark.parametrize("text", HINTS)
    @pytest.mark.parametrize("key", ["message", "status_text"])
    def test_a_hint_at_further_pages_may_stand_on_the_last_page(self, key: str, text: str) -> None:
        assert isinstance(read({"files": [A, B], key: text}), NotUnderstood)
        assert names(read({"files": [A, B], key: text}, first_page=False)) == AB
        for end in ({"next": None}, {"next_cursor": ""}, {"has_more": False}, {"is_last": True}, {"total": 2}):
            assert names(read({"files": [A, B], key: text, **end})) == AB, end
            assert names(read({**end, key: text, "files": [A, B]})) == AB
        assert isinstance(read({"files": [A, B], key: text, "has_more": True}), NotUnderstood)
        for here in ("files_returned", "returned_files", "listed_files", "total_returned"):
            assert isinstance(read({"files": [A, B], key: text, here: 2}), NotUnderstood), here
        assert isinstance(read({"files": [A, B], key: text, "total": 3}), NotUnderstood)

    @pytest.mark.parametrize("text", ["Page 3 of 3", "This is page 3/3."])
    @pytest.mark.parametrize("key", ["message", "status_text"])
    def test_the_last_page_is_not_the_first(self, key: str, text: str) -> None:
        assert names(read({"files": [A, B], key: text}, first_page=False)) == AB
        assert isinstance(read({"files": [A, B], key: text}), NotUnderstood)

    def test_a_legal_text_changes_nothing(self) -> None:
        for text in LEGAL:
            for value in (text, text.upper()):
                for results in (None, COUNTED):
                    assert isinstance(read({"files": [A, B], "message": value}, results), Files), value
                assert isinstance(read({"rows": [ROW], "notes": value}), Inline), value

    @pytest.mark.parametrize("text", HARMLESS)
    def test_a_text_about_something_else_changes_nothing(self, text: str) -> None:
        for value in (text, text.upper(), [text], f"{text}. Done"):
            for results in (None, DECLARED):
                assert names(read({"files": [A, B], "message": text}, results, message=value)) == AB, value
            assert isinstance(read({"rows": [ROW], "notes": value}), Inline)
        if not text.endswith((".json", ".csv")):
            assert isinstance(read({"files": [], "xyz": text}), Empty)

    def test_a_long_text_is_read_in_little_time(self) -> None:
        began = time.process_time()
        for text in ("some files ", "only the first 2 files ", "not all of the ", "could not list all the ", "x" * 50):
            shortfalls(text * (100_000 // len(text)))
        for head in ("Skipped files:", "Missing entries:", "Some files", "Only the first", "Use the next", ""):
            for blank in " \t\n":
                read(
                    {"files": [A, B], "message": f"{head}{blank * 100_000}|", "status_text": f"{head}{blank * 50_000}"}
                )
        prose = "The students answered all questions of the activity, and the teacher scored them by hand. "
        read({"files": [A, B], "message": prose * 10_000})
        assert time.process_time() - began < 10
